"""Goes on with what an earlier command had to postpone: an order still taking, orders that the reference crossed, and
waiting orders that it reached.
"""

from copy import copy

from trading.domain.commands import Continue
from trading.domain.errors import UnknownMarket
from trading.domain.events import OrderRested, WorkFinished
from trading.domain.expire_orders import check_no_expiry_due
from trading.domain.house import fresh_quotation
from trading.domain.matching import Stop, walk
from trading.domain.orders import CloseReason, Order, Side
from trading.domain.outcomes import Decision
from trading.domain.place_order import take
from trading.domain.set_reference_price import fill_crossed
from trading.domain.settlement import TradingDraft, notional_within
from trading.domain.state import ExchangeState
from trading.domain.triggers import first_reached, pull_trigger


def continue_work(state: ExchangeState, command: Continue) -> Decision:
    """One step: an order's further fills, or further orders that were crossed, or one order that was reached. No events
    where nothing is postponed.
    """
    market_state = state.markets.get(command.market)
    if market_state is None:
        raise UnknownMarket(market=command.market)
    check_no_expiry_due(market_state, state.batch_milliseconds)
    if not market_state.postponed:
        return []
    draft = TradingDraft(state, market_state)
    reference = market_state.reference
    reached = first_reached(market_state, reference, state.batch_milliseconds)
    if market_state.taking is not None:
        more = _go_on_taking(draft, copy(market_state.taking))
    else:
        more = fill_crossed(draft, reference)
        if reached is not None and reference is not None and not draft.events:
            pull_trigger(draft, reached, reference)
            # Whatever it left, the next step looks again.
            return draft.events
    if not (more or reached):
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
    taker = (order.owner, order.side, order.protection_price, order.remaining_quantity, budget - order.filled_notional)
    quotation = fresh_quotation(market, market_state.reference, now)
    result = walk(market_state, taker, quotation, now, draft.state.limits.fills_per_command)
    take(draft, order, result)
    if result.stop is Stop.COMPLETE and not result.fills:
        # What is left of a quote amount buys no lot at the next price: the order is done as it stands.
        draft.close(order, CloseReason.NO_LIQUIDITY, None)
    if result.stop is Stop.EXHAUSTED and order.may_rest:
        draft.events.append(OrderRested(order.order_id, order.market))
    return result.stop is Stop.FILL_LIMIT
