"""The rules that an order's own figures must meet: fields that go together, tick, lot, size, price band."""

from typing import Protocol

from trading.domain.amounts import AMOUNT_MAX
from trading.domain.commands import PlaceOrder
from trading.domain.errors import (
    AboveMaxQuantity,
    AmountTooLarge,
    BelowMinNotional,
    ExpiryInPast,
    InvalidOrder,
    MarketCancelOnly,
    MarketDraining,
    MarketHalted,
    MarketPaused,
    OutsidePriceBand,
    StopPriceReached,
    UnknownMarket,
)
from trading.domain.expire_orders import check_no_expiry_due
from trading.domain.markets import BASIS_POINTS, HALTED, TRADING, Market
from trading.domain.moments import MOMENT_MAX, moment_text
from trading.domain.orders import (
    BUY,
    GTD,
    LIMIT,
    MARKET,
    RESTING_TIMES,
    SELL,
    TRIGGERS,
    OrderType,
    Side,
    TimeInForce,
    waits_for_a_rise,
)
from trading.domain.state import ExchangeState, MarketState

CLIENT_ORDER_ID_LENGTH_MAX = 64  # a UUID with a prefix fits
KEY_LENGTH_MAX = 255  # the public API's
EITHER = "either_quantity_or_quote_quantity"
# Limits that are no number.
NONE = "none"
POSITIVE = "above 0"
RANGE = "above 0, at most 63 bits"


class Terms(Protocol):
    """What the rules look at: of a command, or of an order as it would be."""

    @property
    def side(self) -> Side: ...
    @property
    def time_in_force(self) -> TimeInForce: ...
    @property
    def quantity(self) -> int: ...
    @property
    def quote_quantity(self) -> int: ...
    @property
    def price(self) -> int: ...
    @property
    def stop_price(self) -> int: ...


def market_for_orders(state: ExchangeState, symbol: str) -> MarketState:
    """Raises where the market takes no new orders, or something else has to happen first."""
    market_state = state.markets.get(symbol)
    if market_state is None:
        raise UnknownMarket(market=symbol)
    status = market_state.market.status
    if status is not TRADING:
        refusal = MarketHalted if status is HALTED else MarketCancelOnly
        raise refusal(market=symbol)
    pause = market_state.paused_until_milliseconds - state.batch_milliseconds
    if pause > 0:
        raise MarketPaused(market=symbol, remaining_milliseconds=pause)
    if market_state.postponed:
        raise MarketDraining(market=symbol)
    check_no_expiry_due(market_state, state.batch_milliseconds)
    return market_state


def check_shape(command: PlaceOrder) -> None:
    (
        _, _, _, order_type, time_in_force, quantity, quote_quantity, price, post_only, client_order_id, key, stop,
        expires,
    ) = command  # fmt: skip
    if not (0 <= quantity <= AMOUNT_MAX and 0 <= price <= AMOUNT_MAX):
        field = "price" if 0 <= quantity <= AMOUNT_MAX else "quantity"
        raise InvalidOrder("The number must be above zero and fit 63 bits.", field=field, rule="range", limit=RANGE)
    if not 0 <= quote_quantity <= AMOUNT_MAX:
        raise InvalidOrder(
            "The number must be above zero and fit 63 bits.", field="quote_quantity", rule="range", limit=RANGE
        )
    if len(client_order_id) > CLIENT_ORDER_ID_LENGTH_MAX:
        raise InvalidOrder(
            "The client order id is too long.",
            field="client_order_id",
            rule="length",
            limit=str(CLIENT_ORDER_ID_LENGTH_MAX),
        )
    if len(key) > KEY_LENGTH_MAX:
        raise InvalidOrder(
            "The idempotency key is too long.", field="idempotency_key", rule="length", limit=str(KEY_LENGTH_MAX)
        )
    if order_type is MARKET:
        _check_market_order(command)
    elif order_type is LIMIT:
        _check_limit_order(quantity, quote_quantity, price, time_in_force, post_only)
    else:
        _check_trigger(command)
    if stop and order_type not in TRIGGERS:
        raise InvalidOrder(
            "Only an order that waits has a stop price.", field="stop_price", rule="only_for_triggers", limit=NONE
        )
    if expires or time_in_force is GTD:
        _check_expiry(command)


def _check_market_order(command: PlaceOrder) -> None:
    if command.price:
        raise InvalidOrder("A market order has no price.", field="price", rule="not_for_market_orders", limit=NONE)
    if (command.quantity > 0) == (command.quote_quantity > 0):
        raise InvalidOrder(
            "A market order has either a quantity or a quote quantity, above zero.",
            field="quantity", rule=EITHER, limit="one of the two",
        )  # fmt: skip
    if command.time_in_force in RESTING_TIMES:
        raise InvalidOrder(
            "A market order cannot rest.", field="time_in_force", rule="not_for_market_orders", limit="ioc, fok"
        )
    if command.post_only:
        raise InvalidOrder(
            "A market order always takes.", field="post_only", rule="not_for_market_orders", limit="false"
        )


def _check_limit_order(
    quantity: int,
    quote_quantity: int,
    price: int,
    time_in_force: TimeInForce,
    post_only: bool,  # noqa: FBT001 - by position, as all of these on the hot path
) -> None:
    if quote_quantity:
        raise InvalidOrder(
            "An order with a limit has no quote quantity.", field="quote_quantity", rule="not_for_limits", limit=NONE
        )
    if not quantity:
        raise InvalidOrder("The quantity must be above zero.", field="quantity", rule="positive", limit=POSITIVE)
    if not price:
        raise InvalidOrder("The price must be above zero.", field="price", rule="positive", limit=POSITIVE)
    if post_only and time_in_force not in RESTING_TIMES:
        raise InvalidOrder(
            "An order that must not take must be able to rest.", field="post_only", rule="must_rest", limit="false"
        )


def _check_trigger(command: PlaceOrder) -> None:
    if not 0 < command.stop_price <= AMOUNT_MAX:
        raise InvalidOrder(
            "An order that waits has a stop price, above zero.", field="stop_price", rule="positive", limit=POSITIVE
        )
    if command.order_type is OrderType.STOP_LIMIT:
        _check_limit_order(
            command.quantity, command.quote_quantity, command.price, command.time_in_force, command.post_only
        )
        return
    if command.price:
        raise InvalidOrder("Only a stop_limit order has a limit.", field="price", rule="only_for_limits", limit=NONE)
    if (command.quantity > 0) == (command.quote_quantity > 0):
        raise InvalidOrder(
            "The order has either a quantity or a quote quantity, above zero.",
            field="quantity", rule=EITHER, limit="one of the two",
        )  # fmt: skip
    if command.quote_quantity and command.side is SELL:
        # How much base it takes is not known before the price is, so there is nothing definite to hold.
        raise InvalidOrder(
            "A sell that waits is by quantity.", field="quote_quantity", rule="not_for_waiting_sells", limit=NONE
        )
    if command.time_in_force not in RESTING_TIMES:
        raise InvalidOrder(
            "An order that waits is gtc or gtd.", field="time_in_force", rule="must_wait", limit="gtc, gtd"
        )
    if command.post_only:
        raise InvalidOrder("An order without a limit takes.", field="post_only", rule="only_for_limits", limit="false")


def _check_expiry(command: PlaceOrder) -> None:
    if command.time_in_force is not GTD:
        raise InvalidOrder("Only a gtd order expires.", field="expires_at", rule="only_for_gtd", limit=NONE)
    if not command.expires_milliseconds:
        raise InvalidOrder(
            "A gtd order needs its last moment.", field="expires_at", rule="required", limit="a moment to come"
        )
    if not 0 < command.expires_milliseconds <= MOMENT_MAX:
        raise InvalidOrder("There is no such moment.", field="expires_at", rule="range", limit=moment_text(MOMENT_MAX))


def check_expiry(command: PlaceOrder, now_milliseconds: int) -> None:
    if command.expires_milliseconds and command.expires_milliseconds <= now_milliseconds:
        raise ExpiryInPast(limit=moment_text(now_milliseconds), given=moment_text(command.expires_milliseconds))


def check_steps(price: int, quantity: int, market: Market) -> None:
    """Tick and lot."""
    if price % market.tick:
        raise market.invalid_tick(price, market.price_text(price))
    if quantity % market.lot:
        raise market.invalid_lot(quantity, market.quantity_text(quantity))


def check_size(price: int, quantity: int, quote_quantity: int, market: Market, reference_price: int) -> None:
    """Largest quantity, smallest and largest notional, the last two at the limit or the reference price.

    To be asked after the price band: what is enough at a price that will not pass says nothing of one that will.
    """
    price = price or reference_price
    quantity = quantity or quote_quantity * market.base_unit // reference_price
    if quantity > market.maximum_quantity:
        raise _above_maximum(quantity, quote_quantity, market, reference_price)
    notional = quote_quantity or price * quantity // market.base_unit
    if notional < market.minimum_notional:
        raise _below_minimum(price, quote_quantity, notional, market)
    if notional > AMOUNT_MAX:
        raise AmountTooLarge(limit=market.quote_text(AMOUNT_MAX), given=market.quote_text(notional))


def _above_maximum(quantity: int, quote_quantity: int, market: Market, reference_price: int) -> AboveMaxQuantity:
    maximum = market.maximum_quantity
    if not quote_quantity:
        limit, given = market.quantity_text(maximum), market.quantity_text(quantity)
        return AboveMaxQuantity(field="quantity", limit=limit, given=given)
    limit, given = market.quote_text(market.notional(reference_price, maximum)), market.quote_text(quote_quantity)
    return AboveMaxQuantity(field="quote_quantity", limit=limit, given=given)


def _below_minimum(price: int, quote_quantity: int, notional: int, market: Market) -> BelowMinNotional:
    minimum = market.minimum_notional
    if quote_quantity:
        field, nearest = "quote_quantity", market.quote_text(minimum)
        quantity = minimum * market.base_unit // price
    else:
        quantity = -(-minimum * market.base_unit // (price * market.lot)) * market.lot
        field, nearest = "quantity", market.quantity_text(quantity)
    return BelowMinNotional(
        field=field,
        limit=market.quote_text(minimum),
        given=market.quote_text(notional),
        nearest=nearest if quantity <= market.maximum_quantity else "",
    )


def check_stop_price(command: PlaceOrder, market: Market, reference_price: int) -> None:
    """Raises where the order would not have to wait."""
    stop_price, tick = command.stop_price, market.tick
    if stop_price % tick:
        raise market.invalid_tick(stop_price, market.price_text(stop_price), "stop_price")
    if waits_for_a_rise(command.order_type, command.side):
        reached, nearest = stop_price <= reference_price, reference_price // tick * tick + tick
    else:
        reached, nearest = stop_price >= reference_price, -(-reference_price // tick) * tick - tick
    if reached:
        raise StopPriceReached(
            reference_price=market.price_text(reference_price),
            given=market.price_text(stop_price),
            nearest=market.price_text(nearest) if nearest > 0 else "",
        )


def price_band(market: Market, reference_price: int) -> tuple[int, int]:
    """The lowest and the highest price of a limit, on the tick, inwards."""
    band = market.price_band_basis_points
    unit = BASIS_POINTS * market.tick
    lowest = -(-reference_price * (BASIS_POINTS - band) // unit) * market.tick
    return lowest, reference_price * (BASIS_POINTS + band) // unit * market.tick


def check_price_band(price: int, market: Market, reference_price: int) -> None:
    lowest, highest = price_band(market, reference_price)
    if not lowest <= price <= highest:
        raise OutsidePriceBand(
            lowest=market.price_text(lowest),
            highest=market.price_text(highest),
            given=market.price_text(price),
            nearest="" if lowest > highest else market.price_text(lowest if price < lowest else highest),
        )


def protection_price(market: Market, reference_price: int, side: Side) -> int:
    """The worst price a market order may trade at: the reference price and the slippage cap, on the tick, inwards."""
    cap = market.slippage_cap_basis_points
    unit = BASIS_POINTS * market.tick
    if side is BUY:
        return reference_price * (BASIS_POINTS + cap) // unit * market.tick
    return -(-reference_price * (BASIS_POINTS - cap) // unit) * market.tick
