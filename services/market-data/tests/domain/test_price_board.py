from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from market_data.domain.price import Quote
from market_data.domain.price_board import PriceBoard

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MakeQuote = Callable[..., Quote]


def board() -> PriceBoard:
    return PriceBoard(source="test", stale_after=timedelta(seconds=3))


def test_only_new_quotes_count_as_changes(quote: MakeQuote) -> None:
    prices = board()
    assert [price.quote.symbol for price in prices.take([quote("BTC"), quote("ETH")], time=NOON)] == ["BTC", "ETH"]
    assert prices.take([quote("BTC"), quote("ETH", "7")], time=NOON)[0].quote.symbol == "ETH"


def test_an_equal_price_at_a_later_source_time_is_news(quote: MakeQuote) -> None:
    prices = board()
    prices.take([quote()], time=NOON)
    later = quote(source_time=NOON + timedelta(seconds=1))
    assert prices.take([later], time=NOON)[0].quote is later


def test_an_older_quote_changes_nothing(quote: MakeQuote) -> None:
    prices = board()
    prices.take([quote(price="100.00")], time=NOON)
    assert prices.take([quote(price="90.00", source_time=NOON - timedelta(seconds=1))], time=NOON) == []
    assert str(prices.prices["BTC"].quote.price) == "100.00"


def test_a_source_that_was_never_asked_is_not_available() -> None:
    status = board().status(now=NOON)
    assert not status.available
    assert status.last_success is None
    assert status.problem


def test_a_source_is_available_while_its_newest_price_is_fresh(quote: MakeQuote) -> None:
    prices = board()
    prices.take([quote()], time=NOON)
    assert prices.status(now=NOON + timedelta(seconds=3)).available
    stale = prices.status(now=NOON + timedelta(seconds=3.1))
    assert not stale.available
    assert "old" in stale.problem


def test_a_failure_shows_until_the_next_answer_and_keeps_the_prices(quote: MakeQuote) -> None:
    prices = board()
    prices.take([quote()], time=NOON)
    prices.fail("The source is down.")
    status = prices.status(now=NOON)
    assert (status.available, status.problem, status.last_success) == (False, "The source is down.", NOON)
    assert "BTC" in prices.prices
    prices.take([quote()], time=NOON)
    assert prices.status(now=NOON).available


def test_a_source_that_prices_nothing_is_not_available() -> None:
    prices = board()
    prices.take([], time=NOON)
    assert not prices.status(now=NOON).available
