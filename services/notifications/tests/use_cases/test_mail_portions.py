"""Several mails in one task."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from mail_room import Room
from notifications.storage.mails import MongoMails
from notifications.use_cases.ports import Contact
from werkzeug import Response

USERS = ("u1", "u2", "u3")
MAILS = [f"order-filled:{user_id}" for user_id in USERS]


@pytest.fixture
async def portion(room: Room) -> Room:
    for user_id in USERS:
        room.book.contacts[user_id] = Contact(f"{user_id}@example.org", "Ann")
        await room.fill(user_id, user_id=user_id)
    return room


async def statuses(room: Room) -> list[str]:
    return [(await room.row(mail_id))["status"] for mail_id in MAILS]


async def test_each_is_sent_and_noted(portion: Room, provider: Any) -> None:
    await portion.deliver_many([*MAILS, "no-such-mail"])
    assert sorted(provider.recipients()) == [f"{user_id}@example.org" for user_id in USERS]
    for user_id, mail_id in zip(USERS, MAILS, strict=True):
        row = await portion.row(mail_id)
        assert (row["status"], row["attempts"], row["claimed_until"]) == ("sent", 1, None)
        assert row["recipient"] == f"{user_id}@example.org"
        assert row["provider_id"].startswith("provider-")
    await portion.deliver_many(MAILS)
    assert len(provider.mails) == len(MAILS)


async def test_of_two_workers_with_the_same_portion_one_sends_each_mail(portion: Room, provider: Any) -> None:
    await asyncio.gather(*(portion.deliver_many(MAILS) for _ in range(4)))
    assert sorted(provider.recipients()) == [f"{user_id}@example.org" for user_id in USERS]


async def test_one_that_cannot_be_sent_keeps_none_of_the_others(portion: Room, provider: Any) -> None:
    del portion.book.contacts["u1"]
    provider.answers.append(Response(status=503))
    await portion.deliver_many(MAILS)
    assert (await statuses(portion))[0] == "failed"
    assert sorted(await statuses(portion)) == ["failed", "queued", "sent"]
    [(waiting, _, delay_seconds)] = portion.queue.tasks
    assert delay_seconds == 2
    assert "503" in (await portion.row(waiting))["reason"]
    await portion.work()
    assert sorted(await statuses(portion)) == ["failed", "sent", "sent"]


async def test_a_bug_with_one_mail_is_heard_of_once_the_others_are_noted(portion: Room) -> None:
    await portion.mongo.database["mails"].update_one({"_id": MAILS[1]}, {"$set": {"facts": {}}})
    with pytest.raises(Exception, match="undefined"):
        await portion.deliver_many(MAILS)
    assert await statuses(portion) == ["sent", "queued", "sent"]


async def test_one_that_another_worker_has_is_looked_at_when_its_claim_is_over(portion: Room, provider: Any) -> None:
    await MongoMails().claim(MAILS[0], portion.clock.now())
    await portion.deliver_many(MAILS)
    assert len(provider.mails) == 2
    [(mail_id, _, delay_seconds)] = portion.queue.tasks
    assert (mail_id, delay_seconds) == (MAILS[0], pytest.approx(30, abs=1))
    await portion.work()
    assert await statuses(portion) == ["sent", "sent", "sent"]


async def test_a_row_of_an_earlier_version_is_sent(portion: Room, provider: Any) -> None:
    await portion.mongo.database["mails"].update_many({}, {"$unset": {"other_orders": "", "unlisted_orders": ""}})
    await portion.deliver_many(MAILS[:1])
    await portion.deliver(MAILS[1])
    assert [mail["subject"] for mail in provider.mails] == ["Bought 1 BTC", "Bought 1 BTC"]


async def test_mails_that_kill_their_workers_are_sent_when_the_claims_are_over(portion: Room, provider: Any) -> None:
    claims = await portion.deliver_many._portions.claim(MAILS, portion.clock.now())
    assert all(claim.mail is not None for claim in claims.values())
    portion.clock.advance(timedelta(seconds=31).total_seconds())
    await portion.deliver_many(MAILS)
    assert len(provider.mails) == len(MAILS)
    assert [(await portion.row(mail_id))["attempts"] for mail_id in MAILS] == [2, 2, 2]
