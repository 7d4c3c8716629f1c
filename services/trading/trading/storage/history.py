"""The projection, as the sequencer asks it: for keys and orders that left memory."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import pymongo
from chassis.mongo import MongoDatabase
from pymongo.errors import PyMongoError

from trading.domain.accounts import owner_of_user
from trading.domain.commands import PlaceOrder, PostTransfer, VoidTransfer
from trading.domain.keys import ORDER_KEY_SECONDS, TransferCommand
from trading.domain.state import ExchangeState, RememberedKey, RememberedKeys
from trading.journal.history import OrderView
from trading.sequencer.errors import HistoryBehind
from trading.sequencer.ports import KeyedCommand
from trading.storage.cursors import ORDERS, Cursors
from trading.storage.documents import (
    HELD,
    PENDING,
    OrderDocument,
    TransferDocument,
    UsedKeyDocument,
    used_key_id,
)
from trading.storage.rows import view_as_of

QUERY_TIMEOUT_SECONDS = 1.0  # half an order's deadline


class MongoHistory:
    """`History` over the projection's collections. Beanie must be initialised on the same database."""

    def __init__(
        self, database: MongoDatabase, *, state: Callable[[], ExchangeState], now: Callable[[], datetime]
    ) -> None:
        self._cursors = Cursors(database)
        self._state = state
        self._now = now

    async def cursor(self) -> int:
        with _asking():
            return (await self._cursors.read(ORDERS)).batch

    async def keys_of(self, command: KeyedCommand, *, up_to: int) -> RememberedKeys:
        known = RememberedKeys()
        with _asking():
            if isinstance(command, TransferCommand):
                await self._business_key(command.business_key, known, up_to)
                if isinstance(command, PostTransfer | VoidTransfer):
                    await self._ended_hold(command.hold_key, known, up_to)
                return known
            # One name space: a key that placed an order cannot cancel one, and the other way round.
            if command.idempotency_key:
                await self._idempotency_key(command.actor.user_id, command.idempotency_key, known, up_to)
            if isinstance(command, PlaceOrder) and command.client_order_id:
                await self._client_order_id(command.actor.user_id, command.client_order_id, known, up_to)
        return known

    async def order_as_of(self, order_id: str, *, batch: int, time_milliseconds: int) -> OrderView | None:
        with _asking():
            document = await OrderDocument.get(order_id)
        if document is None or document.batch < batch:
            return None
        market = self._state().markets[document.trading_pair].market
        return view_as_of(document, market, batch=batch, time_milliseconds=time_milliseconds)

    async def _business_key(self, business_key: str, known: RememberedKeys, up_to: int) -> None:
        document = await TransferDocument.get(business_key)
        if document is not None and document.first_batch <= up_to:
            remembered = RememberedKey(document.fingerprint, document.first_batch, (), document.transfer_id, "")
            known.business["", business_key] = remembered

    async def _ended_hold(self, hold_key: str, known: RememberedKeys, up_to: int) -> None:
        document = await TransferDocument.get(hold_key)
        if document is None or document.batch > up_to:  # what ended it is of that batch
            return
        if document.phase == HELD and document.state != PENDING:
            ended = RememberedKey(document.state, document.batch, (), document.transfer_id, "")
            known.ended_hold["", hold_key] = ended

    async def _idempotency_key(self, user_id: str, key: str, known: RememberedKeys, up_to: int) -> None:
        name = (owner_of_user(user_id), key)
        placed = await self._newest(user_id, {"idempotency_key": key}, up_to)
        if placed is not None:
            known.idempotency[name] = placed
        document = await UsedKeyDocument.get(used_key_id(user_id, key))
        if document is not None and document.batch <= up_to and document.created_at > self._oldest():
            cancelled = RememberedKey(document.fingerprint, document.batch, tuple(document.order_ids), "", "")
            known.idempotency[name] = cancelled

    async def _client_order_id(self, user_id: str, client_order_id: str, known: RememberedKeys, up_to: int) -> None:
        found = await self._newest(user_id, {"client_order_id": client_order_id}, up_to)
        if found is not None:
            known.client_order[owner_of_user(user_id), client_order_id] = found

    async def _newest(self, user_id: str, key: dict[str, str], up_to: int) -> RememberedKey | None:
        # The key's index answers that; with the batch in the question the local server reads all the user's orders.
        documents = await OrderDocument.find({"user_id": user_id, **key}).to_list()
        young = [one for one in documents if one.placed_batch <= up_to and one.created_at > self._oldest()]
        if not young:
            return None
        newest = max(young, key=lambda document: document.placed_batch)
        return RememberedKey(newest.fingerprint, newest.placed_batch, (newest.id,), "", newest.idempotency_key or "")

    def _oldest(self) -> datetime:
        return self._now() - timedelta(seconds=ORDER_KEY_SECONDS)


@contextmanager
def _asking() -> Iterator[None]:
    try:
        with pymongo.timeout(QUERY_TIMEOUT_SECONDS):
            yield
    except PyMongoError as error:
        raise HistoryBehind from error
