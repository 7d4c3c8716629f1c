"""A client of /ws that checks the numbering of every channel while it reads."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

Json = dict[str, Any]

READ_SECONDS_MAX = 30.0  # milliseconds in peace; on a busy machine a process may not run for seconds


class Socket:
    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._sequences: dict[tuple[str, str | None], int] = {}

    async def send(self, **message: Any) -> None:
        await self._connection.send(json.dumps(message))

    async def read(self) -> Json:
        message: Json = json.loads(await self._connection.recv())
        if "channel" in message and "seq" in message:
            self._check_sequence(message)
        return message

    async def read_until(self, wanted: Callable[[Json], bool], *, timeout_seconds: float = READ_SECONDS_MAX) -> Json:
        """The first message that is wanted; those before it are read over."""
        seen: list[Json] = []
        try:
            async with asyncio.timeout(timeout_seconds):
                while True:
                    message = await self.read()
                    if wanted(message):
                        return message
                    seen.append(message)
        except TimeoutError:
            raise AssertionError(f"not among {len(seen)} messages, the last: {seen[-3:]}") from None

    async def read_channel(self, channel: str) -> Json:
        return await self.read_until(lambda message: message.get("channel") == channel)

    def _check_sequence(self, message: Json) -> None:
        place = (message["channel"], message.get("market"))
        before = self._sequences.get(place)
        self._sequences[place] = message["seq"]
        if before is not None and message["type"] != "snapshot":
            assert message["seq"] == before + 1, f"{place} went from {before} to {message['seq']}"


@asynccontextmanager
async def open_socket(url: str) -> AsyncIterator[Socket]:
    async with connect(url, proxy=None) as connection:
        yield Socket(connection)
