"""Goes on with what an earlier command had to postpone: an order still taking, or orders that the reference crossed."""

from copy import copy

from trading.domain.commands import Continue
from trading.domain.errors import UnknownMarket
from trading.domain.events import OrderRested, WorkFinished
from trading.domain.house import fresh_quotation
from trading.domain.matching import Stop, Taker, walk
from trading.domain.orders import CloseReason, Order, Side, TimeInForce
from trading.domain.outcomes import Decision
from trading.domain.place_order import take
from trading.domain.set_reference_price import fill_crossed
from trading.domain.settlement import TradingDraft, notional_within
from trading.domain.state import ExchangeState


def continue_work(state: ExchangeState, command: Continue) -> Decision:
    """No events where nothing is postponed."""
    market_state = state.markets.get(command.market)
    if market_state is None:
        raise UnknownMarket(market=command.market)
    if not market_state.postponed:
        return []
    draft = TradingDraft(state, market_state)
    if market_state.taking is not None:
        more = _go_on_taking(draft, copy(market_state.taking))
    else:
        more = fill_crossed(draft, market_state.reference)
    if not more:
        draft.events.append(WorkFinished(command.market))
    return draft.events


def _go_on_taking(draft: TradingDraft, order: Order) -> bool:
    """True where the limit of fills was met again. `order` is a scratch copy."""
    market_state = draft.market
    market = market_state.market
    now = draft.state.batch_milliseconds
    if not market_state.trades_at(now):
        draft.close(order, CloseReason.MARKET_CLOSED, None)
        return False
    budget = order.quote_quantity
    if budget and order.side is Side.BUY:
        budget = notional_within(budget, order.taker_fee_basis_points)
    taker = Taker(
        order.owner, order.side, order.protection_price, order.remaining_quantity, budget - order.filled_notional
    )
    quotation = fresh_quotation(market, market_state.reference, now)
    result = walk(market_state, taker, quotation, now, draft.state.limits.fills_per_command)
    take(draft, order, result)
    if result.stop is Stop.COMPLETE and not result.fills:
        # What is left of a quote amount buys no lot at the next price: the order is done as it stands.
        draft.close(order, CloseReason.NO_LIQUIDITY, None)
    if result.stop is Stop.EXHAUSTED and order.time_in_force is TimeInForce.GTC:
        draft.events.append(OrderRested(order.order_id, order.market))
    return result.stop is Stop.FILL_LIMIT
