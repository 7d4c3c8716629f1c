"""Notifications and mails of filled orders, written in the transaction that moves the journal's cursor."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import groupby

from pymongo import UpdateOne

from notifications.domain.mails import Mail, MailKind, MailStatus
from notifications.domain.order_fills import LISTED_MAX, MAILS_PER_HOUR_MAX, OpenMail, OrderFilled, hour_of
from notifications.storage.documents import MailAllowanceDocument, MailDocument, NotificationDocument, Row
from notifications.storage.mails import new_row

Fill = tuple[OrderFilled, datetime]
# Nobody has tried to send it yet. A worker that claims it at the same moment conflicts with the transaction.
_UNTRIED: Row = {"status": MailStatus.QUEUED.value, "attempts": 0, "claimed_until": None}


class MongoFillRecords:
    def __init__(self) -> None:
        self._notifications = NotificationDocument.get_pymongo_collection()
        self._mails = MailDocument.get_pymongo_collection()
        self._allowances = MailAllowanceDocument.get_pymongo_collection()

    async def add(self, fills: Sequence[Fill], open_mails: Mapping[str, OpenMail]) -> list[OpenMail]:
        """No fill comes twice, since the cursor moves in the same transaction. `open_mails` by user."""
        await self._notifications.insert_many([_notification(fill, time) for fill, time in fills])
        users = sorted(fills, key=lambda fill: fill[0].user_id)  # stable: each one's fills stay in order
        by_user = {user_id: list(theirs) for user_id, theirs in groupby(users, key=lambda fill: fill[0].user_id)}
        still_open = await self._still_open([open_mails[user_id] for user_id in by_user if user_id in open_mails])
        grown = await self._grow(still_open, by_user)
        begun = await self._begin({user_id: theirs for user_id, theirs in by_user.items() if user_id not in still_open})
        return [*grown, *begun]

    async def untried(self, now: datetime, limit: int) -> list[str]:
        """Mails of filled orders that nobody has tried to send, oldest first."""
        which = {"due_at": {"$lte": now}, "kind": MailKind.ORDER_FILLED.value, **_UNTRIED}
        return [row["_id"] for row in await self._mails.find(which, {"_id": 1}).sort("due_at", 1).to_list(limit)]

    async def _still_open(self, mails: Sequence[OpenMail]) -> dict[str, OpenMail]:
        if not mails:
            return {}
        which = {"_id": {"$in": [mail.mail_id for mail in mails]}, **_UNTRIED}
        found = self._mails.find(which, {"other_orders": 1, "unlisted_orders": 1})
        rows = {row["_id"]: row async for row in found}
        # What a mail holds the row says: what is remembered may be of a fold that was undone.
        return {
            mail.user_id: replace(mail, orders=1 + len(row["other_orders"]), unlisted=row["unlisted_orders"])
            for mail in mails
            if (row := rows.get(mail.mail_id)) is not None
        }

    async def _grow(self, mails: Mapping[str, OpenMail], by_user: Mapping[str, Sequence[Fill]]) -> list[OpenMail]:
        grown, updates = [], []
        for user_id, mail in mails.items():
            theirs = by_user[user_id]
            listed = [fill.facts() for fill, _ in theirs[: LISTED_MAX - mail.orders]]
            unlisted = mail.unlisted or len(theirs) > len(listed)
            after = replace(mail, orders=mail.orders + len(listed), unlisted=unlisted)
            # A mail that is full and says so costs nothing more, however much its user trades.
            if after != mail:
                change: Row = {"$set": {"unlisted_orders": unlisted, "updated_at": theirs[-1][1]}}
                if listed:
                    change["$push"] = {"other_orders": {"$each": listed}}
                updates.append(UpdateOne({"_id": mail.mail_id}, change))
                grown.append(after)
        if updates:
            await self._mails.bulk_write(updates, ordered=False)
        return grown

    async def _begin(self, by_user: Mapping[str, Sequence[Fill]]) -> list[OpenMail]:
        allowed = await self._within_allowance({user_id: theirs[0][1] for user_id, theirs in by_user.items()})
        mails = [_mail(by_user[user_id]) for user_id in by_user if user_id in allowed]
        if mails:
            await self._mails.insert_many([new_row(mail) for mail in mails])
        return [
            OpenMail(
                mail_id=mail.id,
                user_id=mail.user_id,
                orders=1 + len(mail.other_orders),
                unlisted=mail.unlisted_orders,
            )
            for mail in mails
        ]

    async def _within_allowance(self, moments: Mapping[str, datetime]) -> set[str]:
        """Which of these users may get a mail more in the hour of that moment; it is counted."""
        keys = {user_id: f"{user_id}:{hour_of(time)}" for user_id, time in moments.items()}
        if not keys:
            return set()
        used: Counter[str] = Counter()
        async for row in self._allowances.find({"_id": {"$in": list(keys.values())}}):
            used[row["_id"]] = row["mails"]
        allowed = {user_id for user_id, key in keys.items() if used[key] < MAILS_PER_HOUR_MAX}
        if allowed:
            await self._allowances.bulk_write(
                [
                    UpdateOne(
                        {"_id": keys[user_id]},
                        {"$set": {"mails": used[keys[user_id]] + 1, "created_at": moments[user_id]}},
                        upsert=True,
                    )
                    for user_id in sorted(allowed)
                ],
                ordered=False,
            )
        return allowed


def _notification(fill: OrderFilled, time: datetime) -> Row:
    return {
        "_id": fill.key,
        "user_id": fill.user_id,
        "kind": MailKind.ORDER_FILLED.value,
        "facts": fill.facts(),
        "created_at": time,
        "read_at": None,
    }


def _mail(fills: Sequence[Fill]) -> Mail:
    """Of one user's fills; named by the first."""
    first, time = fills[0]
    return Mail(
        id=first.key,
        kind=MailKind.ORDER_FILLED,
        user_id=first.user_id,
        recipient=None,
        facts=first.facts(),
        other_orders=tuple(fill.facts() for fill, _ in fills[1:LISTED_MAX]),
        unlisted_orders=len(fills) > LISTED_MAX,
        digest="",
        status=MailStatus.QUEUED,
        attempts=0,
        created_at=time,
        due_at=time,
        expires_at=None,
    )
