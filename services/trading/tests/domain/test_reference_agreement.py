from decimal import Decimal, localcontext

import pytest
from chassis.errors import ServiceError
from command_generator import USERS, CommandGenerator, Step
from exchange_factory import COIN_USD, DUST_USD, UNIT, Bench, actor
from reference_engine import EXACT, ReferenceEngine, RefusedError, Request, Rules, Trade
from trading.domain.commands import CancelAll, CancelOrder, Command, PlaceOrder, SetReferencePrice
from trading.domain.events import OrderPlaced, Traded
from trading.domain.markets import Market
from trading.domain.orders import OrderType, Side, TimeInForce
from trading.domain.queries import depth
from trading.domain.state import Limits

COMMANDS = 100_000
OPEN_ORDERS = 12


def decimal(amount: int) -> Decimal:
    return Decimal(amount) / UNIT


def minor(amount: Decimal) -> int:
    scaled = amount * UNIT
    assert scaled == int(scaled)
    return int(scaled)


def rules_of(market: Market) -> Rules:
    house = market.house
    points = Decimal(10_000)
    return Rules(
        market.symbol, market.base, market.quote, decimal(market.tick), decimal(market.lot),
        decimal(market.minimum_notional), decimal(market.maximum_quantity),
        market.maker_fee_basis_points / points, market.taker_fee_basis_points / points,
        market.price_band_basis_points / points, market.slippage_cap_basis_points / points,
        house.levels, house.half_spread_basis_points / points, house.step_basis_points / points,
        decimal(house.level_quantity), decimal(house.inventory_limit), decimal(house.refill_per_second), 3_000, 3_000,
    )  # fmt: skip


class Pair:
    """The core and the naive engine, fed the same commands, compared after each."""

    def __init__(self) -> None:
        limits = Limits(open_orders_per_user=OPEN_ORDERS, remembered_batches=50)
        self.bench = Bench(limits=limits, users=USERS, check=False)
        self.naive = ReferenceEngine([rules_of(COIN_USD), rules_of(DUST_USD)], OPEN_ORDERS)
        self.order_ids: list[str] = []
        for user in USERS:
            for asset, amount in (("USD", 10_000), ("COIN", 100), ("DUST", 10_000)):
                self.naive.deposit(user, asset, Decimal(amount))
        self.naive.now = self.bench.now
        self.trades = 0
        self.refusals: dict[str, int] = {}

    def run(self, step: Step) -> None:
        if step.kind == "batch":
            self.bench.batch(step.milliseconds)
            self.naive.now = self.bench.now
            return
        known = len(self.naive.trades)
        core, trades = self._core(step)
        naive = self._naive(step)
        assert core == naive, step
        assert trades == self.naive.trades[known:], step
        self.trades += len(trades)
        if core:
            self.refusals[core] = self.refusals.get(core, 0) + 1

    def compare_all(self) -> None:
        for user in USERS:
            for asset in ("USD", "COIN", "DUST"):
                available, held = self.bench.money(user, asset)
                assert decimal(available) == self.naive.available(user, asset)
                assert decimal(held) == self.naive.held(user, asset)
        for symbol, state in self.bench.exchange.state.markets.items():
            for book, side in ((state.bids, "buy"), (state.asks, "sell")):
                core = [
                    (decimal(order.price), decimal(order.remaining_quantity), order.user_id) for order in book.orders()
                ]
                assert core == self.naive.book(symbol, side)
            self._compare_depth(symbol)
        for owner in ("house", "fees", "external"):
            for asset, account in (
                self.bench.exchange.state.owners[owner].accounts.items()
                if owner in self.bench.exchange.state.owners
                else ()
            ):
                assert decimal(account.available) == self.naive.balances[owner, asset]
        self.bench.assert_sound()

    def _compare_depth(self, symbol: str) -> None:
        shown = depth(self.bench.exchange.state, symbol, 50, time_milliseconds=self.bench.now)
        for levels, taker in ((shown.asks, "buy"), (shown.bids, "sell")):
            merged: dict[Decimal, Decimal] = {}
            for price, quantity, _ in self.naive._offers(self.naive.books[symbol], taker):
                merged[price] = merged.get(price, Decimal(0)) + quantity
            assert [(decimal(level.price), decimal(level.quantity)) for level in levels] == list(merged.items())

    def _core(self, step: Step) -> tuple[str, list[Trade]]:
        try:
            events = self.bench.done(self._command(step))
        except ServiceError as error:
            return error.reason, []
        self.order_ids += [event.order_id for event in events if isinstance(event, OrderPlaced)]
        return "", [
            (
                event.market, decimal(event.price), decimal(event.quantity),
                event.buyer.owner.removeprefix("user:"), decimal(event.buyer.fee),
                event.seller.owner.removeprefix("user:"), decimal(event.seller.fee),
            )
            for event in events
            if isinstance(event, Traded)
        ]  # fmt: skip

    def _command(self, step: Step) -> Command:
        if step.kind == "reference":
            source_time = self.bench.now - step.milliseconds
            return SetReferencePrice(step.market, minor(step.price), "simulator", source_time, self.bench.now)
        if step.kind == "cancel":
            return CancelOrder(actor(step.user), self.order_ids[step.order_number - 1])
        if step.kind == "cancel_all":
            return CancelAll(actor(step.user), step.market)
        return PlaceOrder(
            actor(step.user), step.market, Side(step.side), OrderType(step.order_type),
            TimeInForce(step.time_in_force), minor(step.quantity), minor(step.quote_quantity), minor(step.price),
            step.post_only,
        )  # fmt: skip

    def _naive(self, step: Step) -> str:
        naive = self.naive
        try:
            if step.kind == "reference":
                naive.set_reference(step.market, step.price, naive.now - step.milliseconds, naive.now)
            elif step.kind == "cancel":
                naive.cancel(step.user, step.order_number)
            elif step.kind == "cancel_all":
                naive.cancel_all(step.user, step.market)
            else:
                naive.place(
                    Request(
                        step.user,
                        step.market,
                        step.side,
                        step.order_type,
                        step.time_in_force,
                        step.quantity,
                        step.quote_quantity,
                        step.price,
                        step.post_only,
                    )
                )
        except RefusedError as refusal:
            return str(refusal)
        return ""


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_the_core_agrees_with_a_naive_engine_on_trades_books_and_balances(seed: int) -> None:
    pair = Pair()
    generator = CommandGenerator(seed)
    with localcontext(EXACT):
        for number in range(COMMANDS // 4):
            pair.run(generator.step(pair.naive.orders_placed))
            if number % 100 == 0:
                pair.compare_all()
        pair.compare_all()
    # The agreement means something only if much happened.
    assert pair.trades > COMMANDS // 40
    expected = {"insufficient_funds", "no_liquidity", "post_only_would_take", "fill_or_kill_unfilled", "price_band"}
    assert expected <= set(pair.refusals)
