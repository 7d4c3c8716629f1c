"""The current prices."""

from collections.abc import Sequence

from market_data.domain.errors import PricesUnavailable, UnknownSymbol
from market_data.domain.price import Price
from market_data.domain.price_board import PriceBoard


class GetPrices:
    """The newest prices with their times; never waits for the source. Stale prices are served as what they are.

    Raises UnknownSymbol, and PricesUnavailable while there is none.
    """

    def __init__(self, *, board: PriceBoard, known_symbols: frozenset[str]) -> None:
        self._board = board
        self._known_symbols = known_symbols

    def __call__(self, symbols: Sequence[str]) -> list[Price]:
        """`symbols` empty: all. The answer keeps the order asked for."""
        for symbol in symbols:
            if symbol not in self._known_symbols:
                raise UnknownSymbol(symbol=symbol)
        prices = self._board.prices
        wanted = [prices[symbol] for symbol in symbols or prices if symbol in prices]
        if not wanted:
            raise PricesUnavailable
        return wanted
