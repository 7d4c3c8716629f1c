"""Notifications and mails of filled orders, written in the transaction that moves the journal's cursor."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from pymongo import UpdateOne

from notifications.domain.mails import Mail, MailKind, MailStatus
from notifications.domain.order_fills import MAILS_PER_HOUR_MAX, OrderFilled, hour_of
from notifications.storage.documents import MailAllowanceDocument, MailDocument, NotificationDocument
from notifications.storage.mails import new_row


class MongoFillRecords:
    def __init__(self) -> None:
        self._notifications = NotificationDocument.get_pymongo_collection()
        self._mails = MailDocument.get_pymongo_collection()
        self._allowances = MailAllowanceDocument.get_pymongo_collection()

    async def add(self, fills: Sequence[tuple[OrderFilled, datetime]]) -> list[str]:
        """Inserts only: the cursor moves in the same transaction, so no fill comes twice."""
        await self._notifications.insert_many(
            [
                {
                    "_id": fill.key,
                    "user_id": fill.user_id,
                    "kind": MailKind.ORDER_FILLED.value,
                    "facts": fill.facts(),
                    "created_at": time,
                    "read_at": None,
                }
                for fill, time in fills
            ]
        )
        mails = [_mail(fill, time) for fill, time in await self._within_allowance(fills)]
        if mails:
            await self._mails.insert_many([new_row(mail) for mail in mails])
        return [mail.id for mail in mails]

    async def _within_allowance(
        self, fills: Sequence[tuple[OrderFilled, datetime]]
    ) -> list[tuple[OrderFilled, datetime]]:
        keys = {f"{fill.user_id}:{hour_of(time)}": time for fill, time in fills}
        used: Counter[str] = Counter()
        async for row in self._allowances.find({"_id": {"$in": list(keys)}}):
            used[row["_id"]] = row["mails"]
        before = used.copy()
        allowed = []
        for fill, time in fills:
            key = f"{fill.user_id}:{hour_of(time)}"
            if used[key] < MAILS_PER_HOUR_MAX:
                used[key] += 1
                allowed.append((fill, time))
        grown = [key for key in keys if used[key] > before[key]]
        if grown:
            await self._allowances.bulk_write(
                [
                    UpdateOne({"_id": key}, {"$set": {"mails": used[key], "created_at": keys[key]}}, upsert=True)
                    for key in grown
                ],
                ordered=False,
            )
        return allowed


def _mail(fill: OrderFilled, time: datetime) -> Mail:
    return Mail(
        id=fill.key,
        kind=MailKind.ORDER_FILLED,
        user_id=fill.user_id,
        recipient=None,
        facts=fill.facts(),
        digest="",
        status=MailStatus.QUEUED,
        attempts=0,
        created_at=time,
        due_at=time,
        expires_at=None,
    )
