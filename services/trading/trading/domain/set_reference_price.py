"""The reference price moves: resting orders that it crosses fill at their own limit against the house."""

from trading.domain.amounts import AMOUNT_MAX
from trading.domain.commands import SetReferencePrice
from trading.domain.errors import InvalidReferencePrice, MarketDraining, UnknownMarket
from trading.domain.events import ReferencePriceSet, WorkPostponed
from trading.domain.house import crossed_orders, fresh_quotation, price_source
from trading.domain.markets import Market, MarketStatus
from trading.domain.outcomes import Decision
from trading.domain.settlement import TradingDraft
from trading.domain.state import ExchangeState


def set_reference_price(state: ExchangeState, command: SetReferencePrice) -> Decision:
    market_state = state.markets.get(command.market)
    if market_state is None:
        raise UnknownMarket(market=command.market)
    if market_state.postponed:
        raise MarketDraining(market=command.market)
    reference = ReferencePriceSet(
        command.market, command.price, command.source, command.source_milliseconds, command.received_milliseconds
    )
    _check(reference, market_state.market, market_state.reference, state.batch_milliseconds)
    draft = TradingDraft(state, market_state)
    draft.events.append(reference)
    if fill_crossed(draft, reference):
        draft.events.append(WorkPostponed(command.market))
    return draft.events


def fill_crossed(draft: TradingDraft, reference: ReferencePriceSet | None) -> bool:
    """Adds the trades; true where the limit of fills left some undone. A stale reference fills nothing."""
    market_state = draft.market
    market = market_state.market
    now = draft.state.batch_milliseconds
    quotation = fresh_quotation(market, reference, now)
    if quotation is None or market.status is not MarketStatus.TRADING:
        return False
    left = draft.state.limits.fills_per_command
    for order, quantity in crossed_orders(market_state, quotation, now):
        if left == 0:
            return True
        draft.house_takes(order, quantity)
        left -= 1
    return False


def _check(reference: ReferencePriceSet, market: Market, known: ReferencePriceSet | None, now: int) -> None:
    source = price_source(market, reference.source)
    if source is None:
        raise InvalidReferencePrice(
            "This market takes no prices from that source.",
            market=market.symbol, rule="source", given=reference.source[:32],
        )  # fmt: skip
    if not 0 < reference.price <= AMOUNT_MAX:
        raise InvalidReferencePrice(
            "A price must be above zero and fit 63 bits.",
            market=market.symbol, rule="range", given=market.price_text(reference.price),
        )  # fmt: skip
    # A tick from the future would stay fresh for longer than its source deserves.
    if reference.received_milliseconds > now or reference.source_milliseconds > now + source.maximum_age_milliseconds:
        raise InvalidReferencePrice(
            "The price is from the future.",
            market=market.symbol, rule="time", given=str(reference.source_milliseconds),
        )  # fmt: skip
    if known is not None and reference.received_milliseconds < known.received_milliseconds:
        raise InvalidReferencePrice(
            "A younger price is already known.",
            market=market.symbol, rule="order", given=str(reference.received_milliseconds),
        )  # fmt: skip
