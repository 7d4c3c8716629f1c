"""Reads of `audit_logs`. Only what stands in a chain is ever shown."""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime
from typing import Any
from uuid import UUID

from chassis.errors import InvalidArgument

from auth.domain.audit_chain import SealedEntry, milliseconds_of, moment_of
from auth.storage.audit_rows import entry_of_row
from auth.storage.documents import AuditLogDocument
from auth.use_cases.audit_ports import AuditFilter, AuditPage

PAGE_SIZE_MAX = 200  # one screen shows 50
PAGE_SIZE_DEFAULT = 50


class MongoAuditQueries:
    def __init__(self) -> None:
        self._rows = AuditLogDocument.get_pymongo_collection()

    async def page(self, wanted: AuditFilter, *, limit: int, cursor: str) -> AuditPage:
        """Raises BrokenRecord where a row of the page is none that was written here."""
        if not 0 <= limit <= PAGE_SIZE_MAX:
            raise InvalidArgument("The page is too large.", field="limit", rule="maximum", limit=str(PAGE_SIZE_MAX))
        size = limit or PAGE_SIZE_DEFAULT
        query = _query(wanted)
        found: list[dict[str, Any]] = []
        if cursor:
            # What is left of the cursor's millisecond, then what is older: in one question it would be an `$or`, for
            # which the embedded database looks at every entry there is.
            time, entry_id = _parse_cursor(cursor)
            found = await self._newest({**query, "timestamp": time, "id": {"$lt": entry_id}}, size + 1)
            query["timestamp"] = {**query.get("timestamp", {}), "$lt": time}
        found += await self._newest(query, size + 1 - len(found))
        entries = [entry_of_row(row) for row in found[:size]]
        return AuditPage(entries, _cursor(entries[-1]) if len(found) > size else "")

    async def _newest(self, query: dict[str, Any], limit: int) -> list[dict[str, Any]]:
        if limit == 0:
            return []
        return await self._rows.find(query).sort([("timestamp", -1), ("id", -1)]).limit(limit).to_list(limit)


def _query(wanted: AuditFilter) -> dict[str, Any]:
    query: dict[str, Any] = {"sequence": {"$gt": 0}}
    if wanted.user_id is not None:
        query["user_id"] = wanted.user_id
    if wanted.action is not None:
        query["action"] = wanted.action
    bounds = {name: moment for name, moment in (("$gte", wanted.since), ("$lt", wanted.until)) if moment is not None}
    if bounds:
        query["timestamp"] = bounds
    return query


def _cursor(sealed: SealedEntry) -> str:
    text = f"{milliseconds_of(sealed.entry.timestamp)}/{sealed.entry.id}"
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _parse_cursor(cursor: str) -> tuple[datetime, UUID]:
    try:
        text = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
        milliseconds, _, entry_id = text.partition("/")
        return moment_of(int(milliseconds)), UUID(entry_id)
    except (ValueError, OverflowError, binascii.Error):
        raise InvalidArgument("The cursor is not one of ours.", field="cursor", rule="cursor") from None
