"""Sign-ins on record, each once."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from auth.storage import login_attempts
from auth.storage.documents import DOCUMENTS, LoginAttemptDocument
from auth.storage.login_attempts import MongoLoginAttempts
from auth.use_cases.ports import LoginAttempt
from chassis.mongo import MongoConnection, init_documents
from chassis.testing.tcp_proxy import TcpProxy
from pymongo.errors import AutoReconnect

BEGUN = datetime(2026, 1, 1, tzinfo=UTC)


def attempt(number: int) -> LoginAttempt:
    return LoginAttempt(
        user_id=None,
        email_digest=f"digest-{number}",
        address="203.0.113.7",
        succeeded=False,
        reason="invalid_credentials",
        timestamp=BEGUN + timedelta(seconds=number),
    )


async def test_a_bulk_whose_answer_was_lost_is_on_record_once(
    mongo: MongoConnection, mongo_line: tuple[MongoConnection, TcpProxy]
) -> None:
    connection, line = mongo_line
    await init_documents(connection.database, DOCUMENTS)
    attempts = MongoLoginAttempts()
    attempts.note(attempt(1))
    attempts.note(attempt(2))
    line.lose_answers()
    await attempts.flush()
    assert line.lost_answers
    attempts.note(attempt(3))
    await attempts.flush()
    assert not attempts._waiting
    assert await on_record(mongo) == ["digest-1", "digest-2", "digest-3"]


async def on_record(mongo: MongoConnection) -> list[str]:
    rows = await mongo.database["login_attempts"].find({}).sort("timestamp", 1).to_list()
    return [row["email_digest"] for row in rows]


async def test_a_bulk_that_a_stop_breaks_off_is_on_record_after_the_last_flush(
    mongo: MongoConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await init_documents(mongo.database, DOCUMENTS)
    attempts, begun = MongoLoginAttempts(), asyncio.Event()

    async def slow(_batch: Sequence[LoginAttemptDocument], **_options: bool) -> None:
        begun.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(LoginAttemptDocument, "insert_many", slow)
    attempts.note(attempt(1))
    running = asyncio.create_task(attempts.run())
    await begun.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    monkeypatch.undo()
    await attempts.flush()
    assert await on_record(mongo) == ["digest-1"]


async def test_where_too_many_wait_the_oldest_go(mongo: MongoConnection, monkeypatch: pytest.MonkeyPatch) -> None:
    await init_documents(mongo.database, DOCUMENTS)
    monkeypatch.setattr(login_attempts, "WAITING_MAX", 3)
    attempts = MongoLoginAttempts()

    async def away(_batch: Sequence[LoginAttemptDocument], **_options: bool) -> None:
        attempts.note(attempt(4))
        raise AutoReconnect("connection closed")

    for number in (1, 2, 3):
        attempts.note(attempt(number))
    with monkeypatch.context() as patch:
        patch.setattr(LoginAttemptDocument, "insert_many", away)
        await attempts.flush()
    await attempts.flush()
    assert await on_record(mongo) == ["digest-2", "digest-3", "digest-4"]
