"""From planned fills to trades: fees, holds, sequences. One minor unit of rounding per order, in favour of `fees`.

The fee of an order is its exact fee rounded up once, taken as it fills: after any number of fills the order has paid
ceil(sum of rate x notional). So how an order is cut into fills changes nothing, and price x quantity plus the rounded
maximal fee always covers it, which rounding each fill up would not.
"""

from trading.domain.accounts import HOUSE, user_of_owner
from trading.domain.by_position import by_position
from trading.domain.commands import Actor
from trading.domain.events import Event, OrderClosed, Traded, TradeSide, UserSequence
from trading.domain.house import consumed
from trading.domain.markets import BASIS_POINTS, Market
from trading.domain.matching import Fill
from trading.domain.orders import (
    BUY,
    LIFE,
    MAKER,
    SELL,
    TAKER,
    CloseReason,
    Liquidity,
    Order,
    OrderStatus,
    OrderStep,
    Side,
)
from trading.domain.state import ExchangeState, MarketState

_order_closed, _traded, _trade_side = by_position(OrderClosed), by_position(Traded), by_position(TradeSide)
# Columns of the table of lives, by the status before.
_AFTER_FILL_PART = {before: after for (before, step), after in LIFE.items() if step is OrderStep.FILL_PART}
_AFTER_FILL_REST = {before: after for (before, step), after in LIFE.items() if step is OrderStep.FILL_REST}
_HOUSE_SIDE = {
    liquidity: TradeSide(HOUSE, "", liquidity, 0, 0, 0, OrderStatus.PARTIALLY_FILLED, 0) for liquidity in (MAKER, TAKER)
}


def with_fee(notional: int, fee_basis_points: int) -> int:
    """The notional and its fee, rounded up."""
    return notional + -(-notional * fee_basis_points // BASIS_POINTS)


def notional_within(budget: int, fee_basis_points: int) -> int:
    """The largest notional that, with its fee rounded up, stays within the budget."""
    return budget * BASIS_POINTS // (BASIS_POINTS + fee_basis_points)


def required_hold(order: Order, market: Market) -> int:
    """What an order that rests or waits must hold: a sell its remaining base; a limit buy its remaining cost and
    maximal fee; a waiting buy without a limit its quote amount, or cost and fee at the worst price it may trade at.
    """
    remaining = order.quantity - order.filled_quantity
    if order.side is SELL:
        return remaining
    if order.price:
        return _required_quote(order, market, remaining, order.fee_numerator, order.fees)
    cost = market.notional(order.protection_price, order.quantity)
    return order.quote_quantity or with_fee(cost, order.taker_fee_basis_points)


class Draft:
    """The events of one decision as they are made, with the counters that run through them."""

    __slots__ = ("_sequences", "events", "state")

    def __init__(self, state: ExchangeState) -> None:
        self.state = state
        self.events: list[Event] = []
        self._sequences: dict[str, int] = {}

    def next_sequence(self, owner: str) -> int:
        sequence = self._sequences.get(owner)
        if sequence is None:
            known = self.state.owners.get(owner)
            sequence = known.sequence if known is not None else 0
        sequence += 1
        self._sequences[owner] = sequence
        return sequence

    def user_sequence(self, owner: str) -> UserSequence:
        return UserSequence(user_of_owner(owner), self.next_sequence(owner))

    def close(self, order: Order, reason: CloseReason, actor: Actor | None, step: OrderStep = OrderStep.CANCEL) -> None:
        market = self.state.markets[order.market].market
        self.events.append(
            _order_closed(
                order.order_id,
                order.user_id,
                order.market,
                LIFE[order.status, step],
                reason,
                market.quote if order.side is BUY else market.base,
                order.hold,
                self.next_sequence(order.owner),
                actor,
            )
        )


class TradingDraft(Draft):
    """A draft that trades, in one market."""

    __slots__ = ("_house_consumed", "_tape_sequence", "_trade_number", "market")

    def __init__(self, state: ExchangeState, market: MarketState) -> None:
        self.state = state
        self.events = []
        self._sequences = {}
        self.market = market
        self._trade_number = state.trade_number
        self._tape_sequence = market.tape_sequence
        self._house_consumed: dict[Side, int] = {}

    def trade(self, fill: Fill, taker: Order, *, taker_done: bool) -> None:
        """A fill of `taker`, a scratch copy whose figures move along with the events."""
        maker, _, quantity, notional = fill
        taker_side = self._order_side(taker, quantity, notional, TAKER, taker.taker_fee_basis_points, taker_done)
        house_side = None
        buying = taker.side is BUY
        if maker is None:
            maker_side = _HOUSE_SIDE[MAKER]
            house_side = SELL if buying else BUY
        else:
            done = quantity == maker.quantity - maker.filled_quantity
            maker_side = self._order_side(maker, quantity, notional, MAKER, maker.maker_fee_basis_points, done)
        if buying:
            self._add(fill, BUY, taker_side, maker_side, house_side)
        else:
            self._add(fill, SELL, maker_side, taker_side, house_side)
        _, _, _, rate, fee, reduction, status, _ = taker_side
        taker.filled_quantity += quantity
        taker.filled_notional += notional
        taker.fee_numerator += rate * notional
        taker.fees += fee
        taker.hold -= reduction
        taker.status = status

    def house_takes(self, maker: Order, quantity: int) -> None:
        """The reference has crossed a resting order: the house fills it at its own limit."""
        market = self.market.market
        notional = market.notional(maker.price, quantity)
        fill = (maker, maker.price, quantity, notional)
        done = quantity == maker.quantity - maker.filled_quantity
        side = self._order_side(maker, quantity, notional, MAKER, maker.maker_fee_basis_points, done)
        house = _HOUSE_SIDE[TAKER]
        if maker.side is BUY:
            self._add(fill, SELL, side, house, SELL)
        else:
            self._add(fill, BUY, house, side, BUY)

    def _add(self, fill: Fill, taker_side: Side, buyer: TradeSide, seller: TradeSide, house_side: Side | None) -> None:
        market = self.market.market
        _, price, quantity, notional = fill
        self._trade_number += 1
        self._tape_sequence += 1
        self.events.append(
            _traded(
                market.symbol,
                market.base,
                market.quote,
                self._trade_number,
                self._tape_sequence,
                taker_side,
                price,
                quantity,
                notional,
                buyer,
                seller,
                None if house_side is None else self._consume(house_side, quantity),
            )
        )

    def _consume(self, house_side: Side, quantity: int) -> int:
        # Refill is counted once per decision, at batch time; further fills of the same decision add up.
        used = self._house_consumed.get(house_side)
        if used is None:
            depth = self.market.house_ask if house_side is SELL else self.market.house_bid
            used = consumed(depth, self.market.market.house.refill_per_second, self.state.batch_milliseconds)
        self._house_consumed[house_side] = used + quantity
        return used + quantity

    def _order_side(  # noqa: PLR0917 - what a side of a trade is made of
        self,
        order: Order,
        quantity: int,
        notional: int,
        liquidity: Liquidity,
        rate: int,
        done: bool,  # noqa: FBT001 - by position, as all of these on the hot path
    ) -> TradeSide:
        numerator = order.fee_numerator + rate * notional
        fee = -(-numerator // BASIS_POINTS) - order.fees
        if done:
            reduction = order.hold
            status = _AFTER_FILL_REST[order.status]
        else:
            status = _AFTER_FILL_PART[order.status]
            if order.side is SELL:
                reduction = quantity
            elif order.price:
                remaining = order.quantity - order.filled_quantity - quantity
                required = _required_quote(order, self.market.market, remaining, numerator, order.fees + fee)
                reduction = order.hold - required
            else:
                reduction = notional + fee
        owner = order.owner
        sequence = self.next_sequence(owner)
        return _trade_side(owner, order.order_id, liquidity, rate, fee, reduction, status, sequence)


def _required_quote(order: Order, market: Market, remaining: int, fee_numerator: int, fees: int) -> int:
    cost = order.price * remaining // market.base_unit
    maker, taker = order.maker_fee_basis_points, order.taker_fee_basis_points
    rate = maker if maker > taker else taker  # noqa: FURB136 - a tenth of max()'s time
    return cost + -(-(fee_numerator + rate * cost) // BASIS_POINTS) - fees
