"""The order stream by itself, without a door or a server: what an answer to a repeated sending means."""

import asyncio
from typing import Any

import pytest
from chassis.circuit_breaker import FAILURES_MAX, OPEN_SECONDS
from chassis.clock import SystemClock
from chassis.errors import ErrorKind, RemoteError
from chassis.failures import failure_of
from chassis.testing import FixedClock
from cryptovault.trading.v1 import trading_pb2 as pb
from gateway.clients.order_entry import NotSent, OrderEntry, OutcomeUnknown

OVERLOADED = RemoteError(kind=ErrorKind.UNAVAILABLE, reason="overloaded", message="Nothing happened, try again.")
FOLLOWER = RemoteError(kind=ErrorKind.UNAVAILABLE, reason="not_leading", message="Another process leads.")
POOR = RemoteError(kind=ErrorKind.REJECTED, reason="insufficient_funds", message="Too little money.")


class Stream:
    """Breaks at its first command, or answers each with a failure."""

    def __init__(self, answer: RemoteError | None) -> None:
        self._answer = answer
        self._answers: asyncio.Queue[pb.EnterOrdersResponse | None] = asyncio.Queue()
        self.commands: list[pb.EnterOrdersRequest] = []
        self.left = False

    async def write(self, request: pb.EnterOrdersRequest) -> None:
        self.commands.append(request)
        if self._answer is None:
            await self._answers.put(None)
        else:
            failure = failure_of(self._answer)
            await self._answers.put(pb.EnterOrdersResponse(correlation_id=request.correlation_id, failure=failure))

    async def read(self) -> Any:
        return await self._answers.get()

    def cancel(self) -> bool:
        return True

    def leave(self) -> None:
        self.left = True


async def error_of_an_order(*streams: Stream) -> Exception:
    left = list(streams)

    async def connect() -> Stream:
        return left.pop(0)

    entry = OrderEntry(connect, SystemClock(), seed=1)
    running = asyncio.create_task(entry.run())
    try:
        with pytest.raises((RemoteError, OutcomeUnknown)) as raised:
            await entry.enter(pb.CancelOrders(), pb.Principal(user_id="ann"), key="k")
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    return raised.value


async def test_a_refusal_of_the_second_sending_says_nothing_of_the_first() -> None:
    """The first may have been carried out, its answer lost with the stream: "nothing happened" would be a lie."""
    assert isinstance(await error_of_an_order(Stream(None), Stream(OVERLOADED)), OutcomeUnknown)


async def test_a_refusal_of_the_first_sending_is_told_as_it_is() -> None:
    error = await error_of_an_order(Stream(OVERLOADED))
    assert isinstance(error, RemoteError)
    assert error.reason == "overloaded"


async def test_a_decision_of_the_exchange_is_told_whichever_sending_it_answers() -> None:
    """It looks at the key first, so it would have found the first sending's effect."""
    error = await error_of_an_order(Stream(None), Stream(POOR))
    assert isinstance(error, RemoteError)
    assert error.reason == "insufficient_funds"


async def test_a_command_refused_by_a_follower_goes_on_to_the_leader_with_its_key() -> None:
    follower, leader = Stream(FOLLOWER), Stream(OVERLOADED)
    error = await error_of_an_order(follower, leader)
    assert isinstance(error, RemoteError)
    assert error.reason == "overloaded"  # told as it is: the follower did nothing
    assert follower.left
    assert not leader.left
    assert [request.idempotency_key for request in (*follower.commands, *leader.commands)] == ["k", "k"]


async def test_a_command_lost_with_the_old_leader_stays_in_doubt_whatever_a_follower_says() -> None:
    error = await error_of_an_order(Stream(None), Stream(FOLLOWER), Stream(OVERLOADED))
    assert isinstance(error, OutcomeUnknown)


class Company:
    """Answers the commands of all messages in one, the last first, once so many have come: with `failure`, if any."""

    def __init__(self, together: int, failure: RemoteError | None = None) -> None:
        self.sizes: list[int] = []
        self._together = together
        self._failure = failure_of(failure) if failure is not None else None
        self._answers: asyncio.Queue[pb.EnterOrdersResponse] = asyncio.Queue()
        self._waiting: list[pb.EnterOrdersResponse] = []

    async def write(self, request: pb.EnterOrdersRequest) -> None:
        commands = (request, *request.further)
        self.sizes.append(len(commands))
        self._waiting += [
            pb.EnterOrdersResponse(
                correlation_id=command.correlation_id,
                cancelled=pb.CancelOrdersResult(order_ids=[command.idempotency_key]) if not self._failure else None,
                failure=self._failure,
            )
            for command in commands
        ]
        if len(self._waiting) >= self._together:
            last, *others = reversed(self._waiting)
            last.further.extend(others)
            self._waiting.clear()
            await self._answers.put(last)

    def answer_all_from_now_on(self) -> None:
        self._together = 1

    async def read(self) -> Any:
        return await self._answers.get()

    def cancel(self) -> bool:
        return True

    def leave(self) -> None:
        pass


async def answers_on(*streams: Company, count: int) -> list[pb.EnterOrdersResponse | BaseException]:
    left = list(streams)

    async def connect() -> Company:
        return left.pop(0)

    entry = OrderEntry(connect, SystemClock(), seed=1)
    callers = [
        asyncio.create_task(entry.enter(pb.CancelOrders(), pb.Principal(user_id="ann"), key=f"k{number}"))
        for number in range(count)
    ]
    await asyncio.sleep(0)  # all of them ask before there is a stream
    running = asyncio.create_task(entry.run())
    try:
        return await asyncio.gather(*callers, return_exceptions=True)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def order_ids(answers: list[pb.EnterOrdersResponse | BaseException]) -> list[list[str]]:
    return [list(answer.cancelled.order_ids) for answer in answers if isinstance(answer, pb.EnterOrdersResponse)]


async def test_what_is_ready_travels_together_and_each_caller_hears_its_own_answer() -> None:
    stream = Company(100)
    assert order_ids(await answers_on(stream, count=100)) == [[f"k{number}"] for number in range(100)]
    assert stream.sizes == [32, 32, 32, 4]


async def test_commands_that_a_follower_refused_together_are_none_of_them_in_doubt() -> None:
    """In doubt, they would be told that nobody knows; refused by a follower, they did nothing there."""
    follower, leader = Company(5, FOLLOWER), Company(5, OVERLOADED)
    answers = await answers_on(follower, leader, count=5)
    assert [getattr(answer, "reason", None) for answer in answers] == ["overloaded"] * 5
    assert follower.sizes == leader.sizes == [5]


async def outcomes_of(entry: OrderEntry, count: int) -> list[BaseException | pb.EnterOrdersResponse]:
    return await asyncio.gather(
        *(entry.enter(pb.CancelOrders(), pb.Principal(user_id="ann"), key=f"k{number}") for number in range(count)),
        return_exceptions=True,
    )


async def test_after_silence_orders_are_refused_at_once_and_one_by_one_try_again() -> None:
    """None of the refused ones was sent: whoever hears so may safely place it elsewhere, or again."""
    clock, stream = FixedClock(), Company(together=10**6)

    async def connect() -> Company:
        return stream

    entry = OrderEntry(connect, clock, deadline_seconds=0.05, seed=1)
    running = asyncio.create_task(entry.run())
    try:
        assert {type(outcome) for outcome in await outcomes_of(entry, FAILURES_MAX)} == {OutcomeUnknown}
        sent = sum(stream.sizes)
        assert {type(outcome) for outcome in await outcomes_of(entry, 50)} == {NotSent}
        assert sum(stream.sizes) == sent
        clock.advance(OPEN_SECONDS)
        assert sorted(type(outcome).__name__ for outcome in await outcomes_of(entry, 3)) == [
            "NotSent", "NotSent", "OutcomeUnknown",
        ]  # fmt: skip
        assert sum(stream.sizes) == sent + 1
        stream.answer_all_from_now_on()
        clock.advance(OPEN_SECONDS)
        assert isinstance((await outcomes_of(entry, 1))[0], pb.EnterOrdersResponse)
        assert all(isinstance(outcome, pb.EnterOrdersResponse) for outcome in await outcomes_of(entry, 3))
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_refusals_are_no_silence() -> None:
    """A stale price, an exchange that is overloaded: UNAVAILABLE, told by somebody who is there."""

    async def connect() -> Company:
        return Company(1, OVERLOADED)

    entry = OrderEntry(connect, FixedClock(), seed=1)
    running = asyncio.create_task(entry.run())
    try:
        for _ in range(FAILURES_MAX * 4):
            (outcome,) = await outcomes_of(entry, 1)
            assert getattr(outcome, "reason", None) == "overloaded"
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
