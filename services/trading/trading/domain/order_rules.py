"""The rules that an order's own figures must meet: fields that go together, tick, lot, size, price band."""

from trading.domain.amounts import AMOUNT_MAX
from trading.domain.commands import PlaceOrder
from trading.domain.errors import (
    AboveMaxQuantity,
    AmountTooLarge,
    BelowMinNotional,
    InvalidOrder,
    MarketCancelOnly,
    MarketDraining,
    MarketHalted,
    MarketPaused,
    OutsidePriceBand,
    UnknownMarket,
)
from trading.domain.markets import BASIS_POINTS, Market, MarketStatus
from trading.domain.orders import OrderType, Side, TimeInForce
from trading.domain.state import ExchangeState, MarketState

CLIENT_ORDER_ID_LENGTH_MAX = 64  # a UUID with a prefix fits
KEY_LENGTH_MAX = 255  # the public API's


def market_for_orders(state: ExchangeState, symbol: str) -> MarketState:
    """Raises where the market takes no new orders."""
    market_state = state.markets.get(symbol)
    if market_state is None:
        raise UnknownMarket(market=symbol)
    status = market_state.market.status
    if status is not MarketStatus.TRADING:
        refusal = MarketHalted if status is MarketStatus.HALTED else MarketCancelOnly
        raise refusal(market=symbol)
    pause = market_state.paused_until_milliseconds - state.batch_milliseconds
    if pause > 0:
        raise MarketPaused(market=symbol, remaining_milliseconds=pause)
    if market_state.postponed:
        raise MarketDraining(market=symbol)
    return market_state


def check_shape(command: PlaceOrder) -> None:
    if not (0 <= command.quantity <= AMOUNT_MAX and 0 <= command.price <= AMOUNT_MAX):
        field = "price" if 0 <= command.quantity <= AMOUNT_MAX else "quantity"
        raise InvalidOrder("The number must be above zero and fit 63 bits.", field=field, rule="range")
    if not 0 <= command.quote_quantity <= AMOUNT_MAX:
        raise InvalidOrder("The number must be above zero and fit 63 bits.", field="quote_quantity", rule="range")
    if len(command.client_order_id) > CLIENT_ORDER_ID_LENGTH_MAX:
        raise InvalidOrder("The client order id is too long.", field="client_order_id", rule="length")
    if len(command.idempotency_key) > KEY_LENGTH_MAX:
        raise InvalidOrder("The idempotency key is too long.", field="idempotency_key", rule="length")
    if command.order_type is OrderType.MARKET:
        _check_market_order(command)
    else:
        _check_limit_order(command)


def _check_market_order(command: PlaceOrder) -> None:
    if command.price:
        raise InvalidOrder("A market order has no price.", field="price", rule="not_for_market_orders")
    if (command.quantity > 0) == (command.quote_quantity > 0):
        raise InvalidOrder(
            "A market order has either a quantity or a quote quantity, above zero.",
            field="quantity", rule="either_quantity_or_quote_quantity",
        )  # fmt: skip
    if command.time_in_force is TimeInForce.GTC:
        raise InvalidOrder("A market order cannot rest.", field="time_in_force", rule="not_for_market_orders")
    if command.post_only:
        raise InvalidOrder("A market order always takes.", field="post_only", rule="not_for_market_orders")


def _check_limit_order(command: PlaceOrder) -> None:
    if command.quote_quantity:
        raise InvalidOrder(
            "Only a market order has a quote quantity.", field="quote_quantity", rule="only_for_market_orders"
        )
    if not command.quantity:
        raise InvalidOrder("The quantity must be above zero.", field="quantity", rule="positive")
    if not command.price:
        raise InvalidOrder("The price must be above zero.", field="price", rule="positive")
    if command.post_only and command.time_in_force is not TimeInForce.GTC:
        raise InvalidOrder("An order that must not take must be able to rest.", field="post_only", rule="needs_gtc")


def check_size(command: PlaceOrder, market: Market, reference_price: int) -> None:
    """Tick, lot, largest quantity, smallest and largest notional. Market orders are valued at the reference price."""
    price = command.price or reference_price
    if command.price % market.tick:
        raise market.invalid_tick(command.price, market.price_text(command.price))
    if command.quantity % market.lot:
        raise market.invalid_lot(command.quantity, market.quantity_text(command.quantity))
    quantity = command.quantity or command.quote_quantity * market.base_unit // reference_price
    if quantity > market.maximum_quantity:
        raise AboveMaxQuantity(
            limit=market.quantity_text(market.maximum_quantity), given=market.quantity_text(quantity)
        )
    notional = command.quote_quantity or market.notional(price, quantity)
    if notional < market.minimum_notional:
        if command.quote_quantity:
            field, nearest = "quote_quantity", market.quote_text(market.minimum_notional)
        else:
            lots = -(-market.minimum_notional * market.base_unit // (price * market.lot))
            field, nearest = "quantity", market.quantity_text(lots * market.lot)
        raise BelowMinNotional(
            field=field,
            limit=market.quote_text(market.minimum_notional),
            given=market.quote_text(notional),
            nearest=nearest,
        )
    if notional > AMOUNT_MAX:
        raise AmountTooLarge(limit=market.quote_text(AMOUNT_MAX), given=market.quote_text(notional))


def check_price_band(price: int, market: Market, reference_price: int) -> None:
    band = market.price_band_basis_points
    unit = BASIS_POINTS * market.tick
    lowest = -(-reference_price * (BASIS_POINTS - band) // unit) * market.tick
    highest = reference_price * (BASIS_POINTS + band) // unit * market.tick
    if not lowest <= price <= highest:
        raise OutsidePriceBand(
            lowest=market.price_text(lowest),
            highest=market.price_text(highest),
            given=market.price_text(price),
            nearest=market.price_text(lowest if price < lowest else highest),
        )


def protection_price(market: Market, reference_price: int, side: Side) -> int:
    """The worst price a market order may trade at: the reference price and the slippage cap, on the tick, inwards."""
    cap = market.slippage_cap_basis_points
    unit = BASIS_POINTS * market.tick
    if side is Side.BUY:
        return reference_price * (BASIS_POINTS + cap) // unit * market.tick
    return -(-reference_price * (BASIS_POINTS - cap) // unit) * market.tick
