"""`cryptovault exchange verify`: does the journal follow from itself, and everything else from the journal?"""

import asyncio
from collections.abc import Sequence

from trading.command_line.compare_rows import compare_rows
from trading.command_line.open_exchange import OpenExchange
from trading.command_line.report import Report
from trading.domain.commands import Command, StartBatch
from trading.domain.decide import decide
from trading.domain.events import Event
from trading.domain.history import History
from trading.domain.invariants import check_all
from trading.domain.snapshot import state_hash
from trading.domain.state import Limits
from trading.journal.batch import CORE_VERSION, SealedBatch, check_follows
from trading.journal.codec import BatchBody, decode_body
from trading.sequencer.memory import Memory
from trading.sequencer.snapshots import DamagedSnapshot, Manifest, restore
from trading.storage.cursors import ORDERS, Cursor, Cursors

BATCHES_BETWEEN_CHECKS = 1_000  # of every invariant over the whole state


async def verify_journal(exchange: OpenExchange, report: Report) -> None:
    """The exchange may go on meanwhile. Raises `BrokenChain` and `UnknownEventType`, after which nothing can be said of
    what follows.
    """
    # In this order: whatever is taken of the journal meanwhile, what was taken by now lies within it.
    manifests = {manifest.batch: manifest for manifest in await exchange.snapshots.manifests()}
    head = await exchange.head()
    verifier = _Verifier(report)
    with report.progress("verifying", head) as progress:
        async for batch in exchange.batches(0, head):
            verifier.take(batch)
            if batch.number in manifests:
                await _check_snapshot(exchange, verifier.memory, manifests.pop(batch.number), report)
            progress.update(1)
            await asyncio.sleep(0)
    if verifier.memory.number != head:
        report.wrong(f"batch {verifier.memory.number + 1} is missing")
    for manifest in manifests.values():
        report.wrong(f"there is a snapshot of batch {manifest.batch}, the journal ends at {head}")
    verifier.finish()
    cursor = await _checked_cursor(exchange, report)
    if cursor is not None:
        await compare_rows(exchange, report, cursor)


class _Verifier:
    def __init__(self, report: Report) -> None:
        self.memory = Memory(Limits())
        self._report = report
        self._history = History()
        self._decided = 0
        self._of_other_rules = 0

    def take(self, batch: SealedBatch) -> None:
        check_follows(batch, number=self.memory.number, digest=self.memory.digest)
        body = decode_body(batch.body)
        steps = self.memory.steps(batch, body.events)
        for entry in body.entries:
            if batch.core_version == CORE_VERSION:
                self._decide_again(batch, entry.command, entry.events)
            else:
                self._of_other_rules += 1
            for _ in entry.events:
                self._history.feed(next(steps))
            self._history.end_command(postponed=any(market.postponed for market in self.memory.state.markets.values()))
        for _ in steps:
            raise AssertionError("a batch's steps are its entries' events")
        self._check_accounts(batch, body)
        if batch.number % BATCHES_BETWEEN_CHECKS == 0:
            self._check_state()

    def finish(self) -> None:
        self._check_state()
        for violation in self._history.compare(self.memory.state):
            self._report.wrong(f"{violation.invariant} {violation.subject}: {violation.message}")
        self._report.fact("batches", self.memory.number)
        self._report.fact("state_hash", state_hash(self.memory.state))
        self._report.fact("commands_decided_again", self._decided)
        self._report.fact("commands_of_other_rules", self._of_other_rules)

    def _decide_again(self, batch: SealedBatch, command: Command, events: Sequence[Event]) -> None:
        """A batch's start also follows from a setting that the journal does not hold: how long keys are remembered."""
        if isinstance(command, StartBatch):
            return
        self._decided += 1
        try:
            decision = decide(self.memory.state, command)
        except Exception as error:  # noqa: BLE001 - whatever it is, the journal says that it was accepted
            self._report.wrong(f"batch {batch.number}: {type(command).__name__} would be refused: {error!r}")
            return
        if not isinstance(decision, list) or [*decision] != [*events]:
            self._report.wrong(f"batch {batch.number}: {type(command).__name__} would be decided otherwise")

    def _check_accounts(self, batch: SealedBatch, body: BatchBody) -> None:
        for owner, asset, available, held in body.accounts:
            account = self.memory.state.owners[owner].accounts[asset]
            if (account.available, account.held) != (available, held):
                self._report.wrong(
                    f"batch {batch.number}: {owner} has {account.available} {asset} and {account.held} held, "
                    f"its writer had {available} and {held}"
                )

    def _check_state(self) -> None:
        for violation in check_all(self.memory.state):
            self._report.wrong(
                f"batch {self.memory.number}: {violation.invariant} {violation.subject}: {violation.message}"
            )


async def _check_snapshot(exchange: OpenExchange, memory: Memory, manifest: Manifest, report: Report) -> None:
    if manifest.digest != memory.digest:
        report.wrong(f"the snapshot of batch {manifest.batch} was taken of another journal")
    try:
        restored = restore(manifest, await exchange.snapshots.chunks(manifest))
    except DamagedSnapshot as damage:
        # One that is listed no more has made room for a newer one meanwhile.
        if manifest in await exchange.snapshots.manifests():
            report.wrong(str(damage))
        return
    if manifest.state_hash != state_hash(memory.state) or state_hash(restored.state) != manifest.state_hash:
        report.wrong(f"the snapshot of batch {manifest.batch} holds another state than the journal")
    if restored.evicted_keys.content != memory.evicted_keys.content:
        report.wrong(f"the snapshot of batch {manifest.batch} knows other keys than the journal")
    report.fact("newest_snapshot", manifest.batch)


async def _checked_cursor(exchange: OpenExchange, report: Report) -> Cursor | None:
    """The projection's, where it stands in this journal."""
    cursor = await Cursors(exchange.mongo.database).read(ORDERS)
    head = await exchange.journal.head()  # after the cursor, which moves on with it
    report.fact("projected", cursor.batch)
    if cursor.is_of_a_rebuild:
        report.wrong("a rebuild of the projection was broken off: run it again")
    elif cursor.batch > head:
        report.wrong(f"the projection is at batch {cursor.batch}, the journal ends at {head}")
    elif cursor.batch > 0:
        batch = await exchange.journal.read(cursor.batch)
        if batch is None or batch.digest != cursor.digest:
            report.wrong(f"the projection was made of another batch {cursor.batch}")
        else:
            return cursor
    return None
