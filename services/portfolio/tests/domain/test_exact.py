from decimal import Decimal, Inexact

import pytest
from hypothesis import given
from hypothesis import strategies as st
from portfolio.domain.exact import MalformedAmount, canonical, parse_amount, plus, share, times

amounts = st.decimals(min_value=0, max_value=10**12, places=8)


@pytest.mark.parametrize(
    "text",
    ["", "1_000", "\u0661", "1\n", "+1", "1e3", "NaN", "-", ".5", "1.", "01", "1." + "0" * 19, "1" * 19, " 1", "0x1"],
)
def test_what_is_not_an_amount_is_refused(text: str) -> None:
    with pytest.raises(MalformedAmount):
        parse_amount(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("1E+3", "1000"),
        ("1.50", "1.5"),
        ("-0.00", "0"),
        ("100", "100"),
        ("0.00000001", "0.00000001"),
        ("-2.10", "-2.1"),
    ],
)
def test_a_value_is_written_in_one_way(value: str, text: str) -> None:
    assert canonical(Decimal(value)) == text


@given(amounts)
def test_writing_and_reading_an_amount_changes_nothing(value: Decimal) -> None:
    assert parse_amount(canonical(value)) == value


def test_floats_and_lost_digits_are_errors() -> None:
    with pytest.raises(TypeError):
        plus(Decimal(1), 0.5)  # type: ignore[arg-type]
    with pytest.raises(Inexact):
        times(Decimal("1." + "1" * 79), Decimal("1." + "1" * 79))


@given(amounts, st.integers(1, 10**9), st.data())
def test_a_share_lies_between_nothing_and_all(value: Decimal, whole: int, data: st.DataObject) -> None:
    part = data.draw(st.integers(0, whole))
    assert 0 <= share(value, Decimal(part), Decimal(whole)) <= value
    assert share(value, Decimal(whole), Decimal(whole)) == value
