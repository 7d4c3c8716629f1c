"""A market that is added while others trade, against the naive engine, which had it all the time."""

from dataclasses import replace
from decimal import localcontext

from command_generator import CommandGenerator
from exchange_factory import OPERATOR, UNIT
from reference_records import EXACT
from test_reference_agreement import MARKETS, Pair
from trading.domain.commands import AddMarket, SetMarket
from trading.domain.markets import MarketStatus

COMMANDS_BEFORE, COMMANDS_AFTER = 3_000, 9_000
LATE = MARKETS[1]


def test_a_market_that_comes_later_agrees_from_its_first_order_on() -> None:
    pair = Pair()
    del pair.bench.exchange.state.markets[LATE.symbol]  # as if this exchange had opened without it
    generator = CommandGenerator(7)
    with localcontext(EXACT):
        for _ in range(COMMANDS_BEFORE):
            step = generator.step(pair.naive.orders_placed)
            if step.market != LATE.symbol:
                pair.run(step)
        assert pair.naive.resting, "the other market is in the midst of it"
        pair.bench.do(AddMarket(OPERATOR, replace(LATE, status=MarketStatus.CANCEL_ONLY), "asked for"))
        pair.bench.do(SetMarket(OPERATOR, LATE, "looked at", expected_version=1, reference_price=UNIT))
        pair.compare_all()
        for number in range(COMMANDS_AFTER):
            pair.run(generator.step(pair.naive.orders_placed))
            if number % 100 == 0:
                pair.compare_all()
        pair.compare_all()
    traded = {symbol: market.tape_sequence for symbol, market in pair.bench.exchange.state.markets.items()}
    assert traded[LATE.symbol] > COMMANDS_AFTER // 40
