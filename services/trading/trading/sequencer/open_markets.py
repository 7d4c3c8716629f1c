"""The first start of an exchange: its assets and markets, by command like every other change."""

import asyncio

from chassis.errors import ServiceError
from chassis.logs import get_logger

from trading.domain.commands import Actor, SetAsset, SetMarket
from trading.domain.markets import Asset, Market
from trading.sequencer.future_ticket import FutureTicket
from trading.sequencer.sequencer import Sequencer

log = get_logger(__name__)


class OpenMarkets:
    """Adds the assets and markets that the journal does not know. Existing ones are the operator's: never touched."""

    def __init__(self, sequencer: Sequencer, assets: tuple[Asset, ...], markets: tuple[Market, ...]) -> None:
        self._sequencer = sequencer
        self._assets = assets
        self._markets = markets

    @property
    def are_open(self) -> bool:
        """Whether the journal, as far as it is folded here, has all of them."""
        return all(market.symbol in self._sequencer.state.markets for market in self._markets)

    async def __call__(self) -> None:
        actor = Actor(user_id="", credential_id="trading", request_id="listing")
        state = self._sequencer.state
        commands: list[SetAsset | SetMarket] = [
            SetAsset(actor, asset, "listed") for asset in self._assets if asset.code not in state.assets
        ]
        commands += [
            SetMarket(actor, market, "listed") for market in self._markets if market.symbol not in state.markets
        ]
        tickets = [FutureTicket(command) for command in commands]
        for ticket in tickets:
            self._sequencer.enter(ticket)
        for outcome in await asyncio.gather(*(ticket.outcome for ticket in tickets), return_exceptions=True):
            if isinstance(outcome, ServiceError):
                log.error("Listing refused", event="listing_refused", reason=outcome.reason, problem=outcome.message)
            elif isinstance(outcome, BaseException):
                raise outcome
