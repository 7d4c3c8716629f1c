"""Whoever is refused is told an order that would be accepted, or why there is none."""

from collections import Counter
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from chassis.errors import ServiceError
from command_generator import CommandGenerator
from exchange_factory import COIN_USD, OPERATOR, UNIT, Bench, actor, units
from test_reference_agreement import Pair
from test_triggers import trigger
from trading.domain.commands import (
    AmendOrder,
    CancelOrder,
    Command,
    Continue,
    PlaceOrder,
    SetAsset,
    SetMarket,
    SetReferencePrice,
)
from trading.domain.errors import AboveMaxQuantity, BelowMinNotional, ClientOrderIdReused, PostOnlyWouldTake
from trading.domain.events import Event, OrderAmended, OrderClosed, OrderPlaced, Traded
from trading.domain.markets import Asset
from trading.domain.orders import CloseReason, OrderType, Side, TimeInForce
from trading.domain.queries import markets_to_continue
from trading.domain.snapshot import state_hash
from trading.domain.state import Limits
from trading.domain.suggest_amendment import suggest_amendment
from trading.domain.suggestions import IS_PLACED, WHY_NONE, WHY_NONE_DEFAULT, suggest_order

COMMANDS = 4_000
NUMBERS = (0, 1, -1, 7, UNIT, 10**11, 2**62, 2**63 - 1, 2**63, 2**200)


def spoilt(random: Random, command: Command, now: int) -> Command:
    """Often as it is, else with one or two fields that do not fit."""
    change: dict[str, Any] = {}
    for _ in range(random.choice((0, 0, 1, 2))):
        if isinstance(command, AmendOrder):
            change[random.choice(("price", "quantity"))] = random.choice(NUMBERS)
        elif isinstance(command, PlaceOrder):
            field = random.choice((*command._fields[2:9], "stop_price", "expires_milliseconds", "client_order_id"))
            change[field] = {
                "side": random.choice(tuple(Side)),
                "order_type": random.choice(tuple(OrderType)),
                "time_in_force": random.choice(tuple(TimeInForce)),
                "post_only": random.random() < 0.5,
                "client_order_id": random.choice(("mine", "x" * 65)),
                "expires_milliseconds": random.choice((0, now, now + 5, 2**63)),
            }.get(field, random.choice(NUMBERS))
    if isinstance(command, PlaceOrder) and command.quantity and random.random() < 0.05:
        # By amount, as limits are not.
        worth = command.quantity * (command.price or UNIT) // UNIT
        change |= {"quantity": 0, "quote_quantity": max(worth, 1)}
    return command._replace(**change) if change else command


def ended_without_a_fill(events: list[Event]) -> CloseReason | None:
    """Why the order that was placed or amended is over, where it has traded nothing."""
    first = events[0]
    assert isinstance(first, OrderPlaced | OrderAmended)
    for event in events:
        if isinstance(event, Traded) and first.order_id in {event.buyer.order_id, event.seller.order_id}:
            return None
        if isinstance(event, OrderClosed) and event.order_id == first.order_id:
            return event.reason
    return None


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_refused_order_is_answered_with_one_that_is_accepted_or_with_why_there_is_none(seed: int) -> None:
    pair, generator, random = Pair(), CommandGenerator(seed), Random(seed)
    bench = pair.bench
    accepted: Counter[str] = Counter()
    none: Counter[str] = Counter()
    unexplained = 0
    ruleless: list[ServiceError] = []

    def run(command: Command) -> list[Event]:
        events = bench.done(command)
        while markets := markets_to_continue(bench.exchange.state):
            events += bench.done(Continue(markets[0]))
        pair.order_ids += [event.order_id for event in events if isinstance(event, OrderPlaced)]
        return events

    for _ in range(COMMANDS):
        step = generator.step(len(pair.order_ids))
        if step.kind == "batch":
            bench.batch(step.milliseconds)
            pair._expire()
            continue
        command = spoilt(random, pair._command(step), bench.now)
        try:
            run(command)
        except ServiceError as refusal:
            if not isinstance(command, PlaceOrder | AmendOrder):
                continue
            ruleless += [] if {"rule", "limit"} <= refusal.details.keys() else [refusal]
            before = state_hash(bench.exchange.state)
            state = bench.exchange.state
            suggested = (
                suggest_order(state, command) if isinstance(command, PlaceOrder) else suggest_amendment(state, command)
            )
            assert state_hash(state) == before
            if isinstance(suggested, str):
                assert suggested
                none[refusal.reason] += 1
                unexplained += suggested == WHY_NONE_DEFAULT
            else:
                ended = ended_without_a_fill(run(suggested))
                if ended is not None:
                    # Nobody is there at the limit of somebody who asked for an order that then ends.
                    assert isinstance(command, PlaceOrder)
                    assert (command.time_in_force, ended) == (TimeInForce.IOC, CloseReason.IMMEDIATE_OR_CANCEL)
                accepted[refusal.reason] += 1
    bench.assert_sound()
    assert not ruleless
    expected = {
        "invalid_order", "below_min_notional", "price_band", "post_only_would_take", "fill_or_kill_unfilled",
        "no_liquidity", "insufficient_funds", "invalid_tick", "invalid_lot", "stop_price_reached", "expiry_in_past",
        "amend_below_filled", "above_max_quantity",
    }  # fmt: skip
    assert expected <= set(accepted), (accepted, none)
    # What no change to the order mends says so: a closed market, no price, no room, no money.
    unmendable = {"market_halted", "market_cancel_only", "market_paused", "stale_price", "client_order_id_reused"}
    assert not unmendable & set(accepted)
    assert none["client_order_id_reused"]
    assert unexplained < sum(accepted.values()) // 10


@pytest.fixture
def bench() -> Bench:
    bench = Bench(users=("alice", "bob"))
    bench.reference("100")
    return bench


def suggestion(bench: Bench, command: PlaceOrder) -> PlaceOrder:
    with pytest.raises(ServiceError):
        bench.do(command)
    suggested = suggest_order(bench.exchange.state, command)
    assert isinstance(suggested, PlaceOrder)
    bench.done(suggested)
    return suggested


def test_the_suggestion_changes_no_more_than_the_broken_rule_asks_for(bench: Bench) -> None:
    command = bench.limit("alice", Side.BUY, "1.0004", "99.04")
    assert suggestion(bench, command) == command._replace(quantity=UNIT, price=99 * UNIT)
    command = bench.limit("alice", Side.BUY, "1", "99.04", client_order_id="mine")
    assert suggestion(bench, command) == command._replace(price=99 * UNIT)


@pytest.mark.parametrize(
    ("price", "nearest", "kept"),
    [("1", "90", "90.1"), ("89.9", "90", "90.1"), ("110.1", "110", "109.9"), ("900", "110", "109.9")],
)
def test_of_a_small_order_far_from_the_price_the_price_is_said_first(price: str, nearest: str, kept: str) -> None:
    """What would be enough at a price that does not pass says nothing: the reason and the suggestion agree."""
    bench = Bench()
    bench.reference("100")
    resting = bench.done(bench.limit("alice", Side.BUY, "1", "99"))[0]
    assert isinstance(resting, OrderPlaced)
    small = bench.limit("alice", Side.BUY, "0.001", price)
    amendment = AmendOrder(actor("alice"), resting.order_id, price=units(price), quantity=units("0.001"))
    for command in (small, amendment):
        with pytest.raises(ServiceError) as refusal:
            bench.do(command)
        assert refusal.value.details["rule"] == "price_band"
        assert refusal.value.details["nearest"] == nearest
    suggested = suggest_order(bench.exchange.state, small)
    assert isinstance(suggested, PlaceOrder)
    assert suggested.price == units(kept)
    assert suggested.quantity * units(kept) >= UNIT * UNIT


def test_an_order_whose_client_order_id_is_taken_is_never_suggested_without_it(bench: Bench) -> None:
    """It may be a retry: whoever follows the suggestion wants the one order, not two."""
    first = bench.limit("alice", Side.BUY, "1", "99", client_order_id="mine", idempotency_key="k")
    placed = bench.done(first)[0]
    assert isinstance(placed, OrderPlaced)
    another_order = WHY_NONE["client_order_id_reused"]
    for again, why in (
        (first._replace(idempotency_key="other"), IS_PLACED.format(placed.order_id)),
        (first._replace(idempotency_key="", price=units("99.04")), another_order),
        (first._replace(idempotency_key="", quantity=2 * UNIT), another_order),
    ):
        with pytest.raises(ClientOrderIdReused):
            bench.do(again)
        assert suggest_order(bench.exchange.state, again) == why


def test_too_little_money_suggests_as_much_as_it_pays_for(bench: Bench) -> None:
    bench.done(bench.limit("alice", Side.BUY, "50", "99"))
    suggested = suggestion(bench, bench.limit("alice", Side.BUY, "50", "101", idempotency_key="k"))
    # Of 5,040.1 dollars, at 101 and the larger fee of 0.2 %; one lot more would be too much.
    assert (suggested.quantity, suggested.idempotency_key) == (units("49.802"), "")


def test_money_for_nothing_has_no_suggestion_but_a_reason(bench: Bench) -> None:
    poor = bench.limit("carol", Side.BUY, "1", "99")
    assert suggest_order(bench.exchange.state, poor) == WHY_NONE["insufficient_funds"]


def test_too_little_money_by_quote_amount_says_so_and_suggests_nothing_below_the_smallest_order(bench: Bench) -> None:
    bench.deposit("carol", "USD", UNIT // 2)
    for worth in ("0.3", "0.5", "20"):
        poor = bench.market("carol", Side.BUY, quote_quantity=units(worth))
        assert suggest_order(bench.exchange.state, poor) == WHY_NONE["insufficient_funds"]


@pytest.mark.parametrize(
    ("side", "given", "enough", "kept"),
    [(Side.SELL, "0.0985", "0.0998", "0.0998499"), (Side.BUY, "0.1", "0.1004004", "0.1004506")],
)
def test_less_than_a_lots_worth_is_measured_by_the_best_offer(side: Side, given: str, enough: str, kept: str) -> None:
    """The slippage cap is the worst price of a lot, not what it costs."""
    bench = Bench(users=("alice",))
    bench.do(SetMarket(OPERATOR, replace(COIN_USD, minimum_notional=1), "start"))
    bench.reference("100")
    small = bench.market("alice", side, quote_quantity=units(given))
    with pytest.raises(BelowMinNotional) as refusal:
        bench.do(small)
    details = refusal.value.details
    assert (details["given"], details["limit"], details["nearest"]) == (given, enough, enough)
    with pytest.raises(BelowMinNotional):
        bench.do(small._replace(quote_quantity=units(enough) - 1))
    bench.done(small._replace(quote_quantity=units(enough)))
    assert suggestion(bench, small) == small._replace(quote_quantity=units(kept))


@pytest.mark.parametrize(
    ("command", "stop_price", "price"),
    [
        (trigger("alice", OrderType.STOP, Side.SELL, "0.1", quantity=UNIT // 50), "50", "0"),
        # With a single lot no stop price would wait: then the quantity gives way.
        (trigger("alice", OrderType.STOP, Side.SELL, "0.1", quantity=UNIT // 1000), "99.9", "0"),
        (trigger("alice", OrderType.TAKE_PROFIT, Side.BUY, "0.1", quantity=UNIT // 50), "50", "0"),
        (trigger("alice", OrderType.STOP_LIMIT, Side.SELL, "0.1", quantity=UNIT // 50, price=UNIT // 10), "50", "50"),
        (trigger("alice", OrderType.TAKE_PROFIT, Side.BUY, "0.1", quantity=0, quote_quantity=UNIT), "1", "0"),
        (trigger("alice", OrderType.TAKE_PROFIT, Side.BUY, "0.1", quantity=0, quote_quantity=90 * UNIT), "90", "0"),
        (trigger("alice", OrderType.TAKE_PROFIT, Side.BUY, "0.1", quantity=0, quote_quantity=UNIT // 50), "1", "0"),
    ],
)
def test_where_no_quantity_is_enough_at_the_stop_price_a_higher_one_is_suggested(
    command: PlaceOrder, stop_price: str, price: str
) -> None:
    bench = Bench()
    bench.do(SetMarket(OPERATOR, replace(COIN_USD, maximum_quantity=UNIT), "start"))
    bench.reference("100")
    with pytest.raises(BelowMinNotional if command.quote_quantity < UNIT else AboveMaxQuantity) as refusal:
        bench.do(command)
    if isinstance(refusal.value, BelowMinNotional):
        assert "nearest" not in refusal.value.details
        assert "enough" not in refusal.value.message
    suggested = suggestion(bench, command)
    assert (suggested.stop_price, suggested.price) == (units(stop_price), units(price))


def test_a_limit_at_which_no_quantity_is_enough_is_raised_within_the_band() -> None:
    bench = Bench()
    bench.do(SetMarket(OPERATOR, replace(COIN_USD, maximum_quantity=UNIT), "start"))
    bench.reference("0.95")
    command = bench.limit("alice", Side.BUY, "1", "0.9")
    assert suggestion(bench, command) == command._replace(price=UNIT)


@pytest.mark.parametrize("price", ["1", "100", "1000"])
def test_a_market_whose_largest_order_is_worth_less_than_its_smallest_says_so(price: str) -> None:
    bench = Bench()
    bench.do(SetMarket(OPERATOR, replace(COIN_USD, maximum_quantity=UNIT), "start"))
    bench.reference("0.8")
    for command in (
        bench.limit("alice", Side.BUY, "1", "0.8"),
        bench.limit("alice", Side.BUY, "1", price),
        bench.market("alice", Side.BUY, quantity=UNIT),
        bench.market("alice", Side.BUY, quote_quantity=UNIT // 2),
    ):
        assert suggest_order(bench.exchange.state, command) == WHY_NONE["below_min_notional"]


def test_a_number_too_long_for_an_order_is_still_one_to_work_with() -> None:
    """Of an asset without decimals 63 bits are 19 digits, one more than anybody may send."""
    bench = Bench()
    yen = Asset("YEN", "Yen", 0)
    bench.do(SetAsset(OPERATOR, yen, "start"))
    bench.do(SetMarket(OPERATOR, replace(
        COIN_USD, quote="YEN", quote_scale=0, tick=1, lot=UNIT, minimum_notional=1, maximum_quantity=1_000 * UNIT,
    ), "start"))  # fmt: skip
    bench.done(SetReferencePrice("COIN-YEN", 100, "simulator", bench.now, bench.now))
    bench.deposit("alice", "YEN", 5 * 10**15)
    order = trigger("alice", OrderType.STOP, Side.BUY, "0", quantity=1_000 * UNIT)
    suggested = suggestion(bench, order._replace(market="COIN-YEN", stop_price=4 * 10**15))
    assert suggested.quantity == UNIT


@pytest.mark.parametrize("figures", [{"quote_quantity": UNIT}, {"quantity": 20 * UNIT}])
def test_in_a_market_that_has_fallen_below_its_tick_there_is_nothing_to_suggest(figures: dict[str, int]) -> None:
    bench = Bench()
    bench.reference("0.05")
    buying = bench.market("alice", Side.BUY, **figures)
    with pytest.raises(ServiceError) as refusal:
        bench.do(buying)
    assert refusal.value.reason == "no_liquidity"
    assert suggest_order(bench.exchange.state, buying) == WHY_NONE["no_liquidity"]


def test_a_refusal_names_no_price_that_would_pass_where_there_is_none() -> None:
    """As where an operator's tick is coarser than the price itself."""
    bench = Bench()
    bench.reference("0.05")
    for order in (
        bench.limit("alice", Side.BUY, "20", "0.1"),
        bench.limit("alice", Side.SELL, "20", "0.1"),
        trigger("alice", OrderType.STOP, Side.SELL, "0.1", quantity=20 * UNIT),
    ):
        with pytest.raises(ServiceError) as refusal:
            bench.do(order)
        assert refusal.value.reason in {"price_band", "stop_price_reached"}
        assert "nearest" not in refusal.value.details, refusal.value.details
        assert "0 would" not in refusal.value.message
        assert isinstance(suggest_order(bench.exchange.state, order), str)
    bench = Bench()
    bench.reference("0.1")
    bench.deposit("bob", "COIN", 100 * UNIT)
    bench.do(bench.limit("bob", Side.SELL, "20", "0.1"))
    with pytest.raises(PostOnlyWouldTake) as taking:
        bench.do(bench.limit("alice", Side.BUY, "20", "0.1", post_only=True))
    assert "nearest" not in taking.value.details, taking.value.details


def test_a_fill_or_kill_of_which_too_little_can_be_filled_suggests_the_order_that_need_not_be() -> None:
    bench = Bench()
    bench.reference("100")
    bench.batch(4_000)  # the house is out: its price is stale
    bench.done(bench.limit("bob", Side.SELL, "1", "100"))
    bench.deposit("carol", "USD", 1_000 * UNIT)
    bench.done(bench.limit("carol", Side.BUY, "0.995", "100"))
    command = bench.limit("alice", Side.BUY, "1", "100", time_in_force=TimeInForce.FOK)
    assert suggestion(bench, command) == command._replace(time_in_force=TimeInForce.GTC)


def test_a_stop_that_is_reached_already_suggests_the_next_that_waits_and_its_limit_goes_along(bench: Bench) -> None:
    command = trigger("alice", OrderType.STOP_LIMIT, Side.SELL, "103", price=units("102"))
    suggested = suggestion(bench, command)
    assert (suggested.stop_price, suggested.price) == (units("99.9"), units("98.9"))


def test_no_room_for_another_open_order_suggests_one_that_takes_where_that_would_trade() -> None:
    bench = Bench(limits=Limits(open_orders_per_user=1))
    bench.reference("100")
    bench.done(bench.limit("alice", Side.BUY, "1", "99"))
    crossing = bench.limit("alice", Side.BUY, "5", "100.2")
    assert suggestion(bench, crossing).time_in_force is TimeInForce.IOC
    resting = bench.limit("alice", Side.BUY, "1", "99")
    assert suggest_order(bench.exchange.state, resting) == WHY_NONE["too_many_open_orders"]


def test_an_amendment_below_what_is_filled_or_beyond_ones_means_suggests_the_nearest(bench: Bench) -> None:
    placed = bench.done(bench.limit("alice", Side.BUY, "2", "99.9"))[0]
    assert isinstance(placed, OrderPlaced)
    bench.done(bench.limit("bob", Side.SELL, "0.5", "99.9"))
    state = bench.exchange.state
    below = AmendOrder(actor("alice"), placed.order_id, quantity=units("0.2"))
    assert suggest_amendment(state, below) == below._replace(quantity=units("0.501"))
    bench.done(bench.limit("alice", Side.BUY, "49", "99"))
    bench.done(bench.limit("alice", Side.BUY, "45", "99"))
    beyond = AmendOrder(actor("alice"), placed.order_id, quantity=units("40"))
    suggested = suggest_amendment(state, beyond)
    assert isinstance(suggested, AmendOrder)
    bench.done(suggested)
    assert 2 * UNIT < suggested.quantity < 40 * UNIT
    bench.done(CancelOrder(actor("alice"), placed.order_id))
    assert isinstance(suggest_amendment(state, below), str)
