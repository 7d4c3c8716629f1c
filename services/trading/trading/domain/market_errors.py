"""Why an operator's change of markets, assets or fees is refused."""

from chassis.errors import ErrorKind

from trading.domain.errors import Rejection


class InvalidMarket(Rejection):
    """The market's rules contradict each other."""

    kind = ErrorKind.INVALID
    reason = "invalid_market"

    def __init__(
        self, sentence: str, *, field: str, rule: str, limit: str = "", given: str = "", nearest: str = ""
    ) -> None:
        """`nearest` is empty where no change of this field alone would do."""
        facts = {"limit": limit, "given": given, "nearest": nearest}
        advice = f"; {nearest} would pass." if nearest else "."
        super().__init__(
            sentence.removesuffix(".") + advice,
            field=field, rule=rule, **{name: fact for name, fact in facts.items() if fact},
        )  # fmt: skip


class NoReferencePrice(Rejection):
    """A market is opened at a price: its rules cannot be judged without one, and no order would be taken."""

    kind = ErrorKind.CONFLICT
    reason = "no_reference_price"

    def __init__(self, *, market: str, sources: tuple[str, ...]) -> None:
        named = ", ".join(sources)
        super().__init__(
            f"No price of {market} has come from {named}: open it when one has.",
            market=market, field="status", rule="reference_price", limit=named,
        )  # fmt: skip


class MarketChanged(Rejection):
    """Somebody else changed the market since the caller looked: look again."""

    kind = ErrorKind.CONFLICT
    reason = "market_changed"

    def __init__(self, *, market: str, expected: int, version: int) -> None:
        super().__init__(
            f"{market} was changed meanwhile.", market=market, rule="version", given=str(expected), limit=str(version)
        )


class MarketChangeRefused(Rejection):
    """What open orders or past events rely on cannot be changed now."""

    kind = ErrorKind.CONFLICT
    reason = "market_change_refused"

    def __init__(self, message: str, *, market: str, field: str) -> None:
        super().__init__(message, market=market, field=field)


class AssetExists(Rejection):
    """What is there is changed, not added again."""

    kind = ErrorKind.CONFLICT
    reason = "asset_exists"

    def __init__(self, *, asset: str, name: str, scale: int) -> None:
        super().__init__(
            f"There is {asset} already: {name}, with {scale} decimals.",
            field="code", rule="unique", asset=asset, name=name, scale=str(scale),
        )  # fmt: skip


class MarketExists(Rejection):
    """As for an asset; the version is what a change of it needs."""

    kind = ErrorKind.CONFLICT
    reason = "market_exists"

    def __init__(self, *, market: str, version: int) -> None:
        super().__init__(
            f"There is {market} already, at version {version}: change that one.",
            field="base_asset", rule="unique", market=market, version=str(version),
        )  # fmt: skip


class TooManyListed(Rejection):
    reason = "too_many_listed"

    def __init__(self, *, what: str, limit: int) -> None:
        super().__init__(f"At most {limit} {what} may be listed.", rule="max_listed", limit=str(limit))


class UnknownUser(Rejection):
    """Nobody whom the exchange knows: who has not had an account with it pays no fees either."""

    kind = ErrorKind.NOT_FOUND
    reason = "unknown_user"

    def __init__(self, *, user_id: str) -> None:
        super().__init__(
            "The exchange has no account of such a user yet.",
            field="user_id", rule="has_an_account", given=user_id,
        )  # fmt: skip
