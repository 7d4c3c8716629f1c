"""Clients that trade, rest, amend and cancel, keep book of every answer, and the judgement over what they were told."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from chassis.errors import RemoteBugError, RemoteError
from chassis.leader_channel import NOT_LEADING
from cryptovault.trading.v1 import trading_pb2
from exchange_processes import ORDERS_BETWEEN, USERS, advances, trading_stub
from trading.domain.errors import InsufficientFunds, OrderNotOpen
from trading.domain.events import OrderPlaced, TransferPosted
from trading.sequencer.errors import OutcomeUnknown
from whole_journal import Effect, WholeJournal

IN_FLIGHT = 16
ANSWER_SECONDS_MAX = 2.5
LAST_ANSWERS_SECONDS_MAX = 60.0
# What a client does, one after the other. What rests is the best bid there is, so that others sell to it.
KINDS = ("buy", "rest", "amend", "cancel", "sell")
BEST_BID, HOUSE_BID = 59_999, 59_971
# Told of what had no effect and will have none; whatever else is not an answer means "not now".
REFUSALS = {OrderNotOpen.reason, InsufficientFunds.reason}

Request = trading_pb2.EnterOrdersRequest
# Sends a client's next command as soon as it has the answer to the one before: None where that was refused.
Commands = Generator[Request, trading_pb2.OrderResult | None]


@dataclass
class Load:
    """Clients that each have one command under way, and send it again with its key until they hear its outcome."""

    address: str
    patience_seconds: float = ANSWER_SECONDS_MAX
    acknowledged: dict[str, tuple[Request, trading_pb2.OrderResult]] = field(default_factory=dict)  # by key
    refused: set[str] = field(default_factory=set)
    in_doubt: set[str] = field(default_factory=set)  # keys of which once nobody could say what became of them
    contradictions: list[str] = field(default_factory=list)
    repeats: int = 0
    stopping: bool = False

    async def client(self, number: int) -> None:
        await self._carry_out(self._trading(number))

    async def ask_everything_again(self) -> None:
        """Each answer must be the one that was given before. A quick exchange has tens of thousands to give, so its
        time is measured from one answer to the next.

        Raises `TimeoutError` where no answer comes for `LAST_ANSWERS_SECONDS_MAX`.
        """
        told = list(self.acknowledged.values())
        async with asyncio.timeout(LAST_ANSWERS_SECONDS_MAX) as unanswered:

            def again(number: int) -> Commands:
                for request, _ in told[number::IN_FLIGHT]:
                    yield request
                    unanswered.reschedule(asyncio.get_running_loop().time() + LAST_ANSWERS_SECONDS_MAX)

            await asyncio.gather(*(self._carry_out(again(number)) for number in range(min(IN_FLIGHT, len(told)))))

    def kinds_in_doubt(self) -> set[str]:
        return {key.partition("-")[0] for key in self.in_doubt}

    def _trading(self, number: int) -> Commands:
        """Whatever rests is cancelled, also when the client stops."""
        dice, name = random.Random(number), f"{number}"
        user = USERS[number % len(USERS)]
        count = 0
        while not self.stopping:
            count += 1
            keys = {kind: f"{kind}-{name}-{count}" for kind in KINDS}
            yield _request(user, keys["buy"], place_order=_market("buy", quote_quantity="10"))
            price = str(dice.randint(HOUSE_BID, BEST_BID))
            resting = yield _request(user, keys["rest"], place_order=_limit(price, "0.0002"))
            if resting is not None:
                terms = {"price": str(dice.randint(HOUSE_BID, BEST_BID)), "quantity": f"0.000{dice.randint(2, 4)}"}
                changed = dict(dice.sample(sorted(terms.items()), dice.randint(1, 2)))
                order_id = resting.order.id
                yield _request(user, keys["amend"], amend_order=trading_pb2.AmendOrder(order_id=order_id, **changed))
                yield _request(user, keys["cancel"], cancel_order=trading_pb2.CancelOrder(order_id=order_id))
            yield _request(user, keys["sell"], place_order=_market("sell", quantity="0.00015"))

    async def _carry_out(self, commands: Commands) -> None:
        request: Request | None = next(commands)
        while request is not None:
            async with trading_stub(self.address) as stub:
                while request is not None:
                    call = stub.EnterOrders()
                    try:
                        while request is not None:
                            if await self._ask(call, request):
                                request = self._next(commands, request.idempotency_key)
                    except TimeoutError:
                        self.in_doubt.add(request.idempotency_key)
                        call.leave()
                    except (RemoteError, RemoteBugError, asyncio.InvalidStateError):
                        self.in_doubt.add(request.idempotency_key)
                    finally:
                        call.cancel()
                    await asyncio.sleep(0.02)

    def _next(self, commands: Commands, answered: str) -> Request | None:
        known = self.acknowledged.get(answered)
        try:
            return commands.send(known[1] if known is not None else None)
        except StopIteration:
            return None

    async def _ask(self, call: Any, request: Request) -> bool:
        """True when the outcome is known."""
        key = request.idempotency_key
        request.deadline_milliseconds = int(time.time() * 1000) + 2_000
        await call.write(request)
        answer = await asyncio.wait_for(call.read(), self.patience_seconds)
        if not isinstance(answer, trading_pb2.EnterOrdersResponse):  # grpc's end-of-stream mark
            raise RemoteBugError("the stream ended")
        if answer.HasField("result"):
            self._note(request, answer.result)
            return True
        if answer.failure.reason in REFUSALS:
            if key in self.acknowledged:
                self.contradictions.append(key)
            self.refused.add(key)
            return True
        if answer.failure.reason == NOT_LEADING:
            call.leave()
        if answer.failure.reason == OutcomeUnknown.reason:
            self.in_doubt.add(key)
        await asyncio.sleep(0.02)  # the exchange says "not now": the price is still on its way
        return False

    def _note(self, request: Request, result: trading_pb2.OrderResult) -> None:
        key, replayed = request.idempotency_key, result.replayed
        self.repeats += replayed
        result.replayed, result.batch = False, 0  # the user's newest batch, which goes on
        _, known = self.acknowledged.setdefault(key, (request, result))
        if known is not result:
            if not replayed or known != result:
                self.contradictions.append(f"{key}: {known} became {result}")
        elif replayed and key not in self.in_doubt:
            self.contradictions.append(key)  # each time before, it was told that nothing happened


def _request(user: str, key: str, **command: Any) -> Request:
    principal = trading_pb2.Principal(user_id=user, session_id="s", request_id=key)
    return Request(correlation_id=1, principal=principal, idempotency_key=key, **command)


def _market(side: str, **amount: str) -> trading_pb2.PlaceOrder:
    return trading_pb2.PlaceOrder(market="BTC-USD", side=side, type="market", **amount)


def _limit(price: str, quantity: str) -> trading_pb2.PlaceOrder:
    return trading_pb2.PlaceOrder(market="BTC-USD", side="buy", type="limit", price=price, quantity=quantity)


@asynccontextmanager
async def loaded(address: str, *, patience_seconds: float = ANSWER_SECONDS_MAX) -> AsyncIterator[Load]:
    """Clients trade during the block, and until the exchange has answered some more orders after it; then they ask for
    each answer once more.
    """
    load = Load(address, patience_seconds)
    clients = [asyncio.create_task(load.client(number)) for number in range(IN_FLIGHT)]
    try:
        yield load
        await advances(lambda: len(load.acknowledged), by=ORDERS_BETWEEN)
    finally:
        load.stopping = True
        _, unfinished = await asyncio.wait(clients, timeout=LAST_ANSWERS_SECONDS_MAX)
        for client in unfinished:
            client.cancel()
        for client in clients:
            with suppress(asyncio.CancelledError):
                await client
    await load.ask_everything_again()


def check_outcomes(load: Load, journal: WholeJournal) -> None:
    """Each command took effect once and as it was told, what was refused not at all, and nothing is left held."""
    ids = [event.order_id for event in journal.events if isinstance(event, OrderPlaced)]
    assert len(ids) == len(set(ids))
    assert load.contradictions == [], load.contradictions
    assert journal.effects == {
        (request.principal.user_id, key): [_told(result)] for key, (request, result) in load.acknowledged.items()
    }
    state = journal.exchange.state
    assert state.orders == {}
    assert {account.held for owner in state.owners.values() for account in owner.accounts.values()} == {0}
    paid = [event.business_key for event in journal.events if isinstance(event, TransferPosted)]
    assert Counter(paid) == Counter(f"practice:{user}" for user in USERS)


def _told(result: trading_pb2.OrderResult) -> Effect:
    order = result.order
    return Effect(
        order.id,
        order.status,
        order.close_reason,
        Decimal(order.price or 0),
        Decimal(order.quantity or 0),
        Decimal(order.filled_quantity or 0),
        {balance.asset: (Decimal(balance.available), Decimal(balance.held)) for balance in result.balances},
    )
