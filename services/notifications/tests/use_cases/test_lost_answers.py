"""The database does what it is asked, and the line breaks before it says so."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from chassis.errors import Unavailable
from chassis.mongo import MongoConnection, init_documents
from chassis.testing.tcp_proxy import TcpProxy
from mail_room import Room, open_room
from notifications.domain.mails import Mail, Outcome
from notifications.storage.documents import DOCUMENTS
from notifications.use_cases.ports import Contact


@pytest.fixture
async def line(mongo_line: tuple[MongoConnection, TcpProxy]) -> TcpProxy:
    return mongo_line[1]


@pytest.fixture
async def distant_room(mongo_line: tuple[MongoConnection, TcpProxy], provider: Any) -> AsyncIterator[Room]:
    """Its database is at the other end of `line`."""
    connection, _ = mongo_line
    await init_documents(connection.database, DOCUMENTS)
    async with open_room(connection, provider.url) as everything:
        yield everything


async def test_what_became_of_a_mail_that_has_left_is_noted_after_all(
    distant_room: Room, line: TcpProxy, provider: Any
) -> None:
    room, attempt = distant_room, distant_room.deliver._attempt

    async def then_break(mail: Mail, sealed: str | None = None) -> Outcome:
        outcome = await attempt(mail, sealed)
        line.lose_answers()
        return outcome

    room.deliver._attempt = then_break  # type: ignore[assignment] # called as the other is
    await room.ask()
    await room.work()
    assert line.lost_answers
    assert (await room.row())["status"] == "sent"
    assert room.queue.tasks == []
    assert len(provider.mails) == 1


async def test_a_code_that_was_written_down_unheard_is_sent_once_by_its_repeat(
    distant_room: Room, line: TcpProxy, provider: Any
) -> None:
    room = distant_room
    await room.sweep()
    line.lose_answers()
    with pytest.raises(Unavailable):
        await room.ask()
    await room.ask()
    await room.work()
    assert room.queue.tasks == []
    assert len(provider.mails) == 1


async def test_a_sweep_that_was_not_answered_is_an_outage_and_the_next_one_finds_the_mails(
    distant_room: Room, line: TcpProxy, provider: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = distant_room
    room.book.contacts["u1"] = Contact("ann@example.org", "Ann")
    await room.fill()
    room.clock.advance(130)
    mails = room.sweep._mails
    lost = mails.lost

    async def then_break(*arguments: Any) -> Any:
        found = await lost(*arguments)
        line.lose_answers()
        return found

    monkeypatch.setattr(mails, "lost", then_break)
    with pytest.raises(Unavailable):
        await room.sweep()
    monkeypatch.undo()
    # Marked unheard: due once more after a while.
    room.clock.advance(130)
    assert await room.sweep() == 1
    await room.work()
    assert len(provider.mails) == 1
