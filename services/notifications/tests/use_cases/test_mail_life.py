"""A mail from its request to its end."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from chassis.errors import Unavailable
from mail_room import LIFE, Room
from notifications.domain.mails import TRIES_MAX
from notifications.domain.order_fills import MAILS_PER_HOUR_MAX
from notifications.storage.mails import MongoMails
from notifications.use_cases.ports import Contact
from werkzeug import Response


async def test_two_tasks_for_one_mail_send_it_once(room: Room, provider: Any) -> None:
    await room.ask()
    await room.ask()
    assert len(room.queue.tasks) == 2
    await room.work()
    await room.work()
    assert len(provider.mails) == 1
    assert (await room.row())["status"] == "sent"
    await room.ask()
    assert room.queue.tasks == []


async def test_a_request_whose_task_was_not_taken_is_queued_by_its_repeat(room: Room, provider: Any) -> None:
    room.queue.away = True
    with pytest.raises(Unavailable):
        await room.ask()
    room.queue.away = False
    await room.ask()
    await room.work()
    assert len(provider.mails) == 1


async def test_a_busy_provider_is_asked_again_later_and_later(room: Room, provider: Any) -> None:
    provider.answers.extend(Response(status=503) for _ in range(3))
    await room.ask()
    pauses = [await room.work() for _ in range(4)]
    assert pauses == [0, 2, 4, 8]
    assert (await room.row())["status"] == "sent"
    assert (await room.row())["attempts"] == 4


async def test_the_reset_header_is_honoured(room: Room, provider: Any) -> None:
    reset = int((room.clock.now() + timedelta(seconds=90)).timestamp())
    provider.answers.append(Response(status=429, headers={"X-RateLimit-Reset": str(reset)}))
    await room.ask()
    await room.work()
    row = await room.row()
    assert (row["status"], row["claimed_until"]) == ("queued", None)
    assert "429" in row["reason"]
    assert await room.work() == pytest.approx(90, abs=1)
    assert len(provider.mails) == 1


async def test_a_refused_mail_is_closed_with_the_reason(room: Room, provider: Any) -> None:
    body = '{"errors": [{"message": "Does not contain a valid address.", "field": "to"}]}'
    provider.answers.append(Response(body, status=400))
    await room.ask()
    await room.work()
    row = await room.row()
    assert row["status"] == "failed"
    assert "Does not contain a valid address." in row["reason"]
    assert room.queue.tasks == []


async def test_an_expired_code_is_not_sent(room: Room, provider: Any) -> None:
    await room.ask()
    room.clock.advance(LIFE.total_seconds())
    await room.work()
    row = await room.row()
    assert (row["status"], row["reason"]) == ("failed", "expired")
    assert provider.requests == 0


async def test_a_code_that_would_expire_before_the_next_try_is_closed(room: Room, provider: Any) -> None:
    provider.answers.append(Response(status=503, headers={"Retry-After": "3600"}))
    await room.ask()
    await room.work()
    assert (await room.row())["status"] == "failed"
    assert room.queue.tasks == []


async def test_a_mail_is_given_up_after_its_tries(room: Room, provider: Any) -> None:
    room.book.contacts["u1"] = Contact("ann@example.org", "Ann")
    provider.answers.extend(Response(status=500) for _ in range(20))
    await room.fill()
    room.queue.tasks.append(("order-filled:o1", None, 0))
    while room.queue.tasks:
        await room.work()
    row = await room.row("order-filled:o1")
    assert (row["status"], row["attempts"], provider.requests) == ("failed", TRIES_MAX, TRIES_MAX)


async def test_a_claimed_mail_waits_for_the_claim_of_a_dead_worker_to_end(room: Room, provider: Any) -> None:
    await room.ask()
    await MongoMails().claim("m1", room.clock.now())
    await room.work()
    assert provider.requests == 0
    [(_, sealed, delay_seconds)] = room.queue.tasks
    assert sealed is not None
    assert delay_seconds == pytest.approx(30, abs=1)
    await room.work()
    assert len(provider.mails) == 1


async def test_of_many_workers_one_claims_a_mail(room: Room) -> None:
    await room.ask()
    claims = await asyncio.gather(*(MongoMails().claim("m1", room.clock.now()) for _ in range(8)))
    [mine] = [claim.mail for claim in claims if claim.mail is not None]
    assert (mine.id, mine.attempts) == ("m1", 1)
    assert [claim.wait_seconds for claim in claims].count(None) == 1


async def test_a_mail_that_kills_its_workers_is_given_up(room: Room, provider: Any) -> None:
    await room.fill()
    for _ in range(TRIES_MAX):
        assert (await MongoMails().claim("order-filled:o1", room.clock.now())).mail is not None
        room.clock.advance(31)
    await room.deliver("order-filled:o1")
    assert (await room.row("order-filled:o1"))["status"] == "failed"
    assert provider.requests == 0


async def test_an_order_mail_waits_for_auth_and_is_closed_for_a_user_who_is_gone(room: Room, provider: Any) -> None:
    room.book.away = True
    await room.fill()
    room.queue.tasks.append(("order-filled:o1", None, 0))
    await room.work()
    assert (await room.row("order-filled:o1"))["status"] == "queued"
    room.book.away = False
    await room.work()
    row = await room.row("order-filled:o1")
    assert (row["status"], row["reason"]) == ("failed", "NoContact: u1")


async def test_the_sweep_queues_lost_mails_again_and_closes_lost_codes(room: Room, provider: Any) -> None:
    room.book.contacts["u1"] = Contact("ann@example.org", "Ann")
    await room.fill()
    await room.ask()
    room.queue.tasks.clear()
    assert await room.sweep() == 0
    room.clock.advance(130)
    assert await room.sweep() == 1
    assert await room.sweep() == 0
    await room.work()
    assert provider.mails[0]["subject"] == "Bought 1 BTC"
    assert (await room.row())["status"] == "queued"
    room.clock.advance(LIFE.total_seconds())
    assert await room.sweep() == 0
    assert ((await room.row())["status"], (await room.row())["reason"]) == ("failed", "expired")


async def test_a_notice_that_hangs_on_an_event_is_sent_once_and_is_not_lost_with_its_task(
    room: Room, provider: Any
) -> None:
    removed = {"event_id": "e1", "user_id": "u1", "notice": "two_factor_removed", "time": room.clock.now()}
    room.queue.away = True
    await room.notice(**removed)
    room.queue.away = False
    room.clock.advance(130)
    assert await room.sweep() == 1
    # The event comes again: before the mail has left, and after.
    await room.notice(**removed)
    room.book.contacts["u1"] = Contact("ann@example.org", "Ann")
    await room.work()
    await room.work()
    await room.notice(**removed)
    assert room.queue.tasks == []
    [mail] = provider.mails
    assert (provider.recipients(), mail["subject"]) == (
        ["ann@example.org"],
        "Two-factor sign-in was removed by our support",
    )
    assert (await room.row("notice:e1"))["status"] == "sent"


async def test_the_sweep_finds_again_what_the_broker_did_not_take(room: Room) -> None:
    await room.fill()
    room.clock.advance(130)
    room.queue.away = True
    with pytest.raises(Unavailable):
        await room.sweep()
    room.queue.away = False
    room.clock.advance(130)
    assert await room.sweep() == 1


async def test_a_user_gets_so_many_order_mails_an_hour_and_a_row_for_every_order(room: Room) -> None:
    for number in range(MAILS_PER_HOUR_MAX):
        assert await room.fill(f"first-{number}") == [f"order-filled:first-{number}"]
    assert await room.fill("second", "third") == []
    assert await room.mongo.database["notifications"].count_documents({}) == MAILS_PER_HOUR_MAX + 2
    room.clock.advance(3600)
    assert await room.fill("later") == ["order-filled:later"]
