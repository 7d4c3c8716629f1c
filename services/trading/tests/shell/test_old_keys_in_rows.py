"""Keys that only the rows still know: one name space for whatever carried them."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from shell_factory import buy_for, cancel, cancel_all
from trading.domain.commands import PlaceOrder
from trading.domain.errors import IdempotencyKeyReused
from trading.domain.keys import fingerprint_of, repeat_of_key
from trading.domain.state import ExchangeState
from trading.storage import history as history_module
from trading.storage.history import MongoHistory

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Found:
    def __init__(self, documents: list[Any]) -> None:
        self._documents = documents

    async def to_list(self) -> list[Any]:
        return self._documents


def history_with_the_order_of(command: PlaceOrder, monkeypatch: pytest.MonkeyPatch, *, age: timedelta) -> MongoHistory:
    document = SimpleNamespace(
        id="order-1", user_id=command.actor.user_id, idempotency_key=command.idempotency_key,
        fingerprint=fingerprint_of(command), created_at=NOW - age, placed_batch=3,
    )  # fmt: skip

    def find(query: dict[str, str]) -> Found:
        return Found([document] if all(getattr(document, name, None) == query[name] for name in query) else [])

    async def no_cancel(_key: str) -> None:
        return None

    monkeypatch.setattr(history_module, "OrderDocument", SimpleNamespace(find=find))
    monkeypatch.setattr(history_module, "UsedKeyDocument", SimpleNamespace(get=no_cancel))
    database: Any = SimpleNamespace(get_collection=lambda _name: None)
    return MongoHistory(database, state=ExchangeState, now=lambda: NOW)


async def test_a_key_that_placed_an_order_cannot_cancel_one(monkeypatch: pytest.MonkeyPatch) -> None:
    history = history_with_the_order_of(buy_for("ann", 100, key="k"), monkeypatch, age=timedelta(hours=1))
    for command in (cancel("ann", "order-1", key="k"), cancel_all("ann", key="k")):
        known = await history.keys_of(command)
        with pytest.raises(IdempotencyKeyReused):
            repeat_of_key(known, "user:ann", "k", fingerprint_of(command))
    assert (await history.keys_of(cancel("bob", "order-1", key="k"))).idempotency == {}


async def test_a_key_is_free_again_after_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    history = history_with_the_order_of(buy_for("ann", 100, key="k"), monkeypatch, age=timedelta(hours=25))
    assert (await history.keys_of(cancel("ann", "order-1", key="k"))).idempotency == {}
