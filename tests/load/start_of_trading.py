"""How long trading takes from its start to its first order, with 100,000 open orders on the real database."""

import asyncio
import tempfile
import time
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

from chassis.errors import RemoteBugError, RemoteError
from chassis.grpc_client import open_channel
from cryptovault.trading.v1 import trading_pb2, trading_pb2_grpc
from local_stack.platform import Platform
from trading.command_line.open_exchange import opened
from trading.domain.snapshot import take_snapshot
from trading.domain.state import Limits
from trading.sequencer.recovery import recover
from trading.sequencer.snapshots import make_snapshot
from trading.settings import CommandLineSettings

from tests.load.figures import ORDERS
from tests.load.order_stream import IN_FLIGHT, order_request, pay_everybody, person_id, write
from tests.load.table import Row

OPEN_ORDERS = 100_000
ORDERS_PER_PERSON = 200  # fifty in each market
PEOPLE = OPEN_ORDERS // ORDERS_PER_PERSON
GOAL_SECONDS = 30
BELOW_THE_PRICE = Decimal("0.95")  # within the band, out of the house's reach
_ASK_AGAIN_SECONDS = 0.02
_DEADLINE_MILLISECONDS = 60_000


async def start_rows() -> list[Row]:
    """Wall time of one start from the journal alone, and of one from a snapshot."""
    rows = []
    with tempfile.TemporaryDirectory(prefix="cryptovault-bench-") as folder:
        async with Platform(data_dir=Path(folder), profile="bench", only=("trading", "market-data")) as platform:
            await pay_everybody(platform, PEOPLE)
            await _rest_orders(platform)
            rows.append(await _start(platform, "from the journal alone", "alone"))
            await _take_snapshot(platform)
            rows.append(await _start(platform, "from a snapshot", "snapshot"))
    return rows


async def _start(platform: Platform, how: str, key: str) -> Row:
    await platform.stop("trading")
    begun = time.perf_counter()
    starting = asyncio.create_task(platform.start("trading"))
    await _first_order(platform, key)
    seconds = time.perf_counter() - begun
    await starting
    name = f"start to first order with {OPEN_ORDERS:,} open orders, {how}"
    return Row(name=name, value=seconds, unit="s", goal=f"<= {GOAL_SECONDS}")


async def _first_order(platform: Platform, key: str) -> None:
    while True:
        channel = open_channel(platform.address("trading"), to="trading", identity=platform.identity("gateway"))
        call: Any = trading_pb2_grpc.TradingServiceStub(channel).EnterOrders()
        try:
            await call.write(order_request(0, key))
            if (await call.read()).WhichOneof("outcome") == "result":
                return
        except (RemoteError, RemoteBugError, asyncio.InvalidStateError, AttributeError):
            pass  # not there yet; the end of a stream is no message
        finally:
            call.cancel()
            await channel.close()
        await asyncio.sleep(_ASK_AGAIN_SECONDS)


async def _rest_orders(platform: Platform) -> None:
    """Limit orders that nobody meets, each a little lower than the one before."""
    channel = open_channel(platform.address("trading"), to="trading", identity=platform.identity("gateway"))
    stub: Any = trading_pb2_grpc.TradingServiceStub(channel)
    ticks = {market.symbol: Decimal(market.tick) for market in (await stub.ListMarkets(_ALL)).markets}
    prices = {}
    for symbol, _ in ORDERS:
        book = await stub.GetBook(trading_pb2.GetBookRequest(market=symbol, depth=1))
        prices[symbol] = Decimal(book.bids[0].price) * BELOW_THE_PRICE // ticks[symbol] * ticks[symbol]
    requests = (_resting_order(number, prices, ticks) for number in range(OPEN_ORDERS))
    call = stub.EnterOrders()
    try:
        await write(call, list(islice(requests, IN_FLIGHT)))
        answered = 0
        while answered < OPEN_ORDERS:
            message = await call.read()
            answers = (message, *message.further)
            for answer in answers:
                if answer.WhichOneof("outcome") != "result":
                    raise RuntimeError(f"an order was refused: {answer.failure.reason}")
            answered += len(answers)
            await write(call, list(islice(requests, len(answers))))
    finally:
        call.cancel()
        await channel.close()


def _resting_order(
    number: int, prices: dict[str, Decimal], ticks: dict[str, Decimal]
) -> trading_pb2.EnterOrdersRequest:
    market, quantity = ORDERS[number // PEOPLE % len(ORDERS)]
    price = prices[market] - ticks[market] * (number % 100)
    order = trading_pb2.PlaceOrder(
        market=market, side="buy", type="limit", time_in_force="gtc", quantity=quantity, price=str(price)
    )
    return trading_pb2.EnterOrdersRequest(
        correlation_id=number,
        principal=trading_pb2.Principal(
            user_id=person_id(number % PEOPLE), session_id="bench", request_id=f"rest-{number}"
        ),
        idempotency_key=f"rest-{number}",
        deadline_milliseconds=int(time.time() * 1000) + _DEADLINE_MILLISECONDS,
        place_order=order,
    )


async def _take_snapshot(platform: Platform) -> None:
    """As the projector would after 10,000 batches."""
    settings = CommandLineSettings(
        mongo_url=platform.mongo_url, journal_url=platform.journal_url, mongo_database="trading"
    )
    async with opened(settings) as exchange:
        memory = await recover(exchange.journal, Limits())
        if len(memory.state.orders) < OPEN_ORDERS:
            raise RuntimeError(f"only {len(memory.state.orders)} orders are open")
        snapshot = make_snapshot(
            take_snapshot(memory.state), memory.evicted_keys.content, batch=memory.number, digest=memory.digest,
            epoch=memory.epoch,
        )  # fmt: skip
        await exchange.snapshots.write(snapshot)


_ALL = trading_pb2.ListMarketsRequest()
