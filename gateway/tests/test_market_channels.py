"""The WebSocket channels `book` and `trades`: a snapshot, then updates without gaps, conflated for slow readers."""

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from chassis.clock import SystemClock
from chassis.testing import eventually
from cryptovault.trading.v1 import trading_pb2
from facts import NOW
from gateway.websocket.book_channel import BookChannel
from gateway.websocket.outbox import UPDATES_WAITING_MAX, Outbox
from gateway.websocket.trade_channel import TradeChannel
from sockets import connected
from trading_stand_in import levels, public_trade

if TYPE_CHECKING:
    from sockets import Socket

    from conftest import Running

MARKET = "BTC-USD"


async def subscribed(socket: "Socket", channel: str) -> dict[str, Any]:
    await socket.send(op="subscribe", channel=channel, market=MARKET)
    snapshot = await socket.read()
    assert (snapshot["channel"], snapshot["market"], snapshot["type"]) == (channel, MARKET, "snapshot"), snapshot
    return snapshot


def sequences(message: dict[str, Any]) -> list[int]:
    return [trade["sequence"] for trade in message["data"]]


async def test_a_book_begins_with_a_snapshot_and_its_changes_follow_without_gap(up: "Running") -> None:
    async with connected(up) as socket:
        snapshot = await subscribed(socket, "book")
        assert snapshot["data"] == {"bids": [["50000", "2"], ["49999", "1"]], "asks": [["50001", "3"]]}
        up.platform.trading.change_book(bids={"50000": "0", "49998": "7"})
        up.platform.trading.change_book()  # a sign of life: no news, no number
        up.platform.trading.change_book(asks={"50001": "2.5"})
        first, second = await socket.read_many(2)
        assert first["data"] == {"bids": [["50000", "0"], ["49998", "7"]], "asks": []}
        assert [one["seq"] for one in (first, second)] == [snapshot["seq"] + 1, snapshot["seq"] + 2]
        async with connected(up) as later:
            held = await subscribed(later, "book")
            assert held["seq"] == second["seq"]
            assert held["data"] == {"bids": [["49999", "1"], ["49998", "7"]], "asks": [["50001", "2.5"]]}


async def test_a_book_is_followed_once_for_all_readers_and_not_without_one(up: "Running") -> None:
    trading = up.platform.trading
    async with connected(up) as one, connected(up) as other:
        await subscribed(one, "book")
        await subscribed(other, "book")
        assert len(trading.book_requests) == len(trading.book_watchers) == 1
        await one.send(op="unsubscribe", channel="book", market=MARKET)
        await one.send(op="ping")
        assert await one.read() == {"op": "pong"}
        trading.change_book(bids={"49998": "7"})
        assert (await other.read())["type"] == "update"
        await one.send(op="ping")
        assert await one.read() == {"op": "pong"}
    await eventually(lambda: not trading.book_watchers)


async def test_after_a_break_of_the_stream_a_book_begins_anew(up: "Running") -> None:
    async with connected(up) as socket:
        snapshot = await subscribed(socket, "book")
        up.platform.trading.book = trading_pb2.WatchBookResponse(snapshot=True, bids=levels({"1": "1"}), time=NOW)
        up.platform.trading.break_books()
        again = await socket.read()
        assert (again["type"], again["data"]) == ("snapshot", {"bids": [["1", "1"]], "asks": []})
        assert again["seq"] > snapshot["seq"]


async def test_trades_begin_with_the_last_ones_and_go_on_without_gap(up: "Running") -> None:
    await eventually(lambda: up.platform.trading.watchers)
    up.platform.queries.tape = list(range(1, 61))
    async with connected(up) as socket:
        snapshot = await subscribed(socket, "trades")
        assert sequences(snapshot) == list(range(11, 61))
        up.platform.trading.trade(61, 62)
        update = await socket.read()
        assert (update["type"], update["seq"], sequences(update)) == ("update", snapshot["seq"] + 1, [61, 62])
        up.platform.trading.trade(1, market="ETH-USD")
        up.platform.trading.trade(63)
        assert sequences(await socket.read()) == [63]


async def test_a_trade_that_the_stream_lost_is_read_from_the_tape(up: "Running") -> None:
    await eventually(lambda: up.platform.trading.watchers)
    up.platform.queries.tape = [1, 2]
    async with connected(up) as socket:
        snapshot = await subscribed(socket, "trades")
        # The tape is behind the stream at first, as the records are behind the exchange.
        up.platform.trading.trade(5)
        up.platform.trading.trade(6)
        await eventually(lambda: len(up.platform.queries.requests) >= 3)
        up.platform.queries.tape += [3, 4, 5]
        seen: list[int] = []
        numbers = [snapshot["seq"]]
        while seen != [3, 4, 5, 6]:
            update = await socket.read()
            assert update["type"] == "update"
            seen += sequences(update)
            numbers.append(update["seq"])
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


async def test_after_an_outage_longer_than_a_page_readers_begin_anew(up: "Running") -> None:
    await eventually(lambda: up.platform.trading.watchers)
    up.platform.queries.tape = [1]
    async with connected(up) as socket:
        await subscribed(socket, "trades")
        up.platform.queries.tape = list(range(1, 500))
        up.platform.trading.break_watchers()
        again = await socket.read()
        assert (again["type"], sequences(again)) == ("snapshot", list(range(450, 500)))


async def test_trades_missed_while_the_stream_was_away_arrive_when_it_is_back(up: "Running") -> None:
    await eventually(lambda: up.platform.trading.watchers)
    up.platform.queries.tape = [1]
    async with connected(up) as socket:
        await subscribed(socket, "trades")
        up.platform.queries.tape = [1, 2, 3]
        up.platform.trading.break_watchers()
        update = await socket.read()
        assert (update["type"], sequences(update)) == ("update", [2, 3])


@pytest.mark.parametrize(
    ("message", "field", "rule"),
    [
        ({"channel": "book"}, "market", "required"),
        ({"channel": "trades", "market": MARKET, "after": 3}, "after", "not_for_this_channel"),
        ({"channel": "prices", "market": MARKET}, "market", "not_for_this_channel"),
        ({"channel": "book", "market": "btc"}, "market", "market_symbol"),
    ],
)
async def test_a_subscription_that_makes_no_sense_is_refused(
    up: "Running", message: dict[str, Any], field: str, rule: str
) -> None:
    async with connected(up) as socket:
        await socket.send(op="subscribe", **message)
        error = (await socket.read())["error"]
        assert (error["code"], error["details"]["field"], error["details"]["rule"]) == ("VALIDATION_ERROR", field, rule)


async def test_an_unknown_market_has_no_channel(up: "Running") -> None:
    async with connected(up) as socket:
        await socket.send(op="subscribe", channel="trades", market="XXX-USD")
        error = (await socket.read())["error"]
        assert (error["code"], error["details"]["reason"]) == ("NOT_FOUND", "unknown_market")


class Reader:
    """A client that reads when told to."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.may_read = asyncio.Event()
        self.outbox = Outbox(self.send, messages_max=100, on_overflow=lambda: pytest.fail("closed"))

    async def send(self, message: Any) -> None:
        await self.may_read.wait()
        self.texts.append(message["text"])


async def test_who_reads_slowly_gets_one_snapshot_instead_of_what_was_missed() -> None:
    messages: asyncio.Queue[trading_pb2.WatchBookResponse] = asyncio.Queue()

    async def follow(_market: str) -> Any:
        while True:
            yield await messages.get()

    channel, slow, quick = BookChannel(follow), Reader(), Reader()
    quick.may_read.set()
    running = [asyncio.create_task(reader.outbox.run()) for reader in (slow, quick)]
    for reader in (slow, quick):
        channel.subscribe(MARKET, reader.outbox)
    messages.put_nowait(trading_pb2.WatchBookResponse(snapshot=True, bids=levels({"1": "1"}), time=NOW))
    await eventually(lambda: quick.texts)
    count = 3 * UPDATES_WAITING_MAX
    for step in range(count):
        messages.put_nowait(trading_pb2.WatchBookResponse(bids=levels({"1": str(step + 2)}), time=NOW))
        await eventually(lambda: f'"seq":{step + 2},' in "".join(quick.texts))  # noqa: B023 - awaited at once
    assert len(quick.texts) == count + 1
    slow.may_read.set()
    await eventually(lambda: slow.texts and f'"seq":{count + 1},' in slow.texts[-1])
    assert len(slow.texts) <= UPDATES_WAITING_MAX + 2
    assert f'[["1","{count + 1}"]]' in slow.texts[-1]
    for task in running:
        task.cancel()
    channel.stop()


async def test_a_trade_that_waits_for_the_next_update_is_told_by_it_alone() -> None:
    async def read_tape(_market: str, _after: int, _batch: int) -> Any:
        return [public_trade(1)]

    channel, first, late = TradeChannel(read_tape, SystemClock(), cadence_seconds=0.01), Reader(), Reader()
    running = [asyncio.create_task(reader.outbox.run()) for reader in (first, late)]
    for reader in (first, late):
        reader.may_read.set()
    channel.subscribe(MARKET, first.outbox)
    await eventually(lambda: first.texts)
    channel.take(7, [public_trade(2)])
    channel.subscribe(MARKET, late.outbox)
    await eventually(lambda: late.texts)
    running.append(asyncio.create_task(channel.run()))
    await eventually(lambda: len(late.texts) == len(first.texts) == 2)
    for texts in (first.texts, late.texts):
        assert [sequences(json.loads(text)) for text in texts] == [[1], [2]]
        assert [json.loads(text)["seq"] for text in texts] == [1, 2]
    for task in running:
        task.cancel()
    channel.stop()
