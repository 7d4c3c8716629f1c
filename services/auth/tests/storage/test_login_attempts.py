"""Sign-ins on record, each once."""

from datetime import UTC, datetime, timedelta

from auth.storage.documents import DOCUMENTS
from auth.storage.login_attempts import MongoLoginAttempts
from auth.use_cases.ports import LoginAttempt
from chassis.mongo import MongoConnection, init_documents
from chassis.testing.tcp_proxy import TcpProxy

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
    attempts, rows = MongoLoginAttempts(), mongo.database["login_attempts"]
    attempts.note(attempt(1))
    attempts.note(attempt(2))
    line.lose_answers()
    await attempts.flush()
    assert line.lost_answers
    attempts.note(attempt(3))
    await attempts.flush()
    assert not attempts._waiting
    found = await rows.find({}).sort("timestamp", 1).to_list()
    assert [row["email_digest"] for row in found] == ["digest-1", "digest-2", "digest-3"]
