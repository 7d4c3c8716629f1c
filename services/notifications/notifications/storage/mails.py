"""Mails in Mongo. Every step is one update that names the status it starts from, so two workers cannot both take it."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from chassis.mongo import DatabaseUnavailable
from pymongo.errors import ConnectionFailure, DuplicateKeyError

from notifications.domain.mails import TRANSITIONS, Mail, MailKind, MailStatus, MailTrigger
from notifications.storage.documents import MailDocument, Row
from notifications.use_cases.ports import Claim

CLAIM_LASTS = timedelta(seconds=30)  # longer than the provider's slowest answer we wait for
LOST_AFTER = timedelta(minutes=2)  # queued and due that long ago: a busy worker is behind by seconds
REASON_LENGTH_MAX = 500


class MongoMails:
    def __init__(self) -> None:
        self._rows = MailDocument.get_pymongo_collection()

    async def add(self, mail: Mail) -> Mail:
        try:
            await self._rows.insert_one(new_row(mail))
        except DuplicateKeyError:
            found = await self._rows.find_one({"_id": mail.id})
            return _mail(found) if found is not None else mail
        except ConnectionFailure as error:
            raise DatabaseUnavailable from error
        return mail

    async def claim(self, mail_id: str, now: datetime) -> Claim:
        try:
            # No find-and-modify and no `$or`: the embedded server would look at every mail for the one, 46 ms where
            # there are 1,500, and orders are filled by the thousand. Whoever claimed it may read it afterwards.
            claimed = await self._rows.update_one(
                {"_id": mail_id, "status": MailStatus.QUEUED.value, "claimed_until": {"$not": {"$gt": now}}},
                {"$set": {"claimed_until": now + CLAIM_LASTS, "updated_at": now}, "$inc": {"attempts": 1}},
            )
            row = await self._rows.find_one({"_id": mail_id, "status": MailStatus.QUEUED.value})
        except ConnectionFailure as error:
            raise DatabaseUnavailable from error
        if row is not None and claimed.matched_count:
            return Claim(mail=_mail(row))
        if row is None or row["claimed_until"] is None:
            return Claim()
        return Claim(wait_seconds=max(1.0, (row["claimed_until"] - now).total_seconds()))

    async def sent(self, mail_id: str, now: datetime, *, recipient: str, provider_id: str) -> None:
        await self._step(mail_id, now, MailTrigger.ACCEPTED, recipient=recipient, provider_id=provider_id, reason=None)

    async def postponed(self, mail_id: str, now: datetime, *, until: datetime, reason: str) -> None:
        await self._step(mail_id, now, MailTrigger.POSTPONED, due_at=until, reason=reason[:REASON_LENGTH_MAX])

    async def failed(self, mail_id: str, now: datetime, *, reason: str) -> None:
        await self._step(mail_id, now, MailTrigger.REFUSED, reason=reason[:REASON_LENGTH_MAX])

    async def lost(self, now: datetime, limit: int) -> Sequence[Mail]:
        found = self._rows.find({"status": MailStatus.QUEUED.value, "due_at": {"$lt": now - LOST_AFTER}})
        return [_mail(row) for row in await found.sort("due_at", 1).to_list(limit)]

    async def due_again(self, mail_ids: Sequence[str], now: datetime) -> None:
        if mail_ids:
            await self._rows.update_many(
                {"_id": {"$in": list(mail_ids)}, "status": MailStatus.QUEUED.value},
                {"$set": {"due_at": now, "updated_at": now}},
            )

    async def _step(self, mail_id: str, now: datetime, trigger: MailTrigger, **changes: object) -> None:
        start = next(start for start, on in TRANSITIONS if on is trigger)
        try:
            await self._rows.update_one(
                {"_id": mail_id, "status": start.value},
                {
                    "$set": {
                        "status": TRANSITIONS[start, trigger].value,
                        "updated_at": now,
                        "claimed_until": None,
                        **changes,
                    }
                },
            )
        except ConnectionFailure as error:
            raise DatabaseUnavailable from error


def new_row(mail: Mail) -> Row:
    return {
        "_id": mail.id,
        "kind": mail.kind.value,
        "user_id": mail.user_id,
        "recipient": mail.recipient,
        "facts": mail.facts,
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


def _mail(row: Row) -> Mail:
    return Mail(
        id=row["_id"],
        kind=MailKind(row["kind"]),
        user_id=row["user_id"],
        recipient=row["recipient"],
        facts=row["facts"],
        digest=row["digest"],
        status=MailStatus(row["status"]),
        attempts=row["attempts"],
        created_at=row["created_at"].astimezone(UTC),
        due_at=row["due_at"].astimezone(UTC),
        expires_at=row["expires_at"].astimezone(UTC) if row["expires_at"] is not None else None,
    )
