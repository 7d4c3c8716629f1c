"""What can be wrong with a question about prices."""

from chassis.errors import ErrorKind, ServiceError


class UnknownSymbol(ServiceError):
    """An asset that we do not price."""

    kind = ErrorKind.NOT_FOUND
    reason = "unknown_symbol"

    def __init__(self, *, symbol: str) -> None:
        super().__init__("There is no price for this asset.", symbol=symbol[:32])


class PricesUnavailable(ServiceError):
    """No price has been had from the source yet."""

    kind = ErrorKind.UNAVAILABLE
    reason = "prices_unavailable"

    def __init__(self) -> None:
        super().__init__("The price source has not answered yet.")


class TooManyFollowers(ServiceError):
    """All streams of prices are taken."""

    kind = ErrorKind.EXHAUSTED
    reason = "too_many_streams"

    def __init__(self, *, limit: int) -> None:
        super().__init__("Too many price streams are open.", limit=str(limit))
