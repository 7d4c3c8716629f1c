"""Why the exchange says no. A refusal writes nothing. Details hold the rule, the limit, the given and the nearest valid
value as strings, amounts as decimals, so that a client can mend its order without a manual. The nearest value is this
rule's alone: what passes all of them is for the suggestion to say (`suggestions.py`).
"""

from chassis.errors import ErrorKind, ServiceError


class Rejection(ServiceError):
    """The command was refused; the state is untouched."""

    kind = ErrorKind.REJECTED


class TooManyDecimals(Rejection):
    kind = ErrorKind.INVALID
    reason = "too_many_decimals"

    def __init__(self, *, field: str, limit: int, given: str, nearest: str) -> None:
        super().__init__(
            f"At most {limit} decimals are allowed; the nearest is {nearest}.",
            field=field, rule="too_many_decimals", limit=str(limit), given=given, nearest=nearest,
        )  # fmt: skip


class InvalidOrder(Rejection):
    """Fields that do not go together, or a number that must be above zero."""

    kind = ErrorKind.INVALID
    reason = "invalid_order"

    def __init__(self, message: str, *, field: str, rule: str, limit: str) -> None:
        """`limit` is what the field may be. What it was is for whoever has the request as it came."""
        super().__init__(message, field=field, rule=rule, limit=limit)


class InvalidTick(Rejection):
    reason = "invalid_tick"

    def __init__(self, *, tick: str, given: str, nearest: str, field: str = "price") -> None:
        super().__init__(
            f"The price must be a multiple of {tick}; the nearest is {nearest}.",
            field=field, rule="tick", limit=tick, given=given, nearest=nearest,
        )  # fmt: skip


class InvalidLot(Rejection):
    reason = "invalid_lot"

    def __init__(self, *, lot: str, given: str, nearest: str) -> None:
        super().__init__(
            f"The quantity must be a multiple of {lot}; the nearest is {nearest}.",
            field="quantity", rule="lot", limit=lot, given=given, nearest=nearest,
        )  # fmt: skip


class BelowMinNotional(Rejection):
    reason = "below_min_notional"

    def __init__(self, *, field: str, limit: str, given: str, nearest: str) -> None:
        """`nearest` is empty where the largest order is worth too little, too."""
        advice = f"{field} {nearest} would be enough" if nearest else "so is the largest order at this price"
        facts = {"nearest": nearest} if nearest else {}
        super().__init__(
            f"The order is worth {given}, less than the minimum of {limit}; {advice}.",
            field=field, rule="min_notional", limit=limit, given=given, **facts,
        )  # fmt: skip


class AboveMaxQuantity(Rejection):
    reason = "above_max_quantity"

    def __init__(self, *, field: str, limit: str, given: str) -> None:
        """`limit` and `given` in the unit of `field`, the one that the order has."""
        super().__init__(
            f"At most {limit} may be ordered at once.",
            field=field, rule="max_quantity", limit=limit, given=given, nearest=limit,
        )  # fmt: skip


class AmountTooLarge(Rejection):
    """Refused rather than wrapped: an amount would pass 2^63 minor units."""

    reason = "amount_too_large"

    def __init__(self, *, limit: str, given: str) -> None:
        super().__init__(
            f"The amount {given} passes the largest one this asset can hold, {limit}.",
            rule="amount_max", limit=limit, given=given, nearest=limit,
        )  # fmt: skip


class OutsidePriceBand(Rejection):
    reason = "price_band"

    def __init__(self, *, lowest: str, highest: str, given: str, nearest: str) -> None:
        """`nearest` is empty where no price on the market's tick lies within its band."""
        advice = f"the nearest is {nearest}" if nearest else "no multiple of the tick does"
        facts = {"nearest": nearest} if nearest else {}
        super().__init__(
            f"The price must lie between {lowest} and {highest}; {advice}.",
            field="price", rule="price_band", limit=f"{lowest}..{highest}", lowest=lowest, highest=highest,
            given=given, **facts,
        )  # fmt: skip


class InsufficientFunds(Rejection):
    reason = "insufficient_funds"

    def __init__(self, *, asset: str, required: str, available: str) -> None:
        super().__init__(
            f"{required} {asset} are needed and {available} are available.",
            rule="insufficient_funds", asset=asset, limit=available, given=required,
            required=required, available=available,
        )  # fmt: skip


class NoLiquidity(Rejection):
    reason = "no_liquidity"

    def __init__(self, *, market: str, worst_price: str, given: str) -> None:
        super().__init__(
            f"Nobody offers the other side of {market} up to the price limit of {worst_price}.",
            rule="slippage_cap", market=market, limit=worst_price, given=given,
        )  # fmt: skip


class PostOnlyWouldTake(Rejection):
    reason = "post_only_would_take"

    def __init__(self, *, best_opposite: str, given: str, nearest: str) -> None:
        """`nearest` is empty where a seller asks for a single tick."""
        advice = f"{nearest} would rest" if nearest else "no price would rest"
        facts = {"nearest": nearest} if nearest else {}
        super().__init__(
            f"At {given} the order would trade at once against {best_opposite}; {advice}.",
            field="price", rule="post_only", limit=best_opposite, given=given, **facts,
        )  # fmt: skip


class FillOrKillUnfilled(Rejection):
    reason = "fill_or_kill_unfilled"

    def __init__(self, *, fillable: str, given: str, fills_max: int) -> None:
        """`fills_max` is 0 where it is the book that has no more."""
        facts = {"nearest": fillable} if fillable != "0" else {}
        message = f"Only {fillable} of {given} can be filled at once."
        if fills_max:
            facts["fills_max"] = str(fills_max)
            message = f"One order takes at most {fills_max} fills at once, which here are {fillable} of {given}."
        super().__init__(
            message,
            rule="fill_or_kill", limit=fillable, given=given, **facts,
        )  # fmt: skip


class StopPriceReached(Rejection):
    reason = "stop_price_reached"

    def __init__(self, *, reference_price: str, given: str, nearest: str) -> None:
        """`nearest` is empty where the reference price is less than a tick above zero."""
        advice = f"{nearest} would wait" if nearest else "none would wait"
        facts = {"nearest": nearest} if nearest else {}
        super().__init__(
            f"The price is {reference_price}: a stop price of {given} is already reached; {advice}.",
            field="stop_price", rule="stop_price", limit=reference_price, given=given, **facts,
        )  # fmt: skip


class ExpiryInPast(Rejection):
    reason = "expiry_in_past"

    def __init__(self, *, limit: str, given: str) -> None:
        super().__init__(
            f"It is {limit}: an order cannot expire at {given}.",
            field="expires_at", rule="future", limit=limit, given=given,
        )  # fmt: skip


class AmendBelowFilled(Rejection):
    reason = "amend_below_filled"

    def __init__(self, *, filled: str, given: str, nearest: str) -> None:
        super().__init__(
            f"{filled} are filled already: the quantity must be larger. Cancel the order to give up the rest.",
            field="quantity", rule="above_filled", limit=filled, given=given, nearest=nearest,
        )  # fmt: skip


class TooManyAmendments(Rejection):
    reason = "too_many_amendments"

    def __init__(self, *, limit: int) -> None:
        super().__init__(
            f"An order can be amended {limit} times. Cancel it and place another.",
            rule="max_amendments", limit=str(limit), given=str(limit + 1),
        )  # fmt: skip


class TooManyOpenOrders(Rejection):
    reason = "too_many_open_orders"

    def __init__(self, *, limit: int, given: int, market: str = "") -> None:
        super().__init__(
            f"At most {limit} orders may be open at once{' in ' + market if market else ''}.",
            rule="max_open_orders", limit=str(limit), given=str(given), market=market or "all",
        )  # fmt: skip


class MarketCancelOnly(Rejection):
    reason = "market_cancel_only"

    def __init__(self, *, market: str) -> None:
        super().__init__(
            f"{market} takes no new orders now; cancels are possible.",
            market=market, rule="market_status", limit="trading", given="cancel_only",
        )  # fmt: skip


class MarketHalted(Rejection):
    reason = "market_halted"

    def __init__(self, *, market: str) -> None:
        super().__init__(f"{market} is halted.", market=market, rule="market_status", limit="trading", given="halted")


class MarketPaused(Rejection):
    """The circuit breaker tripped. The pause ends by itself, so the client may try again."""

    kind = ErrorKind.UNAVAILABLE
    reason = "market_paused"

    def __init__(self, *, market: str, remaining_milliseconds: int) -> None:
        seconds = -(-remaining_milliseconds // 1_000)
        super().__init__(
            f"The price of {market} jumped; trading goes on in {seconds} seconds. Cancels are possible.",
            market=market, rule="circuit_breaker", limit="trading", given="paused", retry_after_seconds=str(seconds),
        )  # fmt: skip


class MarketDraining(Rejection):
    """Postponed work of an earlier command comes first; the shell enters `Continue` and tries again."""

    kind = ErrorKind.UNAVAILABLE
    reason = "market_draining"

    def __init__(self, *, market: str) -> None:
        super().__init__(
            f"{market} is still working on an earlier command.",
            market=market, rule="in_turn", limit="trading", given="draining",
        )  # fmt: skip


class ExpiriesDue(Rejection):
    """Orders whose expiry has come are closed first; the shell enters `ExpireOrders` and tries again."""

    kind = ErrorKind.UNAVAILABLE
    reason = "expiries_due"

    def __init__(self) -> None:
        super().__init__(
            "Orders whose time is over are being closed.", rule="in_turn", limit="trading", given="expiring"
        )


class StalePrice(Rejection):
    """No fresh reference price, so nothing that depends on one may happen."""

    kind = ErrorKind.UNAVAILABLE
    reason = "stale_price"

    def __init__(self, *, market: str, age_milliseconds: int | None, limit_milliseconds: int | None) -> None:
        facts = {"market": market, "limit": "a price", "given": "none"}
        if age_milliseconds is not None and limit_milliseconds is not None:
            facts |= {"limit": str(limit_milliseconds), "given": str(age_milliseconds)}
        super().__init__(f"There is no fresh price for {market}.", rule="price_age_milliseconds", **facts)


class InvalidReferencePrice(Rejection):
    kind = ErrorKind.INVALID
    reason = "invalid_reference_price"

    def __init__(self, message: str, *, market: str, rule: str, given: str) -> None:
        super().__init__(message, market=market, rule=rule, given=given)


class UnknownMarket(Rejection):
    kind = ErrorKind.NOT_FOUND
    reason = "unknown_market"

    def __init__(self, *, market: str) -> None:
        super().__init__(
            "There is no such market.", market=market[:32], rule="known_market", limit="a listed market",
            given=market[:32],
        )  # fmt: skip


class UnknownAsset(Rejection):
    kind = ErrorKind.NOT_FOUND
    reason = "unknown_asset"

    def __init__(self, *, asset: str, field: str = "") -> None:
        """`field` where it is one of several that the caller named."""
        facts = {"field": field} if field else {}
        super().__init__("There is no such asset.", asset=asset[:32], rule="known_asset", **facts)


class OrderNotOpen(Rejection):
    """Not among the caller's open orders: closed, another's, or never there. The shell may know which."""

    kind = ErrorKind.NOT_FOUND
    reason = "order_not_open"

    def __init__(self, *, order_id: str) -> None:
        super().__init__(
            "There is no such open order.",
            order_id=order_id[:64], rule="open_order", limit="an open order of yours", given=order_id[:64],
        )  # fmt: skip


class IdempotencyKeyReused(Rejection):
    kind = ErrorKind.CONFLICT
    reason = "idempotency_key_reused"

    def __init__(self, *, idempotency_key: str) -> None:
        super().__init__(
            "This idempotency key was used for another request.",
            rule="idempotency_key", limit="one request", given=idempotency_key[:64],
        )  # fmt: skip


class ClientOrderIdReused(Rejection):
    kind = ErrorKind.CONFLICT
    reason = "client_order_id_reused"

    def __init__(self, *, client_order_id: str, order_id: str) -> None:
        super().__init__(
            "An order with this client order id is placed already.",
            client_order_id=client_order_id, order_id=order_id, rule="client_order_id", limit="one order",
            given=client_order_id,
        )  # fmt: skip
