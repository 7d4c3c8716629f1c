"""Mails in Mongo. Every step is one update that names the status it starts from, so two workers cannot both take it."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from chassis.mongo import database_errors
from pymongo.errors import DuplicateKeyError

from notifications.domain.mails import TRANSITIONS, Mail, MailKind, MailStatus, MailTrigger, Outcome
from notifications.storage.documents import MailDocument, Row
from notifications.use_cases.ports import Claim

CLAIM_LASTS = timedelta(seconds=30)  # longer than the provider's slowest answer we wait for
LOST_AFTER = timedelta(minutes=2)  # queued and due that long ago: a busy worker is behind by seconds
REASON_LENGTH_MAX = 500


class MongoMails:
    def __init__(self) -> None:
        self._rows = MailDocument.get_pymongo_collection()

    async def add(self, mail: Mail) -> Mail:
        with database_errors():
            try:
                await self._rows.insert_one(new_row(mail))
            except DuplicateKeyError:
                found = await self._rows.find_one({"_id": mail.id})
                return mail_of_row(found) if found is not None else mail
        return mail

    async def claim(self, mail_id: str, now: datetime) -> Claim:
        with database_errors():
            # No find-and-modify and no `$or`: the embedded server would look at every mail for the one, 46 ms where
            # there are 1,500. Whoever claimed it may read it afterwards.
            claimed = await self._rows.update_one(*claiming(mail_id, now))
            row = await self._rows.find_one({"_id": mail_id, "status": MailStatus.QUEUED.value})
        if row is not None and claimed.matched_count:
            return Claim(mail=mail_of_row(row))
        if row is None or row["claimed_until"] is None:
            return Claim()
        return Claim(wait_seconds=_seconds_until(row["claimed_until"], now))

    async def lost(self, now: datetime, limit: int) -> Sequence[Mail]:
        found = self._rows.find({"status": MailStatus.QUEUED.value, "due_at": {"$lt": now - LOST_AFTER}})
        with database_errors():
            return [mail_of_row(row) for row in await found.sort("due_at", 1).to_list(limit)]

    async def due_again(self, mail_ids: Sequence[str], now: datetime) -> None:
        if mail_ids:
            with database_errors():
                await self._rows.update_many(
                    {"_id": {"$in": list(mail_ids)}, "status": MailStatus.QUEUED.value},
                    {"$set": {"due_at": now, "updated_at": now}},
                )


def claiming(mail_id: str, now: datetime) -> tuple[Row, Row]:
    """The update that takes a queued mail for sending, so that no second worker sends it meanwhile."""
    return (
        {"_id": mail_id, "status": MailStatus.QUEUED.value, "claimed_until": {"$not": {"$gt": now}}},
        {"$set": {"claimed_until": now + CLAIM_LASTS, "updated_at": now}, "$inc": {"attempts": 1}},
    )


def claim_of(row: Row, now: datetime) -> Claim:
    """What `claiming` does to this queued row."""
    until = row["claimed_until"]
    if until is not None and until > now:
        return Claim(wait_seconds=_seconds_until(until, now))
    return Claim(mail=mail_of_row({**row, "attempts": row["attempts"] + 1}))


def noting(outcome: Outcome, now: datetime) -> tuple[Row, Row]:
    """The update that takes a mail the step it has made."""
    start = next(start for start, on in TRANSITIONS if on is outcome.trigger)
    changes: Row = {
        "status": TRANSITIONS[start, outcome.trigger].value,
        "updated_at": now,
        "claimed_until": None,
        "reason": outcome.reason[:REASON_LENGTH_MAX] if outcome.reason is not None else None,
    }
    if outcome.trigger is MailTrigger.ACCEPTED:
        changes |= {"recipient": outcome.recipient, "provider_id": outcome.provider_id}
    if outcome.due_at is not None:
        changes["due_at"] = outcome.due_at
    return {"_id": outcome.mail_id, "status": start.value}, {"$set": changes}


def _seconds_until(moment: datetime, now: datetime) -> float:
    return max(1.0, (moment - now).total_seconds())


def new_row(mail: Mail) -> Row:
    return {
        "_id": mail.id,
        "kind": mail.kind.value,
        "user_id": mail.user_id,
        "recipient": mail.recipient,
        "facts": mail.facts,
        "other_orders": list(mail.other_orders),
        "unlisted_orders": mail.unlisted_orders,
        "digest": mail.digest,
        "status": mail.status.value,
        "reason": None,
        "attempts": mail.attempts,
        "created_at": mail.created_at,
        "updated_at": mail.created_at,
        "due_at": mail.due_at,
        "expires_at": mail.expires_at,
        "claimed_until": None,
        "provider_id": None,
    }


def mail_of_row(row: Row) -> Mail:
    return Mail(
        id=row["_id"],
        kind=MailKind(row["kind"]),
        user_id=row["user_id"],
        recipient=row["recipient"],
        facts=row["facts"],
        # Rows of earlier versions tell of one order each.
        other_orders=tuple(row.get("other_orders", ())),
        unlisted_orders=row.get("unlisted_orders", False),
        digest=row["digest"],
        status=MailStatus(row["status"]),
        attempts=row["attempts"],
        created_at=row["created_at"].astimezone(UTC),
        due_at=row["due_at"].astimezone(UTC),
        expires_at=row["expires_at"].astimezone(UTC) if row["expires_at"] is not None else None,
    )
