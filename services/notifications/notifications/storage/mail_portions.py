"""Several mails at once: claimed in one transaction, and what became of them written down in another."""

from collections.abc import Sequence
from datetime import datetime

from chassis.mongo import Transactions
from pymongo import UpdateOne

from notifications.domain.mails import MailStatus, Outcome
from notifications.storage.documents import MailDocument
from notifications.storage.mails import claim_of, claiming, noting
from notifications.use_cases.ports import Claim

# Longer than a transaction usually has: what is not noted is sent again, to as many as the portion holds.
NOTE_SECONDS_MAX = 8.0


class MongoMailPortions:
    """For the database a commit is dearer than the rows in it."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions
        self._rows = MailDocument.get_pymongo_collection()

    async def claim(self, mail_ids: Sequence[str], now: datetime) -> dict[str, Claim]:
        async def work() -> dict[str, Claim]:
            which = {"_id": {"$in": list(mail_ids)}, "status": MailStatus.QUEUED.value}
            claims: dict[str, Claim] = {}
            async for row in self._rows.find(which):
                claims[row["_id"]] = claim_of(row, now)
            # Another worker that claims one of them meanwhile conflicts with this, and one of the two goes again.
            mine = [UpdateOne(*claiming(mail_id, now)) for mail_id, claim in claims.items() if claim.mail is not None]
            if mine:
                await self._rows.bulk_write(mine, ordered=False)
            return claims

        return await self._transactions.run(work)

    async def note(self, outcomes: Sequence[Outcome], now: datetime) -> None:
        async def work() -> None:
            # In a transaction also where it is one: that is tried again until the database is back.
            await self._rows.bulk_write([UpdateOne(*noting(outcome, now)) for outcome in outcomes], ordered=False)

        if outcomes:
            await self._transactions.run(work, deadline_seconds=NOTE_SECONDS_MAX)
