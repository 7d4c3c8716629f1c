"""Rotations over a line that loses answers."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from auth.domain.sessions import Session, opened_session
from auth.storage.documents import DOCUMENTS
from auth.storage.sessions import MongoSessions
from chassis.mongo import MongoConnection, init_documents
from chassis.testing.tcp_proxy import TcpProxy

# Finer than the database keeps it.
NOW = datetime.now(UTC).replace(microsecond=123_456)


async def opened(sessions: MongoSessions) -> Session:
    session = opened_session(
        session_id=uuid4(), user_id=uuid4(), seed=b"seed", device_id=uuid4(), device_name="", address=None, now=NOW
    )
    await sessions.add(session)
    return session


async def rotate(sessions: MongoSessions, session: Session, now: datetime) -> bool:
    return await sessions.rotate(session, now=now, by_device=False, address="203.0.113.7", expires_at=NOW)


async def test_a_rotation_whose_answer_was_lost_has_happened_once(
    mongo_line: tuple[MongoConnection, TcpProxy],
) -> None:
    connection, line = mongo_line
    await init_documents(connection.database, DOCUMENTS)
    sessions = MongoSessions()
    session = await opened(sessions)
    line.lose_answers()
    assert await rotate(sessions, session, NOW)
    assert line.lost_answers
    stored = await sessions.by_id(session.id)
    assert stored is not None
    assert stored.generation == 1


async def test_one_whose_answer_was_lost_is_not_taken_for_that_of_another(
    mongo_line: tuple[MongoConnection, TcpProxy],
) -> None:
    connection, line = mongo_line
    await init_documents(connection.database, DOCUMENTS)
    sessions = MongoSessions()
    session = await opened(sessions)
    assert await rotate(sessions, session, NOW)
    line.lose_answers()
    assert not await rotate(sessions, session, NOW + timedelta(seconds=1))
    assert not await rotate(sessions, replace(session, generation=7), NOW)
