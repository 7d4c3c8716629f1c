"""Which markets stop where the core broke: the one that the command named, and all where it named none (M24)."""

import pytest
from shell_factory import MARKET, PRICE, UNIT, MemoryJournal, actor, buy_for, cancel, limit, running_shell
from trading.domain.commands import (
    AmendOrder,
    CancelAll,
    Command,
    Continue,
    ExpireOrders,
    ExpireTransfers,
    ResumeMarket,
    SetMarket,
    SetReferencePrice,
)
from trading.domain.events import OrderClosed
from trading.domain.evolve import EVOLVERS
from trading.domain.markets import MarketStatus
from trading.domain.orders import Side
from trading.domain.state import ExchangeState
from trading.sequencer.breakdown import markets_to_stop

ELSEWHERE = "ETH-USD"


@pytest.mark.parametrize(
    "command",
    [
        buy_for("ann", UNIT),
        CancelAll(actor("ann"), MARKET),
        SetReferencePrice(MARKET, PRICE, "simulator", 1, 1),
        Continue(MARKET),
        ExpireOrders(MARKET),
        ResumeMarket(actor("operator"), MARKET, "looked at"),
    ],
    ids=lambda command: type(command).__name__,
)
async def test_what_names_a_market_stops_that_one(command: Command) -> None:
    async with running_shell(MemoryJournal()) as shell:
        assert markets_to_stop(shell.state, command) == [MARKET]


async def test_what_names_an_order_or_a_markets_rules_stops_its_market() -> None:
    async with running_shell(MemoryJournal()) as shell:
        await shell.deposit("ann", "USD", 1_000 * UNIT)
        placed = await shell.send(limit("ann", Side.BUY, UNIT // 1000, PRICE - 100 * UNIT))
        assert placed.order is not None
        order_id, rules = placed.order.order_id, shell.state.markets[ELSEWHERE].market
        assert markets_to_stop(shell.state, cancel("ann", order_id)) == [MARKET]
        assert markets_to_stop(shell.state, AmendOrder(actor("ann"), order_id, price=PRICE)) == [MARKET]
        assert markets_to_stop(shell.state, SetMarket(actor("operator"), rules, "other rules")) == [ELSEWHERE]


@pytest.mark.parametrize(
    "command",
    [
        CancelAll(actor("ann")),
        cancel("ann", "nobody"),
        ExpireOrders(),
        ExpireTransfers(),
        buy_for("ann", UNIT)._replace(market="?"),
    ],
    ids=lambda command: type(command).__name__,
)
async def test_what_names_no_market_stops_all(command: Command) -> None:
    async with running_shell(MemoryJournal()) as shell:
        assert markets_to_stop(shell.state, command) == list(shell.state.markets)


async def test_the_others_go_on_where_a_cancel_of_one_markets_orders_broke(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_shell(MemoryJournal()) as shell:
        await shell.deposit("ann", "USD", 1_000 * UNIT)
        await shell.send(limit("ann", Side.BUY, UNIT // 1000, PRICE - 100 * UNIT))

        def breaks(_state: ExchangeState, _event: OrderClosed) -> None:
            raise ZeroDivisionError

        monkeypatch.setitem(EVOLVERS, OrderClosed, breaks)
        with pytest.raises(Exception, match=r"core broken in BTC-USD$"):
            await shell.send(CancelAll(actor("ann"), MARKET))
        statuses = {symbol: market.market.status for symbol, market in shell.state.markets.items()}
        assert statuses.pop(MARKET) is MarketStatus.CANCEL_ONLY
        assert set(statuses.values()) == {MarketStatus.TRADING}
