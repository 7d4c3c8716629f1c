import pytest
from chassis.errors import InvalidArgument
from exchange_factory import COIN_USD
from hypothesis import given
from hypothesis import strategies as st
from trading.domain.amounts import (
    AMOUNT_MAX,
    average_price,
    format_amount,
    nearest_multiple,
    parse_amount,
    parse_at_largest_scale,
)
from trading.domain.errors import InvalidLot, InvalidTick, TooManyDecimals


@pytest.mark.parametrize(
    ("text", "amount"),
    [("0", 0), ("1", 100_000_000), ("1.5", 150_000_000), ("0.00000001", 1), ("1.100000000000", 110_000_000)],
)
def test_plain_decimals_become_minor_units(text: str, amount: int) -> None:
    assert parse_amount(text, 8, field="quantity") == amount


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-1",
        "-0",
        "+1",
        "1e5",
        "1e400",
        "NaN",
        "Infinity",
        "1_000",
        "1,5",
        " 1",
        "1\n",
        "01",
        "1.",
        ".5",
        "\u0661",
        "1" * 19,
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        parse_amount(text, 8, field="quantity")


def test_an_amount_above_63_bits_is_refused_not_wrapped() -> None:
    assert parse_amount("92233720368.54775807", 8, field="quantity") == AMOUNT_MAX
    with pytest.raises(InvalidArgument, match="too large"):
        parse_amount("92233720368.54775808", 8, field="quantity")


def test_too_many_decimals_name_the_limit_and_the_nearest_value() -> None:
    with pytest.raises(TooManyDecimals) as caught:
        parse_amount("1.123456785", 8, field="quantity")
    assert caught.value.details == {
        "field": "quantity",
        "rule": "too_many_decimals",
        "limit": "8",
        "given": "1.123456785",
        "nearest": "1.12345679",
    }
    with pytest.raises(TooManyDecimals) as tiny:
        parse_amount("0.000000001", 8, field="quantity")
    assert tiny.value.details["nearest"] == "0.00000001"  # zero is no amount to order or to count in


@pytest.mark.parametrize("scale", range(9))
def test_the_nearest_to_one_that_is_too_large_as_well_is_one_that_would_pass(scale: int) -> None:
    with pytest.raises(TooManyDecimals) as caught:
        parse_amount("999999999999999999.999999999999999999", scale, field="price")
    assert 0 < parse_amount(caught.value.details["nearest"], scale, field="price") <= AMOUNT_MAX


@pytest.mark.parametrize(
    ("text", "amount", "scale"),
    [
        ("1.5", 150_000_000, 8),
        ("92233720368.54775807", AMOUNT_MAX, 8),
        ("92233720368.5477581", 922_337_203_685_477_581, 7),
        ("150000000000.5", 1_500_000_000_005_000_000, 7),
        ("999999999999999999", 999_999_999_999_999_999, 0),
    ],
)
def test_an_amount_of_no_known_asset_is_at_the_largest_scale_that_holds_it(text: str, amount: int, scale: int) -> None:
    assert parse_at_largest_scale(text, field="quantity") == (amount, scale)
    assert format_amount(amount, scale) == text


@pytest.mark.parametrize(
    ("amount", "scale", "text"),
    [
        (0, 8, "0"),
        (1, 8, "0.00000001"),
        (-150_000_000, 8, "-1.5"),
        (100_000_000, 8, "1"),
        (1200, 0, "1200"),
        (10, 1, "1"),
    ],
)
def test_output_is_canonical(amount: int, scale: int, text: str) -> None:
    assert format_amount(amount, scale) == text


@given(st.integers(0, AMOUNT_MAX), st.integers(0, 8))
def test_what_is_written_reads_back(amount: int, scale: int) -> None:
    text = format_amount(amount, scale)
    if len(text.partition(".")[0]) <= 18:
        assert parse_amount(text, scale, field="quantity") == amount


@pytest.mark.parametrize("given_text", ["100.05", "100.000000000001"])
def test_a_price_off_the_tick_names_the_nearest_price(given_text: str) -> None:
    with pytest.raises(InvalidTick) as caught:
        COIN_USD.price_from_text(given_text)
    nearest = "100.1" if given_text == "100.05" else "100"
    assert caught.value.details["nearest"] == nearest
    assert (caught.value.details["limit"], caught.value.details["given"]) == ("0.1", given_text)


def test_a_quantity_off_the_lot_names_the_nearest_quantity() -> None:
    with pytest.raises(InvalidLot) as caught:
        COIN_USD.quantity_from_text("0.0001")
    assert caught.value.details["nearest"] == "0.001"


def test_nearest_multiples_round_half_up_and_never_to_zero() -> None:
    assert [nearest_multiple(amount, 10) for amount in (1, 14, 15, 20)] == [10, 10, 20, 20]


def test_an_average_price_is_rounded_half_up() -> None:
    assert average_price(notional=5, quantity=2, base_scale=0) == 3
    assert average_price(notional=0, quantity=0, base_scale=8) == 0
