"""The audit trail: how fast the exchange's journal folds into it, how fast it is verified."""

import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from auth.domain.audit import AuditEntry
from auth.domain.audit_chain import AuditStream
from auth.storage.audit_records import MongoAuditRecords
from auth.storage.audit_rows import row_of_entry
from auth.storage.audit_trail import MongoAuditTrail
from auth.storage.documents import DOCUMENTS
from auth.use_cases.fold_journal import BatchActs, FoldJournal
from auth.use_cases.verify_audit_trail import VerifyAuditTrail
from chassis.embedded.mongo import MongoServer
from chassis.embedded.ports import free_port_block
from chassis.ids import RandomIds
from chassis.journal_consumer import BATCHES_PER_READ, Entry
from chassis.mongo import MongoConnection, connect, init_documents

from tests.load.table import Row, against

ROUNDS = 10
ACTS_PER_BATCH = 5  # with as many batches as a read gives; fewer and fuller ones fold alike
SINGLE_ENTRIES = 200
USERS = 64


async def audit_rows() -> list[Row]:
    with (
        tempfile.TemporaryDirectory(prefix="cryptovault-bench-") as folder,
        MongoServer(port=free_port_block(), folder=Path(folder)) as server,
    ):
        connection = connect(server.url, "auth")
        try:
            await init_documents(connection.database, DOCUMENTS)
            return await _measured(connection)
        finally:
            await connection.close()


async def _measured(connection: MongoConnection) -> list[Row]:
    trail, acts = MongoAuditTrail(), _Acts()
    await trail.open(AuditStream.TRADING)
    fold = FoldJournal(audit_trail=trail)
    rounds = [acts.batches() for _ in range(ROUNDS)]
    started = time.perf_counter()
    for batches in rounds:
        await connection.transactions.run(lambda batches=batches: fold(batches), deadline_seconds=60)  # type: ignore[misc]
    folded = ROUNDS * BATCHES_PER_READ * ACTS_PER_BATCH / (time.perf_counter() - started)

    singles = acts.entries(SINGLE_ENTRIES)
    started = time.perf_counter()
    for entry in singles:
        await connection.transactions.run(lambda entry=entry: trail.append(AuditStream.TRADING, [entry]))  # type: ignore[misc]
    one_by_one = SINGLE_ENTRIES / (time.perf_counter() - started)

    sealed = [one async for one in MongoAuditRecords().entries(AuditStream.TRADING) if not isinstance(one, int)]
    bare = connection.database["bare"]
    rows = [row_of_entry(one) for one in sealed]
    started = time.perf_counter()
    for first in range(0, len(rows), len(rows) // ROUNDS):
        await bare.insert_many(rows[first : first + len(rows) // ROUNDS])
    inserted = len(rows) / (time.perf_counter() - started)

    verify = VerifyAuditTrail(audit_trail=trail, records=MongoAuditRecords(), is_signed=lambda _: True)
    started = time.perf_counter()
    verdict = await verify([], lambda: None)
    verified = len(rows) / (time.perf_counter() - started)
    if verdict.findings:
        raise RuntimeError(f"the trail is broken: {verdict.findings}")
    return [
        against("audit entries folded, against bare inserts", folded, "entries/s", floor=inserted),
        against("audit entries folded, against one per transaction", folded, "entries/s", floor=one_by_one),
        Row(name="audit entries verified", value=verified, unit="entries/s"),
    ]


class _Acts:
    """Entries as the exchange's journal makes them."""

    def __init__(self) -> None:
        self._ids = RandomIds()
        self._users = [self._ids.new() for _ in range(USERS)]
        self._count = 0

    def batches(self) -> Sequence[Entry[BatchActs]]:
        return [Entry(number, b"", self.entries(ACTS_PER_BATCH)) for number in range(BATCHES_PER_READ)]

    def entries(self, count: int) -> Sequence[AuditEntry]:
        return [self._entry() for _ in range(count)]

    def _entry(self) -> AuditEntry:
        self._count += 1
        user_id = self._users[self._count % USERS]
        return AuditEntry(
            id=self._ids.new(), user_id=user_id, actor=f"user:{user_id}", action="order_placed",
            resource=f"order:{self._ids.new()}", address="203.0.113.7", session_id=str(self._ids.new()),
            request_id=str(self._ids.new()), timestamp=datetime.now(UTC),
            details={"market": "BTC-USD", "side": "buy", "type": "limit", "quantity": "0.01", "price": "60000"},
        )  # fmt: skip
