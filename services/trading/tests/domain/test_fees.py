"""What an order pays: tiers by the volume of the last 30 days, a user's own rates, fixed when the order is placed."""

from dataclasses import replace

import pytest
from chassis.errors import ErrorKind
from exchange_factory import COIN_USD, OPERATOR, UNIT, Bench, trades, units
from trading.domain.commands import SetMarket, SetUserFees
from trading.domain.events import OrderPlaced
from trading.domain.fees import FeeStanding, fee_standing
from trading.domain.market_errors import InvalidMarket, UnknownUser
from trading.domain.markets import FeeRates, FeeTier
from trading.domain.orders import Side
from trading.domain.snapshot import restore_snapshot, state_hash, take_snapshot
from trading.domain.traded_volume import DAY_MILLISECONDS, TradedVolume

TIERS = (FeeTier(1_000 * UNIT, 8, 16), FeeTier(5_000 * UNIT, 0, 10))
TIERED = replace(COIN_USD, fee_tiers=TIERS)


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.do(SetMarket(OPERATOR, TIERED, "tiers"))
    bench.reference("100")
    return bench


def standing(bench: Bench, user: str) -> FeeStanding:
    state = bench.exchange.state
    return fee_standing(state.owners.get(f"user:{user}"), state.markets["COIN-USD"].market, bench.now)


def rates_of_next(bench: Bench, user: str) -> tuple[int, int]:
    placed = bench.done(bench.limit(user, Side.BUY, "0.1", "95"))[0]
    assert isinstance(placed, OrderPlaced)
    return placed.maker_fee_basis_points, placed.taker_fee_basis_points


def trade(bench: Bench, coins: str, price: str = "100") -> None:
    """Alice sells to Bob, both once as maker and taker."""
    bench.done(bench.limit("alice", Side.SELL, coins, price))
    bench.done(bench.limit("bob", Side.BUY, coins, price))


def test_a_tier_begins_exactly_at_its_volume(bench: Bench) -> None:
    trade(bench, "9.999")
    assert rates_of_next(bench, "alice") == (10, 20)
    trade(bench, "0.010")
    assert standing(bench, "alice").volume == units("1000.9")
    assert rates_of_next(bench, "alice") == (8, 16)
    assert rates_of_next(bench, "bob") == (8, 16)  # makers and takers count alike
    exactly = Bench()
    exactly.do(SetMarket(OPERATOR, TIERED, "tiers"))
    exactly.reference("100")
    trade(exactly, "10")
    assert standing(exactly, "bob").volume == TIERS[0].volume
    assert rates_of_next(exactly, "bob") == (8, 16)


def test_the_highest_tier_reached_counts_and_the_standing_names_the_next(bench: Bench) -> None:
    assert standing(bench, "alice") == FeeStanding(FeeRates(10, 20), 0, 0, overridden=False, next_tier=TIERS[0])
    trade(bench, "20")
    assert standing(bench, "alice") == FeeStanding(
        FeeRates(8, 16), 1, 2_000 * UNIT, overridden=False, next_tier=TIERS[1]
    )
    trade(bench, "30")
    assert standing(bench, "alice") == FeeStanding(FeeRates(0, 10), 2, 5_000 * UNIT, overridden=False, next_tier=None)


def test_the_rate_is_the_one_of_the_moment_of_placing(bench: Bench) -> None:
    bench.done(bench.limit("alice", Side.SELL, "20", "100"))
    (first,) = trades(bench.done(bench.limit("bob", Side.BUY, "11", "100")))
    # Alice has reached the first tier; what rests pays as it was placed.
    assert standing(bench, "alice").tier == 1
    (second,) = trades(bench.done(bench.limit("bob", Side.BUY, "9", "100")))
    assert (first.seller.fee_basis_points, second.seller.fee_basis_points) == (10, 10)
    assert (first.buyer.fee_basis_points, second.buyer.fee_basis_points) == (20, 16)
    assert second.buyer.fee == units("1.44")


def test_what_was_traded_counts_for_thirty_days(bench: Bench) -> None:
    trade(bench, "20")
    to_midnight = DAY_MILLISECONDS - bench.now % DAY_MILLISECONDS
    bench.batch(to_midnight + 28 * DAY_MILLISECONDS + DAY_MILLISECONDS - 1)
    assert standing(bench, "alice").volume == 2_000 * UNIT
    bench.batch(1)
    assert standing(bench, "alice").volume == 0
    bench.reference("100")
    assert rates_of_next(bench, "alice") == (10, 20)
    trade(bench, "1")
    volume = bench.exchange.state.owners["user:alice"].volumes["USD"]
    assert [amount for _, amount in volume.days] == [100 * UNIT]


def test_a_volume_remembers_no_more_than_thirty_days() -> None:
    volume = TradedVolume()
    for day in range(100):
        volume.add(day, day * DAY_MILLISECONDS)
    assert len(volume.days) == 30
    assert volume.at(99 * DAY_MILLISECONDS) == volume.total == sum(range(70, 100))
    assert volume.at(129 * DAY_MILLISECONDS) == 0
    volume.add(2**63, 99 * DAY_MILLISECONDS)
    assert volume.days[-1][1] == 2**63 - 1


def test_a_users_own_rates_go_before_any_tier(bench: Bench) -> None:
    trade(bench, "20")
    (event,) = bench.done(SetUserFees(OPERATOR, "alice", FeeRates(1, 2), "market maker"))
    assert (event.actor, event.reason) == (OPERATOR, "market maker")  # type: ignore[union-attr]
    assert rates_of_next(bench, "alice") == (1, 2)
    assert standing(bench, "alice").overridden
    assert standing(bench, "alice").tier == 1
    assert bench.done(SetUserFees(OPERATOR, "alice", FeeRates(1, 2), "again")) == []
    bench.done(SetUserFees(OPERATOR, "alice", None, "no more"))
    assert rates_of_next(bench, "alice") == (8, 16)
    with pytest.raises(InvalidMarket):
        bench.do(SetUserFees(OPERATOR, "alice", FeeRates(-1, 2), "a typing error"))


@pytest.mark.parametrize("rates", [FeeRates(1, 2), None])
def test_nobody_has_rates_of_their_own_whom_the_exchange_does_not_know(bench: Bench, rates: FeeRates | None) -> None:
    before = state_hash(bench.exchange.state)
    with pytest.raises(UnknownUser) as refusal:
        bench.do(SetUserFees(OPERATOR, "alcie", rates, "a typing error"))
    assert (refusal.value.kind, refusal.value.details["given"]) == (ErrorKind.NOT_FOUND, "alcie")
    assert state_hash(bench.exchange.state) == before


def test_a_rate_of_the_makers_above_the_takers_is_held_for(bench: Bench) -> None:
    bench.done(SetUserFees(OPERATOR, "alice", FeeRates(100, 0), "an odd one"))
    bench.done(bench.limit("alice", Side.BUY, "1", "99"))
    assert bench.money("alice", "USD")[1] == units("99.99")


def test_volumes_and_own_rates_are_part_of_snapshot_and_hash(bench: Bench) -> None:
    before = state_hash(bench.exchange.state)
    bench.done(SetUserFees(OPERATOR, "alice", FeeRates(1, 2), "market maker"))
    assert state_hash(bench.exchange.state) != before
    trade(bench, "20")
    restored = restore_snapshot(take_snapshot(bench.exchange.state))
    assert state_hash(restored) == state_hash(bench.exchange.state)
    assert fee_standing(restored.owners["user:bob"], TIERED, bench.now) == standing(bench, "bob")
    restored.owners["user:bob"].volumes["USD"].add(1, bench.now)
    assert state_hash(restored) != state_hash(bench.exchange.state)


@pytest.mark.parametrize(
    "tiers",
    [
        (FeeTier(0, 1, 1),),
        (FeeTier(5, 1, 1), FeeTier(5, 0, 0)),
        (FeeTier(5, -1, 1),),
        (FeeTier(5, 1, 1_001),),
        (FeeTier(2**63, 1, 1),),
        tuple(FeeTier(volume, 1, 1) for volume in range(1, 12)),
    ],
)
def test_tiers_that_make_no_ladder_are_refused(tiers: tuple[FeeTier, ...]) -> None:
    with pytest.raises(InvalidMarket):
        replace(COIN_USD, fee_tiers=tiers)
