"""The newest ticks, in memory. They enter the journal as commands, and only when they matter."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from trading.domain.commands import SetReferencePrice
from trading.domain.events import ReferencePriceSet
from trading.domain.state import MarketState

# An unchanged price enters again when the one in the journal is older than this: well before the silence limit of 3 s,
# so that a live stream never looks stale, and at most once a second and market.
REFRESH_MILLISECONDS = 1_000
# Of one market, for its circuit breaker: three a second of the longest window, and sources speak once a second.
RECENT_PRICES_MAX = 1_024


class Tick(NamedTuple):
    """`price` is quote minor units per whole base unit. `source_milliseconds` is the source's own time."""

    price: int
    source: str
    source_milliseconds: int


class PriceWindow(NamedTuple):
    """Of one market's prices within its circuit breaker's window."""

    lowest: int
    highest: int
    newest: int


class ReferencePrices:
    """Ticks by market symbol. The stream's last message stands for every market: what it leaves out has not changed."""

    def __init__(self) -> None:
        self._ticks: dict[str, Tick] = {}
        self._recent: dict[str, _RecentPrices] = {}
        self._received_milliseconds = 0
        self._listeners: list[Callable[[Iterable[str]], None]] = []

    def on_change(self, listener: Callable[[Iterable[str]], None]) -> None:
        """`listener` is called with the symbols of markets whose tick is new; where a message says that nothing
        changed, with all: what an unchanged price means changes with time.
        """
        self._listeners.append(listener)

    def update(self, ticks: dict[str, Tick], *, received_milliseconds: int, whole: bool = False) -> None:
        """A message of the stream, also an empty one. After a `whole` one there is no tick but its own: what another
        source said before must not stand on as if this one had said it.
        """
        self._received_milliseconds = max(self._received_milliseconds, received_milliseconds)
        if whole:
            self._ticks = dict(ticks)
        else:
            self._ticks.update(ticks)
        for symbol, tick in ticks.items():
            recent = self._recent.get(symbol)
            if recent is None:
                recent = self._recent[symbol] = _RecentPrices()
            recent.add(tick.price, received_milliseconds)
        for listener in self._listeners:
            listener(ticks or self._ticks)

    @property
    def received_milliseconds(self) -> int:
        """When the stream last spoke; 0 for never."""
        return self._received_milliseconds

    def command(self, market: str, now_milliseconds: int) -> SetReferencePrice | None:
        """The newest tick of the market as a command; None before the first."""
        tick = self._ticks.get(market)
        if tick is None:
            return None
        received = min(self._received_milliseconds, now_milliseconds)
        return SetReferencePrice(market, tick.price, tick.source, tick.source_milliseconds, received)

    def with_window(self, tick: SetReferencePrice, market: MarketState, now_milliseconds: int) -> SetReferencePrice:
        """The tick with the prices that its circuit breaker compares it to."""
        recent = self._recent.get(tick.market)
        if recent is None or not market.market.breaker.move_basis_points:
            return tick
        lowest, highest = recent.extremes(_window_start(market, now_milliseconds))
        return tick._replace(lowest=lowest, highest=highest)

    def windows(self, markets: Mapping[str, MarketState], now_milliseconds: int) -> dict[str, PriceWindow]:
        """What has been heard of each market, for a process that comes after this one."""
        return {
            symbol: PriceWindow(*recent.extremes(_window_start(markets[symbol], now_milliseconds)), recent.newest)
            for symbol, recent in self._recent.items()
            if symbol in markets
        }

    def recall(self, windows: Mapping[str, PriceWindow], noted_milliseconds: int) -> None:
        """Before the first `update`: what a process before this one had heard by then. No tick: nobody trades at it."""
        for symbol, window in windows.items():
            recent = self._recent[symbol] = _RecentPrices()
            for price in window:
                recent.add(price, noted_milliseconds)

    def as_reference(self, market: str, now_milliseconds: int) -> ReferencePriceSet | None:
        """The newest tick as if it were in the journal, for showing a book."""
        command = self.command(market, now_milliseconds)
        if command is None:
            return None
        return ReferencePriceSet(
            command.market, command.price, command.source, command.source_milliseconds, command.received_milliseconds
        )


def _window_start(market: MarketState, now_milliseconds: int) -> int:
    """Of before a pause's end nothing counts."""
    return max(now_milliseconds - market.market.breaker.window_milliseconds, market.paused_until_milliseconds)


class _RecentPrices:
    """One market's prices of the last minutes, oldest first, and when each was received."""

    def __init__(self) -> None:
        # Two lists, so that a window is found and looked through without a step in Python for each price.
        self._prices: list[int] = []
        self._received: list[int] = []

    def add(self, price: int, received_milliseconds: int) -> None:
        # As they came, also where a clock was set back a little.
        newest = self._received[-1] if self._received else 0
        self._received.append(max(newest, received_milliseconds))
        self._prices.append(price)
        if len(self._prices) > RECENT_PRICES_MAX:
            del self._prices[0], self._received[0]

    @property
    def newest(self) -> int:
        return self._prices[-1]

    def extremes(self, since_milliseconds: int) -> tuple[int, int]:
        """The lowest and the highest price that stood at any moment since then."""
        # The last price of before stood when the window began.
        first = max(bisect_left(self._received, since_milliseconds) - 1, 0)
        window = self._prices[first:]
        return min(window), max(window)


def adds_something(command: SetReferencePrice, known: ReferencePriceSet | None, now_milliseconds: int) -> bool:
    """Does the journal need this tick before the market's next order?"""
    if known is None:
        return True
    if command.received_milliseconds < known.received_milliseconds:
        return False
    if command.price != known.price or command.source != known.source:
        return True
    oldest = min(known.received_milliseconds, known.source_milliseconds)
    fresher = (
        command.received_milliseconds > known.received_milliseconds
        or command.source_milliseconds > known.source_milliseconds
    )
    return fresher and now_milliseconds - oldest >= REFRESH_MILLISECONDS
