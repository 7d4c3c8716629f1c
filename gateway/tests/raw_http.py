"""Bytes to the gateway as no client library would send them."""

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conftest import Running

_SECONDS = 30.0


async def raw(up: "Running", *pieces: bytes, wait: bool = True) -> bytes:
    """Whatever the gateway answers to these bytes until it closes; with `<open>` at the end where it does not."""
    reader, writer = await asyncio.open_connection(up.host, up.port)
    answer = b""
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        async with asyncio.timeout(_SECONDS if wait else 0.3):
            while chunk := await reader.read(65_536):
                answer += chunk
    except TimeoutError:
        return answer + b"<open>"
    except ConnectionError:
        pass
    finally:
        writer.close()
    return answer
