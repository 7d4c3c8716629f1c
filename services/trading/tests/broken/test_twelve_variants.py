"""Would the suite see it? Twelve ways to break the exchange, and tests of the suite that must then fail.

The judges are the suite's own tests, which pass on the sound code as part of it.
"""

import inspect
from collections.abc import Callable
from decimal import localcontext
from typing import Any

import pytest
import test_placing_orders
import test_projector
import test_replay
import test_sequencer
import test_snapshots
import test_ticks_that_matter as ticks
from chassis.mongo import MongoDatabase
from command_generator import CommandGenerator
from exchange_factory import Bench
from reference_records import EXACT
from test_placing_orders import bench as bench  # noqa: PLC0414 - a fixture
from test_reference_agreement import Pair
from test_snapshots import CountingJournal
from test_snapshots import journal as journal  # noqa: PLC0414 - a fixture
from trading.storage.journal import MongoJournal
from variants import (
    ANSWER_BEFORE_THE_APPEND,
    BALANCE_CHECK_MISSING,
    CURSOR_BEFORE_THE_WRITES,
    FEE_ROUNDED_DOWN,
    HOLD_NOT_RELEASED_ON_CANCEL,
    HOLD_RELEASED_TWICE,
    KEY_FORGOTTEN_ON_RESTART,
    PARTIAL_FILL_COUNTED_TWICE,
    PLACE_KEPT_ON_A_LARGER_QUANTITY,
    PLACE_LOST_ON_A_SMALLER_QUANTITY,
    PRICE_PRIORITY_BROKEN,
    STALE_PRICE_ACCEPTED,
    TIME_PRIORITY_BROKEN,
    TRADE_ID_REUSED,
    Variant,
)

COMMANDS = 1_500

Judge = Callable[..., Any]


async def pronounced(verdict: Any) -> None:
    """Some judges take their time."""
    if inspect.isawaitable(verdict):
        await verdict


def naive_engine() -> None:
    """The first commands of the long agreement with the naive engine."""
    pair, generator = Pair(), CommandGenerator(1)
    with localcontext(EXACT):
        for number in range(COMMANDS):
            pair.run(generator.step(pair.naive.orders_placed))
            if number % 100 == 0:
                pair.compare_all()


CATCHES: list[tuple[Variant, Judge]] = [
    (BALANCE_CHECK_MISSING, test_placing_orders.test_exactly_the_affordable_orders_are_accepted),
    (BALANCE_CHECK_MISSING, test_sequencer.test_twenty_parallel_orders_accept_exactly_the_affordable_ones),
    (HOLD_RELEASED_TWICE, naive_engine),
    (HOLD_RELEASED_TWICE, test_sequencer.test_parallel_cancels_release_a_hold_once),
    (HOLD_NOT_RELEASED_ON_CANCEL, naive_engine),
    (HOLD_NOT_RELEASED_ON_CANCEL, test_sequencer.test_parallel_cancels_release_a_hold_once),
    (TRADE_ID_REUSED, naive_engine),
    (PLACE_LOST_ON_A_SMALLER_QUANTITY, naive_engine),
    (PLACE_KEPT_ON_A_LARGER_QUANTITY, naive_engine),
    (TIME_PRIORITY_BROKEN, naive_engine),
    (TIME_PRIORITY_BROKEN, test_placing_orders.test_better_prices_trade_first_and_older_orders_before_younger),
    (PRICE_PRIORITY_BROKEN, naive_engine),
    (PRICE_PRIORITY_BROKEN, test_placing_orders.test_better_prices_trade_first_and_older_orders_before_younger),
    (FEE_ROUNDED_DOWN, naive_engine),
    (FEE_ROUNDED_DOWN, test_placing_orders.test_an_orders_fee_is_rounded_up_once_however_it_is_cut_into_fills),
    (PARTIAL_FILL_COUNTED_TWICE, naive_engine),
    (ANSWER_BEFORE_THE_APPEND, test_sequencer.test_an_order_is_answered_only_after_its_batch_is_durable),
    (CURSOR_BEFORE_THE_WRITES, test_projector.test_a_projector_that_dies_before_any_of_its_writes_leaves_nothing_out),
    (KEY_FORGOTTEN_ON_RESTART, test_replay.test_folding_from_any_snapshot_gives_the_same_state_and_the_same_decisions),
    (KEY_FORGOTTEN_ON_RESTART, test_snapshots.test_from_every_snapshot_the_state_is_that_of_the_whole_journal),
    (STALE_PRICE_ACCEPTED, naive_engine),
    (
        STALE_PRICE_ACCEPTED,
        ticks.test_a_stale_price_refuses_market_orders_until_the_stream_speaks_again,
    ),
]


@pytest.mark.parametrize(
    ("variant", "judge"), CATCHES, ids=[f"{variant.name}: {judge.__name__}" for variant, judge in CATCHES]
)
async def test_a_broken_exchange_is_caught(
    variant: Variant,
    judge: Judge,
    *,
    bench: Bench,
    journal: CountingJournal,
    mongo_journal: MongoJournal,
    mongo_database: MongoDatabase,
) -> None:
    fixtures = {"bench": bench, "journal": journal, "mongo_journal": mongo_journal, "mongo_database": mongo_database}
    wanted = {name: fixtures[name] for name in inspect.signature(judge).parameters}
    with variant.applied(), pytest.raises((AssertionError, pytest.fail.Exception)):
        await pronounced(judge(**wanted))


def test_the_naive_engine_finds_nothing_in_the_sound_exchange() -> None:
    naive_engine()


def test_there_are_twelve_and_two_of_amendments() -> None:
    assert len({variant.name for variant, _ in CATCHES}) == 12 + 2
