"""The channel of prices: a snapshot, then what changed, for everybody."""

import asyncio
from typing import TYPE_CHECKING

from sockets import connected
from stand_ins import price

if TYPE_CHECKING:
    from conftest import Running, Start


async def test_prices_begin_with_a_snapshot_and_go_on_without_gaps(up: "Running") -> None:
    async with connected(up) as socket:
        await socket.send(op="subscribe", channel="prices")
        snapshot = await socket.read()
        assert (snapshot["channel"], snapshot["type"]) == ("prices", "snapshot")
        assert {"BTC", "ETH"} <= {entry["symbol"] for entry in snapshot["data"]}
        for step in range(1, 4):
            up.platform.market_data.publish(price("BTC", f"5000{step}"))
            update = await socket.read()
            assert (update["type"], update["seq"]) == ("update", snapshot["seq"] + step)
            assert [(entry["symbol"], entry["price"]) for entry in update["data"]] == [("BTC", f"5000{step}")]


async def test_many_changes_at_once_are_one_message_of_the_last_of_them(start: "Start") -> None:
    async with start(price_cadence_seconds=0.3) as up, connected(up) as socket:
        await socket.send(op="subscribe", channel="prices")
        first = await socket.read()
        for step in range(50):
            up.platform.market_data.publish(price("BTC", str(step + 1)))
        messages = [await socket.read()]
        while messages[-1]["data"][0]["price"] != "50":
            messages.append(await socket.read())
        assert len(messages) <= 4
        assert [message["seq"] for message in messages] == [first["seq"] + 1 + n for n in range(len(messages))]


async def test_no_prices_come_after_unsubscribing(up: "Running") -> None:
    async with connected(up) as socket:
        await socket.send(op="subscribe", channel="prices")
        await socket.read()
        await socket.send(op="unsubscribe", channel="prices")
        await socket.send(op="ping")
        assert await socket.read() == {"op": "pong"}
        up.platform.market_data.publish(price("BTC", "1"))
        await asyncio.sleep(0)
        await socket.send(op="ping")
        assert await socket.read() == {"op": "pong"}
