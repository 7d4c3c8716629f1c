"""Transfers in two phases through the sequencer, the journal and the projection."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from chassis.mongo import MongoDatabase
from chassis.testing import eventually
from shell_factory import UNIT, MemoryJournal, Shell, actor, clock_of_today, running_shell
from trading.domain.accounts import Posting
from trading.domain.commands import HoldTransfer, PostTransfer, VoidTransfer
from trading.domain.queries import user_cursor
from trading.domain.snapshot import state_hash
from trading.domain.state import Limits
from trading.domain.transfer_errors import (
    BusinessKeyReused,
    TransferAlreadyPosted,
    TransferAlreadyVoided,
    TransferExpired,
    TransferNotFound,
)
from trading.journal.codec import decode_body
from trading.journal.history import user_steps
from trading.projector.projector import Projector
from trading.sequencer.clockwork import Clockwork
from trading.storage.documents import TransferDocument
from trading.storage.history import MongoHistory
from trading.storage.journal import MongoJournal
from trading.storage.projection import Projection

REMEMBERED = 3


def hold(key: str, kind: str = "withdrawal", to: str = "external", expires: int = 0) -> HoldTransfer:
    moves = (Posting("user:ann", "USD", -UNIT), Posting(to, "USD", UNIT))
    return HoldTransfer(actor("ann"), key, kind, moves, expires)


def post(hold_key: str, key: str) -> PostTransfer:
    return PostTransfer(actor(""), key, hold_key)


def void(hold_key: str, key: str) -> VoidTransfer:
    return VoidTransfer(actor(""), key, hold_key, "it failed")


@pytest.fixture
async def projected(
    mongo_journal: MongoJournal, mongo_database: MongoDatabase
) -> AsyncIterator[tuple[Shell, Projector]]:
    """A leader that forgets after three batches, and the projection that it asks then."""
    projector = Projector(mongo_journal, Projection(mongo_database))
    await projector.catch_up()
    following = asyncio.create_task(projector.run())
    shells: list[Shell] = []
    clock = clock_of_today()
    history = MongoHistory(mongo_database, state=lambda: shells[0].state, now=clock.now)
    limits = Limits(remembered_batches=REMEMBERED)
    async with running_shell(mongo_journal, history=history, limits=limits, clock=clock) as shell:
        shells.append(shell)
        await shell.deposit("ann", "USD", 100 * UNIT)
        yield shell, projector
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


async def pass_batches(shell: Shell, projector: Projector) -> None:
    for _ in range(REMEMBERED + 1):
        await shell.deposit("bob", "USD", UNIT)
    assert await projector.stored(shell.state.batch_number, 10)


async def test_rows_say_what_became_of_each_phase(projected: tuple[Shell, Projector]) -> None:
    shell, projector = projected
    held = await shell.send(hold("w1"))
    assert held.transfer_id
    await shell.send(hold("w2"))
    await shell.send(post("w1", "w1:sent"))
    await shell.send(void("w2", "w2:failed"))
    last = await shell.send(hold("w3"))
    assert await projector.stored(last.batch, 10)
    rows = {row.id: row for row in await TransferDocument.find({"kind": "withdrawal"}).to_list()}
    assert {key: (row.phase, row.state, row.hold_key) for key, row in rows.items()} == {
        "w1": ("held", "posted", ""),
        "w1:sent": ("posted", "done", "w1"),
        "w2": ("held", "voided", ""),
        "w2:failed": ("voided", "done", "w2"),
        "w3": ("held", "pending", ""),
    }
    assert rows["w1"].transfer_id == rows["w1:sent"].transfer_id == held.transfer_id
    assert all(row.actor and row.credential and row.request_id for row in rows.values())
    assert state_hash(projector.fold.state) == state_hash(shell.state)


async def test_what_left_memory_is_still_a_repeat_or_a_conflict(projected: tuple[Shell, Projector]) -> None:
    shell, projector = projected
    held = await shell.send(hold("w1"))
    await shell.send(hold("w2"))
    await shell.send(hold("w3"))
    sent = await shell.send(post("w1", "w1:sent"))
    await shell.send(void("w2", "w2:failed"))
    await pass_batches(shell, projector)
    assert shell.state.keys.ended_hold == {}
    again = await shell.send(hold("w1"))
    assert (again.transfer_id, again.batch, again.replayed) == (held.transfer_id, held.batch, True)
    again = await shell.send(post("w1", "w1:sent"))
    assert (again.transfer_id, again.batch, again.replayed) == (held.transfer_id, sent.batch, True)
    for command, error in (
        (post("w1", "other"), TransferAlreadyPosted),
        (void("w1", "other"), TransferAlreadyPosted),
        (post("w2", "other"), TransferAlreadyVoided),
        (void("w1", "w1:sent"), BusinessKeyReused),
        (post("never", "other"), TransferNotFound),
    ):
        with pytest.raises(error):
            await shell.send(command)
    # One that is still pending is found though its key has left memory.
    assert (await shell.send(post("w3", "w3:sent"))).replayed is False
    assert shell.balance("ann", "USD") == (98 * UNIT, 0)


async def test_a_hold_expires_though_nobody_asks_anything(projected: tuple[Shell, Projector]) -> None:
    shell, projector = projected
    await shell.send(hold("p1", "user_transfer", "user:bob", shell.now + 1_000))
    assert shell.balance("ann", "USD") == (99 * UNIT, UNIT)
    ticking = asyncio.create_task(Clockwork(shell.sequencer).run())
    shell.clock.advance(1)
    await eventually(lambda: shell.balance("ann", "USD") == (100 * UNIT, 0))
    ticking.cancel()
    await pass_batches(shell, projector)
    row = await TransferDocument.get("p1")
    assert row is not None
    assert row.state == "expired"
    with pytest.raises(TransferExpired):
        await shell.send(post("p1", "late"))


async def test_a_users_steps_are_gap_free_over_both_phases() -> None:
    journal = MemoryJournal()
    async with running_shell(journal) as shell:
        await shell.deposit("ann", "USD", 100 * UNIT)
        await asyncio.gather(shell.send(hold("p1", "user_transfer", "user:bob")), shell.send(hold("w1")))
        await asyncio.gather(shell.send(post("p1", "p1:done")), shell.send(void("w1", "w1:failed")))
        steps = []
        for _, batch in sorted(journal.batches.items()):
            body = decode_body(batch.body)
            steps += user_steps(body.events, accounts=body.accounts, order_after={}.__getitem__)
        mine = [(step.sequence, *step.balances[0][1:]) for step in steps if step.user_id == "ann"]
        assert mine == [
            (1, 100 * UNIT, 0),
            (2, 99 * UNIT, UNIT),
            (3, 98 * UNIT, 2 * UNIT),
            (4, 98 * UNIT, UNIT),
            (5, 99 * UNIT, 0),
        ]
        assert [(step.sequence, step.balances[0].available) for step in steps if step.user_id == "bob"] == [(1, UNIT)]
        assert user_cursor(shell.state, "ann").sequence == 5
