"""Documents that are inserted one after the other, each durable before the next: what every order waits for.

See decision 0112.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import pymongo
from chassis.mongo import MongoConnection, MongoDatabase
from pymongo.errors import PyMongoError

from trading.journal.store import AppendOutcomeUnknown, BatchNumberTaken
from trading.storage.line_options import LineOptions
from trading.storage.scram import ScramRefused
from trading.storage.wire_connection import WireConnection

_DUPLICATE_KEY = 11000


class Appends:
    """Over a connection of its own to the primary, which the driver names; where the URL asks for what that does not
    do, over the driver's: the same command, the same judgement of its reply. Connects at the first insert.
    """

    def __init__(self, connection: MongoConnection, collection: str, *, timeout_seconds: float) -> None:
        self._database: MongoDatabase = connection.database
        self._collection = collection
        self._timeout_seconds = timeout_seconds
        self._options = LineOptions.read(connection.url)
        self._open: WireConnection | None = None
        self._opening = asyncio.Lock()

    @property
    def has_own_line(self) -> bool:
        return self._options is not None

    async def insert(self, document: Mapping[str, Any]) -> None:
        """Returns when the document is durable: on a majority, journaled.

        Raises:
            BatchNumberTaken: another document has its `_id`.
            AppendOutcomeUnknown: no answer in time, or any other; it may have happened, or may still happen.
            InvalidDocument, DocumentTooLarge: nothing was sent: a bug.
        """
        # No retries: what an unanswered append did is found out by reading its number.
        command = {
            "insert": self._collection,
            "documents": [document],
            "writeConcern": {"w": "majority", "j": True},
        }
        try:
            reply = await (self._by_driver(command) if self._options is None else self._by_line(self._options, command))
        except (OSError, PyMongoError, ScramRefused) as error:
            # A timeout says nothing of itself but its name.
            raise AppendOutcomeUnknown(str(error) or type(error).__name__) from error
        if any(problem.get("code") == _DUPLICATE_KEY for problem in reply.get("writeErrors", ())):
            raise BatchNumberTaken
        if not _is_durable(reply):
            # Perhaps that server is the primary no more: whoever reads the number asks the driver, which will find out.
            self.close()
            raise AppendOutcomeUnknown(_problem(reply))

    def close(self) -> None:
        """An insert under way ends as unknown."""
        if self._open is not None:
            self._open.close()

    async def _by_line(self, options: LineOptions, command: dict[str, Any]) -> Mapping[str, Any]:
        async with asyncio.timeout(self._timeout_seconds):
            connection = self._open
            if connection is None or connection.lost:
                connection = await self._connected(options)
            return await connection.command({**command, "$db": self._database.name})

    async def _by_driver(self, command: dict[str, Any]) -> Mapping[str, Any]:
        with pymongo.timeout(self._timeout_seconds):
            reply: Mapping[str, Any] = await self._database.command(command)
            return reply

    async def _connected(self, options: LineOptions) -> WireConnection:
        async with self._opening:
            if self._open is None or self._open.lost:
                address = await self._database.client.address
                if address is None:
                    raise ConnectionError("no primary")
                self._open = await WireConnection.open(*address, options, name=f"{self._database.name}-append")
            return self._open


def _is_durable(reply: Mapping[str, Any]) -> bool:
    refused = reply.get("writeErrors") or reply.get("writeConcernError")
    return bool(reply.get("ok")) and not refused and reply.get("n") == 1


def _problem(reply: Mapping[str, Any]) -> str:
    problem = reply.get("writeConcernError") or next(iter(reply.get("writeErrors", ())), reply)
    return f"{problem.get('codeName', '')} {problem.get('code', '')}".strip()
