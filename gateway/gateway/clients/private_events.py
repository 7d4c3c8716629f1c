"""What happens in the exchange as it becomes durable: users' private events, handed to whoever listens for that user,
and the trades of all markets.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol

from cryptovault.trading.v1 import trading_pb2 as pb


class EventListener(Protocol):
    def take(self, event: pb.UserEvent) -> None:
        """One live event. Must not block."""
        ...

    def look_again(self) -> None:
        """Live events may have been missed: before now, where the stream just began, or from now, where it broke."""
        ...


class TradeListener(Protocol):
    def take(self, batch: int, trades: Sequence[pb.PublicTrade]) -> None:
        """The trades of one batch, in their order. Must not block."""
        ...

    def look_again(self) -> None:
        """Trades may have been missed."""
        ...


class PrivateEvents:
    """`follow` yields messages for ever and calls the given function at each break of the stream."""

    def __init__(self, follow: Callable[[Callable[[], None]], AsyncIterator[pb.WatchEventsResponse]]) -> None:
        self._follow = follow
        self._listeners: dict[str, set[EventListener]] = {}
        self._trade_listeners: list[TradeListener] = []
        self._watching = False

    @property
    def watching(self) -> bool:
        """True while every new event reaches its listeners."""
        return self._watching

    def listen_to_trades(self, listener: TradeListener) -> None:
        self._trade_listeners.append(listener)

    def listen(self, user_id: str, listener: EventListener) -> None:
        self._listeners.setdefault(user_id, set()).add(listener)

    def forget(self, user_id: str, listener: EventListener) -> None:
        listeners = self._listeners.get(user_id)
        if listeners is not None:
            listeners.discard(listener)
            if not listeners:
                del self._listeners[user_id]

    async def run(self) -> None:
        async for message in self._follow(self._on_gap):
            if not self._watching:
                self._watching = True
                self._tell_all()
            for event in message.user_events:
                for listener in tuple(self._listeners.get(event.user_id, ())):
                    listener.take(event)
            if message.trades:
                for listening in self._trade_listeners:
                    listening.take(message.batch, message.trades)

    def _on_gap(self) -> None:
        self._watching = False
        self._tell_all()

    def _tell_all(self) -> None:
        for listeners in tuple(self._listeners.values()):
            for listener in tuple(listeners):
                listener.look_again()
        for listening in self._trade_listeners:
            listening.look_again()
