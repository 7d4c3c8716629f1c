from dataclasses import replace
from decimal import Decimal, localcontext

import pytest
from chassis.errors import ServiceError
from command_generator import USERS, CommandGenerator, Step
from exchange_factory import COIN_USD, DUST_USD, OPERATOR, UNIT, Bench, actor
from ledger_commands import LedgerStep
from reference_ledger import HOW_IT_ENDED, SYSTEM, ReferenceLedger
from reference_records import EXACT, Closing, RefusedError, Request, Rules, Trade
from trading.domain.accounts import Posting
from trading.domain.commands import (
    AmendOrder,
    CancelAll,
    CancelOrder,
    Command,
    Continue,
    ExpireOrders,
    ExpireTransfers,
    FreezeAsset,
    HoldTransfer,
    PlaceOrder,
    PostTransfer,
    ResumeMarket,
    SetMarket,
    SetReferencePrice,
    SetUserFees,
    Transfer,
    UnfreezeAsset,
    VoidTransfer,
)
from trading.domain.events import Event, OrderAmended, OrderClosed, OrderPlaced, OrderTriggered, Traded
from trading.domain.markets import CircuitBreaker, FeeRates, FeeTier, Market, MarketStatus
from trading.domain.orders import OrderType, Side, TimeInForce
from trading.domain.outcomes import Repeat
from trading.domain.queries import depth, markets_to_continue
from trading.domain.state import Limits

COMMANDS = 100_000
OPEN_ORDERS = 12
REMEMBERED_BATCHES = 150  # no step names a key or a hold that is older: those are for the shell to look up
BREAKER = CircuitBreaker(move_basis_points=500, window_milliseconds=2_000, pause_milliseconds=4_000)
MARKETS = (
    replace(
        COIN_USD,
        maximum_open_orders=9,
        breaker=BREAKER,
        fee_tiers=(FeeTier(3_000 * UNIT, 6, 15), FeeTier(9_000 * UNIT, 2, 9)),
    ),
    replace(DUST_USD, maximum_open_orders=7, breaker=BREAKER, fee_tiers=(FeeTier(6_000 * UNIT, 3, 11),)),
)


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
        market.maximum_open_orders,
        [
            (decimal(tier.volume), tier.maker_fee_basis_points / points, tier.taker_fee_basis_points / points)
            for tier in market.fee_tiers
        ],
        market.breaker.move_basis_points / points, market.breaker.window_milliseconds,
        market.breaker.pause_milliseconds,
    )  # fmt: skip


class Pair:
    """The core and the naive engine, fed the same commands, compared after each."""

    def __init__(self) -> None:
        limits = Limits(open_orders_per_user=OPEN_ORDERS, remembered_batches=REMEMBERED_BATCHES)
        self.bench = Bench(limits=limits, users=USERS, check=False)
        for market in MARKETS:
            self.bench.do(SetMarket(OPERATOR, market, "rules"))
        self.naive = ReferenceLedger([rules_of(market) for market in MARKETS], OPEN_ORDERS)
        self.order_ids: list[str] = []
        for user in USERS:
            for asset, amount in (("USD", 10_000), ("COIN", 100), ("DUST", 10_000)):
                self.naive.deposit(user, asset, Decimal(amount))
        self.naive.now = self.bench.now
        self.trades = 0
        self.maker_rates: set[int] = set()
        self.refusals: dict[str, int] = {}
        self.moments: dict[str, int] = {}  # when held transfers expire, by key
        self.happened: dict[str, int] = {}  # what became of orders, and how often

    def run(self, step: Step) -> None:
        known, closed = len(self.naive.trades), len(self.naive.closed)
        if step.kind == "batch":
            self.bench.batch(step.milliseconds)
            self.naive.now = self.bench.now
            self.naive.expire()
            core, naive, events = "", "", self._expire()
        elif step.ledger is not None:
            core, naive, events = self._core_ledger(step.ledger), self._naive_ledger(step.ledger), []
        else:
            core, events = self._core(step)
            naive = self._naive(step)
        assert core == naive, step
        trades = self._trades(events)
        assert trades == self.naive.trades[known:], step
        closings = self._closings(events)
        assert closings == sorted(self.naive.closed[closed:]), step
        for _, status, reason in closings:
            self.happened[f"{status}: {reason}"] = self.happened.get(f"{status}: {reason}", 0) + 1
        for event in events:
            if isinstance(event, OrderTriggered | OrderAmended):
                name = type(event).__name__
                self.happened[name] = self.happened.get(name, 0) + 1
        if step.kind == "amend":
            self.compare_books()
        self.trades += len(trades)
        if core:
            self.refusals[core] = self.refusals.get(core, 0) + 1

    def compare_all(self) -> None:
        for user in USERS:
            for asset in ("USD", "COIN", "DUST"):
                available, held = self.bench.money(user, asset)
                assert decimal(available) == self.naive.available(user, asset)
                assert decimal(held) == self.naive.held(user, asset)
        self.compare_books()
        for symbol in self.bench.exchange.state.markets:
            self._compare_depth(symbol)
        for owner in ("house", "fees", "external"):
            for asset, account in (
                self.bench.exchange.state.owners[owner].accounts.items()
                if owner in self.bench.exchange.state.owners
                else ()
            ):
                assert decimal(account.available + account.held) == self.naive.balances[owner, asset]
                assert decimal(account.held) == self.naive.held(owner, asset)
        self.bench.assert_sound()

    def compare_books(self) -> None:
        """Order by order, in the order in which they trade."""
        for symbol, state in self.bench.exchange.state.markets.items():
            for book, side in ((state.bids, "buy"), (state.asks, "sell")):
                core = [
                    (decimal(order.price), decimal(order.remaining_quantity), order.user_id) for order in book.orders()
                ]
                assert core == self.naive.book(symbol, side)

    def _compare_depth(self, symbol: str) -> None:
        shown = depth(self.bench.exchange.state, symbol, 50, time_milliseconds=self.bench.now)
        for levels, taker in ((shown.asks, "buy"), (shown.bids, "sell")):
            merged: dict[Decimal, Decimal] = {}
            for price, quantity, _ in self.naive._offers(self.naive.books[symbol], taker):
                merged[price] = merged.get(price, Decimal(0)) + quantity
            assert [(decimal(level.price), decimal(level.quantity)) for level in levels] == list(merged.items())

    def _expire(self) -> list[Event]:
        events: list[Event] = []
        while more := self.bench.done(ExpireOrders()):
            events += more
        while self.bench.done(ExpireTransfers()):
            pass
        return events

    def _core_ledger(self, step: LedgerStep) -> str:
        try:
            outcome = self.bench.do(self._ledger_command(step))
        except ServiceError as error:
            return error.reason
        return "repeat" if isinstance(outcome, Repeat) else ""

    def _ledger_command(self, step: LedgerStep) -> Command:
        moves = tuple(
            Posting(owner if owner in SYSTEM else f"user:{owner}", asset, minor(amount))
            for owner, asset, amount in step.moves
        )
        if step.kind == "transfer":
            return Transfer(OPERATOR, step.key, step.transfer_kind, moves, "why")
        if step.kind == "hold":
            expires = 0 if step.expires_in is None else self._moment(step)
            return HoldTransfer(OPERATOR, step.key, step.transfer_kind, moves, expires, "why")
        if step.kind == "post":
            return PostTransfer(OPERATOR, step.key, step.hold_key, moves)
        if step.kind == "void":
            return VoidTransfer(OPERATOR, step.key, step.hold_key)
        change = FreezeAsset if step.kind == "freeze" else UnfreezeAsset
        return change(OPERATOR, step.asset, "why")

    def _moment(self, step: LedgerStep) -> int:
        """A retry names the same moment as the first request."""
        return self.moments.setdefault(step.key, self.bench.now + (step.expires_in or 0))

    def _naive_ledger(self, step: LedgerStep) -> str:
        naive = self.naive
        try:
            if step.kind == "transfer":
                return naive.transfer(step.key, step.transfer_kind, step.moves)
            if step.kind == "hold":
                expires = None if step.expires_in is None else self._moment(step)
                return naive.hold(step.key, step.transfer_kind, step.moves, expires)
            if step.kind == "post":
                return naive.post(step.key, step.hold_key, step.moves)
            if step.kind == "void":
                return naive.void(step.key, step.hold_key)
            return naive.freeze(step.asset) if step.kind == "freeze" else naive.unfreeze(step.asset)
        except RefusedError as refusal:
            return str(refusal)

    def _core(self, step: Step) -> tuple[str, list[Event]]:
        try:
            events = self.bench.done(self._command(step))
        except ServiceError as error:
            return error.reason, []
        while markets := markets_to_continue(self.bench.exchange.state):
            events += self.bench.done(Continue(markets[0]))
        placed = [event for event in events if isinstance(event, OrderPlaced)]
        self.order_ids += [event.order_id for event in placed]
        self.maker_rates |= {event.maker_fee_basis_points for event in placed}
        return "", events

    def _closings(self, events: list[Event]) -> list[Closing]:
        return sorted(
            (self.order_ids.index(event.order_id) + 1, event.status.value, event.reason.value)
            for event in events
            if isinstance(event, OrderClosed)
        )

    def _trades(self, events: list[Event]) -> list[Trade]:
        return [
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
            lowest, highest = sorted((minor(step.seen or step.price), minor(step.price)))
            return SetReferencePrice(
                step.market, minor(step.price), "simulator", source_time, self.bench.now, lowest, highest
            )
        if step.kind in {"status", "resume", "fees"}:
            return self._operators_command(step)
        if step.kind == "amend":
            order_id = self.order_ids[step.order_number - 1]
            return AmendOrder(actor(step.user), order_id, minor(step.price), minor(step.quantity))
        if step.kind == "cancel":
            return CancelOrder(actor(step.user), self.order_ids[step.order_number - 1])
        if step.kind == "cancel_all":
            return CancelAll(actor(step.user), step.market)
        return PlaceOrder(
            actor(step.user), step.market, Side(step.side), OrderType(step.order_type),
            TimeInForce(step.time_in_force), minor(step.quantity), minor(step.quote_quantity), minor(step.price),
            step.post_only, stop_price=minor(step.stop), expires_milliseconds=self._expires(step),
        )  # fmt: skip

    def _expires(self, step: Step) -> int:
        return self.bench.now + step.expires_in if step.time_in_force == "gtd" else 0

    def _operators_command(self, step: Step) -> Command:
        if step.kind == "status":
            market = self.bench.exchange.state.markets[step.market].market
            changed = replace(market, status=MarketStatus(step.status))
            return SetMarket(OPERATOR, changed, "operator's change", reference_price=100 * UNIT)
        if step.kind == "resume":
            return ResumeMarket(OPERATOR, step.market, "operator's change")
        rates = FeeRates(*step.fees) if step.fees is not None else None
        return SetUserFees(OPERATOR, step.user, rates, "operator's change")

    def _naive(self, step: Step) -> str:
        naive = self.naive
        try:
            if step.kind == "reference":
                naive.set_reference(
                    step.market,
                    step.price,
                    source_time=naive.now - step.milliseconds,
                    received_time=naive.now,
                    seen=[step.seen] if step.seen else [],
                )
            elif step.kind == "status":
                naive.set_status(step.market, step.status)
            elif step.kind == "resume":
                naive.resume(step.market)
            elif step.kind == "fees":
                shares = tuple(Decimal(rate) / 10_000 for rate in step.fees) if step.fees is not None else None
                naive.set_own_fees(step.user, shares)  # type: ignore[arg-type]  # two of them
            elif step.kind == "amend":
                naive.amend(step.user, step.order_number, step.price, step.quantity)
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
                        step.stop,
                        self._expires(step),
                    )
                )
        except RefusedError as refusal:
            return str(refusal)
        return ""


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_the_core_agrees_with_a_naive_engine_on_trades_books_and_balances(seed: int) -> None:
    agree(seed)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(5, 41))
def test_the_core_agrees_with_a_naive_engine_over_a_million_commands(seed: int) -> None:
    agree(seed)


def agree(seed: int) -> None:
    pair = Pair()
    generator = CommandGenerator(seed)
    with localcontext(EXACT):
        for number in range(COMMANDS // 4):
            pair.run(generator.step(pair.naive.orders_placed))
            if number % 12 == 0:
                pair.run(generator.ledger_step())
            if number % 100 == 0:
                pair.compare_all()
        pair.compare_all()
    # The agreement means something only if much happened.
    assert pair.trades > COMMANDS // 40
    expected = {
        "insufficient_funds", "no_liquidity", "post_only_would_take", "fill_or_kill_unfilled", "price_band",
        "market_paused", "market_halted", "market_cancel_only", "too_many_open_orders", "stop_price_reached",
        "expiry_in_past", "amend_below_filled", "order_not_open",
        "invalid_transfer", "business_key_reused", "repeat", "asset_frozen", *HOW_IT_ENDED.values(),
    }  # fmt: skip
    assert set(pair.naive.ends) == set(HOW_IT_ENDED)
    assert {
        "OrderTriggered", "OrderAmended", "expired: expired", "rejected: no_liquidity",
        "rejected: post_only_would_take", "rejected: fill_or_kill_unfilled", "cancelled: self_trade",
        "cancelled: immediate_or_cancel", "cancelled: no_liquidity", "cancelled: user",
    } <= set(pair.happened)  # fmt: skip
    assert {0, 2, 3, 6, 10, 30} <= pair.maker_rates  # every tier, and rates of one's own
    assert expected <= set(pair.refusals)
