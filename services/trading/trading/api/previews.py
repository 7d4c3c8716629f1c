"""PreviewOrder: what an order would do if it came now, around the newest tick, in a copy of the figures it needs."""

import asyncio

from chassis.errors import InvalidArgument
from chassis.identity import current_caller
from cryptovault.trading.v1 import trading_pb2

from trading.api import parsing
from trading.api.messages import balance_message, fills_of, order_message
from trading.api.teaching import teach
from trading.domain.commands import Actor
from trading.domain.errors import ExpiriesDue, MarketDraining, Rejection
from trading.domain.events import WorkPostponed
from trading.domain.preview_order import preview_order
from trading.domain.state import ExchangeState
from trading.journal.history import view_after
from trading.sequencer.journal_time import JournalTime
from trading.sequencer.next_batch import as_next_batch
from trading.sequencer.reference_prices import ReferencePrices
from trading.sequencer.sequencer import Sequencer

# What is due, or left of an earlier command, comes before an order and so before its preview: a batch or two.
_FIRST_TRIES = 25
_FIRST_SECONDS = 0.02


class Previews:
    def __init__(self, *, sequencer: Sequencer, prices: ReferencePrices, time: JournalTime) -> None:
        self._sequencer = sequencer
        self._prices = prices
        self._time = time

    async def preview(self, request: trading_pb2.PlaceOrder) -> trading_pb2.PreviewOrderResponse:
        """Raises what the order itself would be refused with, suggestion included; `NotLeading`."""
        caller = current_caller()
        actor = Actor(caller.required_user(), caller.session_id or "", caller.request_id, caller.address or "")

        def question(state: ExchangeState) -> trading_pb2.PreviewOrderResponse | Rejection | InvalidArgument:
            shown = as_next_batch(state, request.market, self._prices, self._time.now())
            try:
                return _preview(shown, request, actor)
            except (Rejection, InvalidArgument) as refusal:
                teach(refusal, request, shown, actor)
                # Told like an answer: once what it rests on is durable.
                return refusal

        answer = await self._sequencer.read(question)
        for _ in range(_FIRST_TRIES):
            if not isinstance(answer, ExpiriesDue | MarketDraining):
                break
            self._sequencer.look_at_the_clock()
            await asyncio.sleep(_FIRST_SECONDS)
            answer = await self._sequencer.read(question)
        if isinstance(answer, Rejection | InvalidArgument):
            raise answer
        return answer


def _preview(state: ExchangeState, request: trading_pb2.PlaceOrder, actor: Actor) -> trading_pb2.PreviewOrderResponse:
    command = parsing.place_order(request, state, actor, "")
    preview = preview_order(state, command)
    view = view_after(preview.events, time_milliseconds=state.batch_milliseconds, batch=0)
    if view is None:
        raise AssertionError("an order that was accepted was placed")
    market = state.markets[command.market].market
    order = trading_pb2.Order()
    order.CopyFrom(order_message(view, market))
    fills = fills_of(view.order_id, preview.events, market, state.batch_milliseconds)
    # There is no such order and no such trade: nobody must look for one.
    order.ClearField("id")
    order.ClearField("created_at")
    order.ClearField("updated_at")
    order.ClearField("filled_at")
    for fill in fills:
        fill.ClearField("id")
        fill.ClearField("order_id")
        fill.ClearField("time")
    return trading_pb2.PreviewOrderResponse(
        order=order,
        fills=fills,
        balances=[balance_message(balance, state.assets) for balance in preview.balances],
        goes_on=any(isinstance(event, WorkPostponed) for event in preview.events),
    )
