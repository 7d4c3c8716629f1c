import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_generator import USERS, CommandGenerator
from exchange_factory import OPERATOR, UNIT, Bench, actor
from test_reference_agreement import MARKETS, OPEN_ORDERS, REMEMBERED_BATCHES, Pair
from trading.domain.commands import CancelAll, Command, Continue, ExpireOrders, SetMarket, SetReferencePrice, StartBatch
from trading.domain.events import BatchStarted
from trading.domain.exchange import Exchange
from trading.domain.orders import Side
from trading.domain.snapshot import (
    ROWS_AT_ONCE,
    begin_snapshot,
    canonical_bytes,
    restore_snapshot,
    state_hash,
    take_snapshot,
)
from trading.domain.state import Limits

COMMANDS = 3_000


def busy_bench(seed: int) -> Bench:
    pair = Pair()
    generator = CommandGenerator(seed)
    for number in range(COMMANDS):
        pair.run(generator.step(pair.naive.orders_placed))
        if number % 12 == 0:
            pair.run(generator.ledger_step())  # with business keys
    return pair.bench


def test_folding_the_events_gives_the_same_state() -> None:
    bench = busy_bench(11)
    folded = Exchange(limits=Limits(open_orders_per_user=1))  # limits decide, they do not fold
    for event in bench.events:
        folded.apply(event)
    assert state_hash(folded.state) == state_hash(bench.exchange.state)
    assert folded.state.keys.by_age == bench.exchange.state.keys.by_age


def test_a_snapshot_is_of_the_moment_at_which_it_was_begun_whenever_it_is_finished() -> None:
    bench = busy_bench(13)
    folded = Exchange()
    half = len(bench.events) // 2
    for event in bench.events[:half]:
        folded.apply(event)
    whole, finish = take_snapshot(folded.state), begin_snapshot(folded.state)
    for event in bench.events[half:]:
        folded.apply(event)
    assert take_snapshot(folded.state) != whole
    assert finish() == whole


@pytest.mark.parametrize("rows", [0, 1, ROWS_AT_ONCE - 1, ROWS_AT_ONCE, ROWS_AT_ONCE + 1, 3 * ROWS_AT_ONCE])
def test_what_is_encoded_in_pieces_is_what_it_is_as_a_whole(rows: int) -> None:
    snapshot = [3, [], [["a", [1, []]]], [[number, 'é"', [number]] for number in range(rows)], ["end"]]
    whole = json.dumps(snapshot, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    assert canonical_bytes(snapshot) == whole.encode("ascii")


def test_folding_from_any_snapshot_gives_the_same_state_and_the_same_decisions() -> None:
    bench = busy_bench(12)
    starts = [index for index, event in enumerate(bench.events) if isinstance(event, BatchStarted)]
    folded = Exchange()
    limits = Limits(open_orders_per_user=OPEN_ORDERS, remembered_batches=REMEMBERED_BATCHES)
    restored: list[Exchange] = []
    for index, event in enumerate(bench.events):
        if index in starts[:: len(starts) // 5]:
            restored.append(Exchange(restore_snapshot(take_snapshot(folded.state), limits)))
        folded.apply(event)
        for exchange in restored:
            exchange.apply(event)
    assert len(restored) >= 5
    assert {state_hash(exchange.state) for exchange in restored} == {state_hash(bench.exchange.state)}
    later = bench.now + 60_000  # whatever paused the market is over
    commands: list[Command] = [
        StartBatch(bench.exchange.state.batch_number + 1, later),
        SetMarket(OPERATOR, MARKETS[0], "open"),
        ExpireOrders(),
        SetReferencePrice("COIN-USD", 100 * UNIT, "simulator", later, later),
        *(Continue("COIN-USD") for _ in range(40)),  # whom the new price reaches, one by one
        *(CancelAll(actor(user), "COIN-USD") for user in USERS[1:]),
        bench.limit(USERS[0], Side.BUY, "3", "101"),
        bench.market(USERS[1], Side.SELL, quantity=2 * UNIT),
    ]
    for command in commands:
        expected = bench.exchange.execute(command)
        assert [exchange.execute(command) for exchange in restored] == [expected] * len(restored)


def test_the_same_commands_give_the_same_bytes_whatever_the_hash_seed() -> None:
    here = Path(__file__).parent
    program = (
        "from test_replay import busy_bench, state_hash; bench = busy_bench(13); "
        "print(state_hash(bench.exchange.state), bench.events)"
    )
    outputs = []
    for seed in ("0", "1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join((str(here), *sys.path))}
        done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True)
        outputs.append(done.stdout)
    assert len(outputs[0]) > 100_000
    assert outputs[0] == outputs[1] == outputs[2]
