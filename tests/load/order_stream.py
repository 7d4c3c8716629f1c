"""Durable orders through one gRPC stream, as a gateway sends them, without the gateway: 64 in flight, closed loop."""

import asyncio
import time
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from chassis.grpc_client import open_channel
from cryptovault.trading.v1 import trading_pb2, trading_pb2_grpc
from local_stack.platform import Platform

from tests.load.figures import ORDERS

IN_FLIGHT = 64
COMMANDS_PER_MESSAGE = 32
STREAM_SECONDS = 8.0
WARM_UP_SECONDS = 2.0
PEOPLE = 64
_DEADLINE_MILLISECONDS = 5_000


@dataclass(slots=True)
class StreamRun:
    """`refused` has the reasons of answers that were no orders."""

    orders: int = 0
    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    refused: dict[str, int] = field(default_factory=dict)

    def note(self, answer: trading_pb2.EnterOrdersResponse, sent: float) -> None:
        self.latencies.append(time.perf_counter() - sent)
        if answer.WhichOneof("outcome") == "result":
            self.orders += 1
        else:
            reason = answer.failure.reason
            self.refused[reason] = self.refused.get(reason, 0) + 1


async def run_stream(platform: Platform, *, duration_seconds: float, name: str) -> StreamRun:
    """Market orders, buying and selling the same amount in turn: each is one trade with the house.

    `name` makes the keys of this run its own.
    """
    channel = open_channel(platform.address("trading"), to="trading", identity=platform.identity("gateway"))
    run = StreamRun()
    sent: dict[int, float] = {}
    numbers = count()
    call: Any = trading_pb2_grpc.TradingServiceStub(channel).EnterOrders()

    def send(number: int) -> trading_pb2.EnterOrdersRequest:
        sent[number] = time.perf_counter()
        return order_request(number, name)

    begun = time.perf_counter()
    try:
        await write(call, [send(next(numbers)) for _ in range(IN_FLIGHT)])
        while sent:
            message = await call.read()
            answers = (message, *message.further)
            for answer in answers:
                run.note(answer, sent.pop(answer.correlation_id))
            if time.perf_counter() - begun < duration_seconds:
                await write(call, [send(next(numbers)) for _ in answers])
        run.seconds = time.perf_counter() - begun
    finally:
        call.cancel()
        await channel.close()
    return run


async def write(call: Any, requests: list[trading_pb2.EnterOrdersRequest]) -> None:
    """In messages of several, as a gateway sends what is ready."""
    for start in range(0, len(requests), COMMANDS_PER_MESSAGE):
        message, *further = requests[start : start + COMMANDS_PER_MESSAGE]
        message.further.extend(further)
        await call.write(message)


def order_request(number: int, name: str) -> trading_pb2.EnterOrdersRequest:
    """The people buy in one round and sell in the next."""
    person = number % PEOPLE
    market, quantity = ORDERS[person % len(ORDERS)]
    order = trading_pb2.PlaceOrder(
        market=market, side="buy" if number // PEOPLE % 2 == 0 else "sell", type="market", quantity=quantity
    )
    return trading_pb2.EnterOrdersRequest(
        correlation_id=number,
        principal=trading_pb2.Principal(user_id=person_id(person), session_id="bench", request_id=f"{name}-{number}"),
        idempotency_key=f"{name}-{number}",
        deadline_milliseconds=int(time.time() * 1000) + _DEADLINE_MILLISECONDS,
        place_order=order,
    )


def person_id(person: int) -> str:
    return f"00000000-0000-7000-8000-{person:012d}"


async def pay_everybody(platform: Platform, people: int = PEOPLE) -> None:
    """Practice money, enough for any number of these orders."""
    async with asyncio.timeout(30):
        channel = open_channel(
            platform.address("trading"), to="trading", identity=platform.identity("portfolio"), deadline_seconds=5.0
        )
        stub: Any = trading_pb2_grpc.TradingServiceStub(channel)
        for person in range(people):
            leg = trading_pb2.TransferLeg(
                asset="USD", amount="1000000", debit_account="external", credit_account=f"user:{person_id(person)}"
            )
            await stub.Transfer(
                trading_pb2.TransferRequest(business_key=f"practice:{person}", kind="practice_money", legs=[leg])
            )
        await channel.close()
