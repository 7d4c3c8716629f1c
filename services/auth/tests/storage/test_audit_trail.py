"""The trail on a real database, in the hands of who may change every row of it, but has no key."""

import asyncio
import json
import resource
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from auth.checkpoint_schedule import BROKEN, CheckpointSchedule
from auth.crypto.checkpoint_key import CheckpointKey, TrustedKeys
from auth.domain.audit import AuditEntry
from auth.domain.audit_chain import AuditStream, StreamHead, seal
from auth.domain.audit_findings import Fault, Finding
from auth.storage import audit_anchors
from auth.storage.audit_anchors import FileAnchors, read_anchors
from auth.storage.audit_checkpoints import MongoAuditCheckpoints
from auth.storage.audit_records import MongoAuditRecords
from auth.storage.audit_rows import entry_of_row, row_of_checkpoint, row_of_entry
from auth.storage.audit_trail import MongoAuditTrail
from auth.storage.documents import DOCUMENTS
from auth.storage.in_turn import InTurn
from auth.use_cases.anchor_checkpoints import AnchorCheckpoints
from auth.use_cases.audit_ports import BrokenRecord
from auth.use_cases.take_checkpoint import TakeCheckpoint
from auth.use_cases.verify_audit_trail import Verdict, VerifyAuditTrail
from chassis.ids import RandomIds
from chassis.mongo import MongoConnection, init_documents
from chassis.testing import FixedClock, eventually

ROOT = b"a root secret that only tests know"
IDS = RandomIds()
WRITERS = 40


def entry(number: int, user: Any = None) -> AuditEntry:
    return AuditEntry(
        id=IDS.new(), user_id=user or IDS.new(), actor="gateway", action="stepped_up", resource=f"thing:{number}",
        address=None, session_id=None, request_id=f"request-{number}", timestamp=datetime.now(UTC),
        details={"number": str(number)},
    )  # fmt: skip


@dataclass
class Trail:
    """Twelve entries of one stream and three of another, with a checkpoint after 5, after 10 and at the end."""

    mongo: MongoConnection
    clock: FixedClock
    anchors: Path
    trail: MongoAuditTrail
    take: TakeCheckpoint
    anchor: AnchorCheckpoints

    @property
    def entries(self) -> Any:
        return self.mongo.database["audit_logs"]

    @property
    def checkpoints(self) -> Any:
        return self.mongo.database["audit_checkpoints"]

    async def write(self, count: int, stream: str = AuditStream.AUTH) -> None:
        await self.mongo.transactions.run(lambda: self.trail.append(stream, [entry(number) for number in range(count)]))

    async def checkpoint(self) -> None:
        self.clock.advance(60)
        assert await self.take() is not None
        assert await self.anchor()

    async def verify(self, *, with_anchors: bool = True) -> Verdict:
        keys = TrustedKeys([CheckpointKey(ROOT).public_key])
        verify = VerifyAuditTrail(audit_trail=self.trail, records=MongoAuditRecords(), is_signed=keys.has_signed)
        anchored = read_anchors(self.anchors) if with_anchors else []
        return await verify(anchored, lambda: None)

    async def faults(self, **options: bool) -> list[Finding]:
        return list((await self.verify(**options)).findings)

    async def restamp(self, first: int, change: Callable[[AuditEntry], AuditEntry], *, head: bool = True) -> None:
        """Everything from that entry on anew, as if it had been written so: hashes, and the stream's end."""
        rows = (
            await self.entries.find({"stream": "auth", "sequence": {"$gte": first - 1}}).sort("sequence", 1).to_list()
        )
        old = [entry_of_row(row) for row in rows]
        start = old.pop(0).head if first > 1 else StreamHead("auth")
        changed = [change(old[0].entry), *(one.entry for one in old[1:])]
        forged = seal(start, changed)
        for one in forged:
            await self.entries.replace_one({"stream": "auth", "sequence": one.sequence}, row_of_entry(one))
        if head:
            await self.mongo.database["audit_streams"].update_one({"_id": "auth"}, {"$set": {"hash": forged[-1].hash}})

    async def set_head(self, sequence: int) -> None:
        row = await self.entries.find_one({"stream": "auth", "sequence": sequence})
        await self.mongo.database["audit_streams"].update_one(
            {"_id": "auth"}, {"$set": {"sequence": sequence, "hash": row["hash"]}}
        )


@pytest.fixture
async def trail(mongo: MongoConnection, tmp_path: Path) -> Trail:
    await init_documents(mongo.database, DOCUMENTS)
    written, checkpoints, clock = MongoAuditTrail(), MongoAuditCheckpoints(), FixedClock()
    for stream in AuditStream:
        await written.open(stream)
    anchors = tmp_path / "anchors.jsonl"
    take = TakeCheckpoint(
        audit_trail=written, checkpoints=checkpoints, signer=CheckpointKey(ROOT), transactions=mongo.transactions,
        clock=clock,
    )  # fmt: skip
    trail = Trail(
        mongo, clock, anchors, written, take,
        AnchorCheckpoints(checkpoints=checkpoints, anchors=FileAnchors(anchors)),
    )  # fmt: skip
    for count in (5, 5, 2):
        await trail.write(count)
        if count == 2:
            await trail.write(3, AuditStream.TRADING)
        await trail.checkpoint()
    return trail


async def test_an_untouched_trail_is_whole(trail: Trail) -> None:
    verdict = await trail.verify()
    assert verdict.findings == []
    assert verdict.entries == {"auth": 12, "trading": 3}
    assert (verdict.checkpoints, verdict.unsigned) == (3, 0)
    await trail.write(4)
    verdict = await trail.verify()
    assert (verdict.findings, verdict.entries["auth"], verdict.unsigned) == ([], 16, 4)


@pytest.mark.parametrize("field", ["actor", "user_id", "action", "resource", "ip_address", "timestamp", "details"])
async def test_an_edited_entry_is_found(trail: Trail, field: str) -> None:
    other = {"user_id": IDS.new(), "timestamp": datetime(2020, 1, 1, tzinfo=UTC), "details": {}}.get(field, "other")
    await trail.entries.update_one({"stream": "auth", "sequence": 7}, {"$set": {field: other}})
    assert await trail.faults() == [Finding("auth", Fault.EDITED, 7)]


@pytest.mark.parametrize(
    "change",
    [{"$set": {"more": 1}}, {"$unset": {"actor": ""}}, {"$set": {"details": {"a": 1}}}, {"$set": {"format": 2}}],
)
async def test_an_entry_of_another_form_is_found(trail: Trail, change: dict[str, Any]) -> None:
    await trail.entries.update_one({"stream": "auth", "sequence": 7}, change)
    assert await trail.faults() == [Finding("auth", Fault.EDITED, 7)]


async def test_deleted_entries_are_found(trail: Trail) -> None:
    await trail.entries.delete_many({"stream": "auth", "sequence": {"$in": [1, 6, 7]}})
    assert await trail.faults() == [Finding("auth", Fault.DELETED, 1, 1), Finding("auth", Fault.DELETED, 6, 7)]


async def test_two_entries_that_changed_places_are_found(trail: Trail) -> None:
    for old, new in ((6, 1_000), (8, 6), (1_000, 8)):
        await trail.entries.update_one({"stream": "auth", "sequence": old}, {"$set": {"sequence": new}})
    assert await trail.faults() == [Finding("auth", Fault.EDITED, 6), Finding("auth", Fault.EDITED, 8)]


async def test_a_cut_off_end_is_found(trail: Trail) -> None:
    await trail.entries.delete_many({"stream": "auth", "sequence": {"$gt": 9}})
    assert await trail.faults() == [Finding("auth", Fault.TRUNCATED, 10, 12)]


async def test_a_cut_off_end_is_found_though_the_streams_end_was_set_back(trail: Trail) -> None:
    await trail.set_head(9)
    await trail.entries.delete_many({"stream": "auth", "sequence": {"$gt": 9}})
    assert await trail.faults(with_anchors=False) == [Finding("auth", Fault.TRUNCATED, 10, 12)]


async def test_a_cut_off_end_is_found_by_anchors_though_its_checkpoints_are_gone_too(trail: Trail) -> None:
    await trail.set_head(5)
    await trail.entries.delete_many({"stream": "auth", "sequence": {"$gt": 5}})
    await trail.checkpoints.delete_many({"_id": {"$gt": 1}})
    await trail.entries.delete_many({"stream": "trading"})
    await trail.mongo.database["audit_streams"].delete_one({"_id": "trading"})
    # Nothing in this database is wrong any more.
    assert await trail.faults(with_anchors=False) == []
    assert await trail.faults() == [
        Finding("checkpoints", Fault.TRUNCATED, 2, 3),
        Finding("auth", Fault.TRUNCATED, 6, 12),
        Finding("trading", Fault.TRUNCATED, 1, 3),
    ]


async def test_a_whole_stream_that_is_gone_is_found(trail: Trail) -> None:
    await trail.entries.delete_many({"stream": "trading"})
    await trail.mongo.database["audit_streams"].delete_one({"_id": "trading"})
    assert await trail.faults(with_anchors=False) == [Finding("trading", Fault.TRUNCATED, 1, 3)]


@pytest.mark.parametrize("head", [True, False])
async def test_a_restamped_chain_is_found(trail: Trail, *, head: bool) -> None:
    await trail.restamp(7, lambda one: replace(one, actor="operator:eve"), head=head)
    assert await trail.faults(with_anchors=False) == [Finding("auth", Fault.RESTAMPED, 6, 10)]


async def test_what_no_checkpoint_holds_yet_is_held_by_the_streams_end(trail: Trail) -> None:
    await trail.write(3)
    await trail.restamp(14, lambda one: replace(one, actor="operator:eve"), head=False)
    assert await trail.faults() == [Finding("auth", Fault.RESTAMPED, 13, 15)]


async def test_a_checkpoint_signed_by_another_key_is_found_and_vouches_for_nothing(trail: Trail) -> None:
    await trail.restamp(7, lambda one: replace(one, actor="operator:eve"))
    thief = CheckpointKey(b"another root")
    stored = [one async for one in MongoAuditRecords().checkpoints() if not isinstance(one, int)]
    heads = {row["_id"]: row async for row in trail.mongo.database["audit_streams"].find({})}
    previous = stored[0].hash
    for number in (2, 3):
        old = stored[number - 1]
        ends = [replace(head, hash=(await _hash(trail, head))) for head in old.heads]
        unsigned = replace(old, heads=tuple(ends), previous_hash=previous, public_key=thief.public_key)
        forged = replace(unsigned, signature=thief.sign(unsigned.signed_bytes))
        await trail.checkpoints.replace_one({"_id": number}, row_of_checkpoint(forged))
        previous = forged.hash
    assert heads
    forgeries = [Finding("checkpoints", Fault.FORGED, 2), Finding("checkpoints", Fault.FORGED, 3)]
    assert await trail.faults(with_anchors=False) == forgeries
    # And the anchors still know what it was.
    assert await trail.faults() == [*forgeries, Finding("auth", Fault.RESTAMPED, 6, 10)]


async def _hash(trail: Trail, head: StreamHead) -> bytes:
    row = await trail.entries.find_one({"stream": head.stream, "sequence": head.sequence})
    return bytes(row["hash"]) if row else head.hash


async def test_a_changed_checkpoint_and_a_missing_one_are_found(trail: Trail) -> None:
    await trail.checkpoints.update_one({"_id": 2}, {"$set": {"signature": b"x" * 64}})
    assert await trail.faults() == [Finding("checkpoints", Fault.FORGED, 2)]
    await trail.checkpoints.update_one({"_id": 2}, {"$set": {"heads": []}})
    assert await trail.faults() == [Finding("checkpoints", Fault.EDITED, 2)]
    await trail.checkpoints.delete_one({"_id": 2})
    assert await trail.faults() == [Finding("checkpoints", Fault.DELETED, 2, 2)]


async def test_rows_outside_of_every_chain_are_found(trail: Trail) -> None:
    await trail.entries.insert_one({"id": IDS.new(), "user_id": IDS.new(), "action": "role_granted"})
    assert await trail.faults() == [Finding("outside", Fault.FOREIGN, 1, 1)]


async def test_writers_at_once_leave_no_gap_and_lose_nothing(trail: Trail) -> None:
    """Each in a transaction of its own, with a write of its own beside it, as a use case has one."""
    effects = trail.mongo.database["effects"]
    await effects.insert_one({"_id": "there, so that no transaction makes the collection"})

    async def write(number: int) -> None:
        async def work() -> None:
            await effects.insert_one({"_id": number})
            await trail.trail.append(AuditStream.AUTH, [entry(number)])

        await trail.mongo.transactions.run(work, deadline_seconds=60.0)

    await asyncio.gather(*(write(number) for number in range(WRITERS)))
    verdict = await trail.verify()
    assert (verdict.findings, verdict.entries["auth"]) == ([], 12 + WRITERS)
    told = {row["resource"] async for row in trail.entries.find({"stream": "auth", "sequence": {"$gt": 12}})}
    assert told == {f"thing:{number}" for number in range(WRITERS)}
    assert await effects.count_documents({}) == 1 + WRITERS


async def test_in_turn_nobody_loses_to_another_and_runs_again(trail: Trail) -> None:
    runs: list[int] = []
    in_turn = InTurn(trail.mongo.transactions)

    async def write(number: int) -> None:
        async def work() -> None:
            runs.append(number)
            await trail.trail.append(AuditStream.AUTH, [entry(number)])

        # A run inside a run joins it, as where one use case calls another.
        await in_turn.run(lambda: in_turn.run(work))

    await asyncio.gather(*(write(number) for number in range(WRITERS)))
    assert sorted(runs) == list(range(WRITERS))
    verdict = await trail.verify()
    assert (verdict.findings, verdict.entries["auth"]) == ([], 12 + WRITERS)


async def test_an_entry_is_there_with_its_change_or_not_at_all(trail: Trail) -> None:
    class Died(Exception): ...

    async def work() -> None:
        await trail.trail.append(AuditStream.AUTH, [entry(1)])
        raise Died

    with pytest.raises(Died):
        await trail.mongo.transactions.run(work)
    assert (await trail.verify()).entries["auth"] == 12


async def test_processes_that_take_checkpoints_at_once_take_one(trail: Trail) -> None:
    await trail.write(1)
    trail.clock.advance(60)
    others = [
        TakeCheckpoint(
            audit_trail=MongoAuditTrail(), checkpoints=MongoAuditCheckpoints(), signer=CheckpointKey(ROOT),
            transactions=trail.mongo.transactions, clock=trail.clock,
        )
        for _ in range(4)
    ]  # fmt: skip
    taken = await asyncio.gather(*(take() for take in others))
    assert [one.number for one in taken if one is not None] == [4]
    assert (await trail.verify()).findings == []


async def test_anchors_go_on_where_they_ended_and_refuse_another_past(trail: Trail) -> None:
    before = list(read_anchors(trail.anchors))
    assert [one.number for one in before] == [1, 2, 3]
    # Another process, which was away for two checkpoints.
    trail.anchors.write_text("".join(trail.anchors.read_text().splitlines(keepends=True)[:1]))
    late = AnchorCheckpoints(checkpoints=MongoAuditCheckpoints(), anchors=FileAnchors(trail.anchors))
    assert await late()
    assert await late()
    assert list(read_anchors(trail.anchors)) == before
    await trail.checkpoints.delete_one({"_id": 3})
    assert not await late()
    await trail.write(1)
    trail.clock.advance(60)
    assert await trail.take() is not None  # number 3 once more, of another trail
    assert not await late()
    assert list(read_anchors(trail.anchors)) == before


async def test_anchors_are_read_from_a_log_as_well(trail: Trail, tmp_path: Path) -> None:
    lines = [
        json.dumps({"event": "audit_checkpoint", "checkpoint": text}) for text in trail.anchors.read_text().splitlines()
    ]
    log = tmp_path / "log.jsonl"
    log.write_text("\n".join(["auth | not json", json.dumps({"event": "else"}), *(f"auth | {one}" for one in lines)]))
    assert list(read_anchors(log)) == list(read_anchors(trail.anchors))
    log.write_text('{"checkpoint": "{}"}\n')
    with pytest.raises(BrokenRecord):
        list(read_anchors(log))


async def test_the_newest_anchor_is_found_at_the_end_of_a_long_file(
    trail: Trail, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_anchors, "TAIL_BYTES", 1_500)  # two of three
    newest = await FileAnchors(trail.anchors).newest()
    assert newest is not None
    assert newest.number == 3
    assert trail.anchors.stat().st_size > 1_500


async def test_a_full_volume_leaves_no_half_anchor_and_what_waited_is_anchored_later(trail: Trail) -> None:
    before = trail.anchors.read_text()
    await trail.write(1)
    trail.clock.advance(60)
    assert await trail.take() is not None
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    # Room for all but the end of the line.
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + len(before.splitlines()[0]) - 10, unlimited[1]))
    try:
        with pytest.raises(OSError, match="No space left"):
            await trail.anchor()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    assert trail.anchors.read_text() == before
    assert await trail.anchor()
    assert [one.number for one in read_anchors(trail.anchors)] == [1, 2, 3, 4]


async def test_a_schedule_takes_anchors_and_alarms(trail: Trail) -> None:
    await trail.write(3)
    trail.clock.advance(60)
    schedule = asyncio.create_task(CheckpointSchedule(take=trail.take, anchor=trail.anchor).run())
    try:
        await eventually(lambda: len(list(read_anchors(trail.anchors))) == 4)
        assert BROKEN._value.get() == 0
        await trail.checkpoints.update_one({"_id": 4}, {"$set": {"signature": b"x" * 64, "hash": b"y" * 32}})
        await eventually(lambda: BROKEN._value.get() == 1)
    finally:
        schedule.cancel()
