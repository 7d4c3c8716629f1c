"""Any sequence of commands that anybody could send, with every invariant checked after each."""

from dataclasses import replace

from chassis.errors import ServiceError
from exchange_factory import COIN_USD, OPERATOR, UNIT, Bench, actor
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from trading.domain.accounts import Posting
from trading.domain.bookkeeping import Bookkeeping
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
from trading.domain.events import OrderPlaced
from trading.domain.exchange import Exchange
from trading.domain.invariants import check_all
from trading.domain.markets import CircuitBreaker, FeeRates, FeeTier, MarketStatus
from trading.domain.orders import TRIGGERS, OrderType, Side, TimeInForce
from trading.domain.outcomes import Repeat
from trading.domain.queries import markets_to_continue
from trading.domain.snapshot import restore_snapshot, state_hash, take_snapshot
from trading.domain.state import ExchangeState, Limits

LIMITS = Limits(remembered_batches=3, open_orders_per_user=4, fills_per_command=2)
RULES = replace(
    COIN_USD,
    maximum_open_orders=3,
    fee_tiers=(FeeTier(300 * UNIT, 5, 7), FeeTier(900 * UNIT, 0, 1)),
    breaker=CircuitBreaker(200, 1_000, 2_000),
)
users = st.sampled_from(("alice", "bob", "carol"))
sides = st.sampled_from(Side)
keys = st.sampled_from(("", "", "", "k1", "k2"))
quantities = st.one_of(st.integers(1, 6_000).map(lambda lots: lots * COIN_USD.lot), st.integers(0, 2**64))
prices = st.one_of(st.integers(950, 1_050).map(lambda ticks: ticks * COIN_USD.tick), st.integers(-1, 2**64))


class ExchangeMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench(limits=LIMITS, users=("alice", "bob", "carol"), check=False)
        self.order_ids: list[str] = ["nothing"]
        self.hold_keys: list[str] = ["nothing"]
        self.books = Bookkeeping(ExchangeState())
        self.booked = 0
        self.bench.do(SetMarket(OPERATOR, RULES, "start"))
        self.bench.reference("100")

    def attempt(self, command: Command) -> None:
        """A refusal must leave no trace."""
        before = state_hash(self.bench.exchange.state)
        try:
            outcome = self.bench.do(command)
        except ServiceError:
            assert state_hash(self.bench.exchange.state) == before
            return
        if not isinstance(outcome, Repeat):
            self.order_ids += [event.order_id for event in outcome if isinstance(event, OrderPlaced)]
        else:
            assert state_hash(self.bench.exchange.state) == before

    @rule(milliseconds=st.sampled_from((0, 1, 700, 3_001, 15 * 86_400_000)))
    def open_batch(self, milliseconds: int) -> None:
        self.bench.batch(milliseconds)

    @rule(user=users, side=sides, quantity=quantities, price=prices, time_in_force=st.sampled_from(TimeInForce),
          post_only=st.booleans(), key=keys, client_order_id=keys)  # fmt: skip
    def place_limit(
        self, *, user: str, side: Side, quantity: int, price: int, time_in_force: TimeInForce, post_only: bool,
        key: str, client_order_id: str,
    ) -> None:  # fmt: skip
        self.attempt(
            PlaceOrder(
                actor(user),
                "COIN-USD",
                side,
                OrderType.LIMIT,
                time_in_force,
                quantity=quantity,
                price=price,
                post_only=post_only,
                idempotency_key=key,
                client_order_id=client_order_id,
            )
        )

    @rule(user=users, side=sides, amount=quantities, by_quote=st.booleans(), fill_or_kill=st.booleans(), key=keys)
    def place_market(self, *, user: str, side: Side, amount: int, by_quote: bool, fill_or_kill: bool, key: str) -> None:
        self.attempt(
            PlaceOrder(
                actor(user),
                "COIN-USD",
                side,
                OrderType.MARKET,
                TimeInForce.FOK if fill_or_kill else TimeInForce.IOC,
                quantity=0 if by_quote else amount,
                quote_quantity=amount * 100 if by_quote else 0,
                idempotency_key=key,
            )
        )

    @rule(user=users, side=sides, amount=quantities, by_quote=st.booleans(), stop_price=prices,
          price=st.none() | prices, kind=st.sampled_from(TRIGGERS), time_in_force=st.sampled_from(TimeInForce),
          expires_in=st.sampled_from((-1, 0, 1, 700)), post_only=st.booleans(), key=keys)  # fmt: skip
    def place_waiting(
        self, *, user: str, side: Side, amount: int, by_quote: bool, stop_price: int, price: int | None,
        kind: OrderType, time_in_force: TimeInForce, expires_in: int, post_only: bool, key: str,
    ) -> None:  # fmt: skip
        # Mostly what goes together, so that there are orders that wait.
        limited = kind is OrderType.STOP_LIMIT
        self.attempt(
            PlaceOrder(
                actor(user),
                "COIN-USD",
                side,
                kind,
                time_in_force,
                quantity=0 if by_quote and not limited else amount,
                quote_quantity=amount * 100 if by_quote and not limited else 0,
                price=(stop_price if price is None else price) if limited else 0,
                post_only=post_only and limited,
                idempotency_key=key,
                stop_price=stop_price,
                expires_milliseconds=self.bench.now + expires_in if time_in_force is TimeInForce.GTD else 0,
            )
        )

    @rule(user=users, which=st.integers(0, 30), price=st.just(0) | prices, quantity=st.just(0) | quantities, key=keys)
    def amend(self, *, user: str, which: int, price: int, quantity: int, key: str) -> None:
        order_id = self.order_ids[-1 - which % len(self.order_ids)]
        self.attempt(AmendOrder(actor(user), order_id, price, quantity, key))

    @rule()
    def expire(self) -> None:
        self.attempt(ExpireOrders())

    @rule(user=users, which=st.integers(0, 30), key=keys)
    def cancel(self, user: str, which: int, key: str) -> None:
        self.attempt(CancelOrder(actor(user), self.order_ids[-1 - which % len(self.order_ids)], key))

    @rule(user=users, key=keys)
    def cancel_all(self, user: str, key: str) -> None:
        self.attempt(CancelAll(actor(user), "COIN-USD", key))

    @rule(
        ticks=st.integers(970, 1_030),
        seen=st.sampled_from((0, 990, 1_010)),
        age=st.sampled_from((0, 0, 3_001)),
        source=st.sampled_from(("simulator", "x")),
    )
    def set_reference(self, ticks: int, seen: int, age: int, source: str) -> None:
        now = self.bench.now
        price, other = ticks * COIN_USD.tick, (seen or ticks) * COIN_USD.tick
        lowest, highest = min(price, other), max(price, other)
        self.attempt(SetReferencePrice("COIN-USD", price, source, now - age, now, lowest, highest))

    @rule(
        status=st.sampled_from(MarketStatus),
        fee=st.integers(0, 60),
        inventory=st.sampled_from((15, 15, 4, 1)),
        seen_version=st.integers(0, 4),
        key=keys,
    )
    def set_market(self, *, status: MarketStatus, fee: int, inventory: int, seen_version: int, key: str) -> None:
        house = replace(RULES.house, inventory_limit=inventory * UNIT)
        market = replace(RULES, status=status, maker_fee_basis_points=fee, house=house)
        self.attempt(SetMarket(OPERATOR, market, "operator's change", seen_version, key))

    @rule(status=st.just(MarketStatus.TRADING))
    def reopen(self, status: MarketStatus) -> None:
        self.attempt(SetMarket(OPERATOR, replace(RULES, status=status), "reopen"))

    @rule()
    def resume(self) -> None:
        self.attempt(ResumeMarket(OPERATOR, "COIN-USD", "operator's change"))

    @rule(user=users, rates=st.none() | st.builds(FeeRates, st.integers(-1, 1_001), st.integers(0, 50)))
    def set_user_fees(self, user: str, rates: FeeRates | None) -> None:
        self.attempt(SetUserFees(OPERATOR, user, rates, "operator's change"))

    @rule(user=users, asset=st.sampled_from(("USD", "COIN", "NONE")), amount=st.integers(-(2**64), 2**64), key=keys)
    def transfer(self, user: str, asset: str, amount: int, key: str) -> None:
        for scaled in (amount, amount % (5 * UNIT)):
            postings = (Posting("external", asset, -scaled), Posting(f"user:{user}", asset, scaled))
            # Business keys are for ever, and who looks beyond memory is the shell: so no key outlives a batch here.
            self.attempt(Transfer(OPERATOR, f"{key}-{self.bench.exchange.state.batch_number}", "adjustment", postings))

    @rule(
        user=users,
        kind=st.sampled_from(("withdrawal", "withdrawal", "user_transfer", "deposit", "fee", "nothing")),
        asset=st.sampled_from(("USD", "COIN", "NONE")),
        amount=st.integers(0, 30 * UNIT) | st.integers(-(2**64), 2**64),
        expires_in=st.sampled_from((None, None, 0, 700)),
        key=keys,
    )
    def hold(self, *, user: str, kind: str, asset: str, amount: int, expires_in: int | None, key: str) -> None:
        payer, payee = f"user:{user}", {"user_transfer": "user:bob", "fee": "fees"}.get(kind, "external")
        if kind == "deposit":
            payer, payee = payee, payer
        expires = 0 if expires_in is None else self.bench.now + expires_in
        hold_key = f"{key}-{self.bench.exchange.state.batch_number}"
        self.hold_keys.append(hold_key)
        postings = (Posting(payer, asset, -amount), Posting(payee, asset, amount))
        self.attempt(HoldTransfer(OPERATOR, hold_key, kind, postings, expires))

    @rule(which=st.integers(0, 9), share=st.sampled_from((None, None, 1, 2, -1)), key=st.sampled_from(("p1", "p2")))
    def post(self, which: int, share: int | None, key: str) -> None:
        hold_key = self.hold_keys[-1 - which % len(self.hold_keys)]
        pending = self.bench.exchange.state.pending_transfers.get(hold_key)
        part = ()
        if share is not None and pending is not None:
            # Half, a third; where it is negative the money would flow the other way.
            part = tuple(posting._replace(amount=posting.amount // (share + 1) if share > 0 else -posting.amount)
                         for posting in pending.postings)  # fmt: skip
        self.attempt(PostTransfer(OPERATOR, f"{hold_key}:{key}", hold_key, part))

    @rule(which=st.integers(0, 9), key=st.sampled_from(("p1", "v1")))
    def void(self, which: int, key: str) -> None:
        hold_key = self.hold_keys[-1 - which % len(self.hold_keys)]
        self.attempt(VoidTransfer(OPERATOR, f"{hold_key}:{key}", hold_key))

    @rule()
    def expire_transfers(self) -> None:
        self.attempt(ExpireTransfers())

    @rule(asset=st.sampled_from(("USD", "COIN", "DUST")), doubt=st.booleans())
    def freeze(self, asset: str, *, doubt: bool) -> None:
        self.attempt(FreezeAsset(OPERATOR, asset, "M1") if doubt else UnfreezeAsset(OPERATOR, asset, "seen"))

    @rule()
    def drain(self) -> None:
        for market in markets_to_continue(self.bench.exchange.state):
            self.attempt(Continue(market))

    @invariant()
    def every_invariant_holds(self) -> None:
        assert check_all(self.bench.exchange.state) == []
        assert self.bench.history.compare(self.bench.exchange.state) == []
        for event in self.bench.events[self.booked :]:
            self.books.feed(event)
        self.booked = len(self.bench.events)
        assert self.books.check_touched(self.bench.exchange.state) == []

    def teardown(self) -> None:
        state = self.bench.exchange.state
        folded = Exchange()
        for event in self.bench.events:
            folded.apply(event)
        assert state_hash(folded.state) == state_hash(state)
        assert state_hash(restore_snapshot(take_snapshot(state))) == state_hash(state)


ExchangeMachine.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestExchange = ExchangeMachine.TestCase
