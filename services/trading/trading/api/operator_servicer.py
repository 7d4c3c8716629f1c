# ruff: noqa: N802 - the contract's names
"""TradingOperatorService: markets, fees and frozen assets as operators see and change them."""

from typing import Any

from chassis.identity import current_caller
from cryptovault.trading.v1 import operator_pb2, operator_pb2_grpc

from trading.api import market_rules
from trading.api.additions import add_asset_command, add_market_command
from trading.api.unary_commands import actor_of_caller, enter
from trading.domain.commands import FreezeAsset, ResumeMarket, UnfreezeAsset
from trading.domain.errors import UnknownMarket
from trading.domain.events import AssetSet, MarketSet
from trading.domain.house import price_source
from trading.domain.markets import Asset, Market
from trading.domain.state import ExchangeState, MarketState
from trading.sequencer.journal_time import JournalTime
from trading.sequencer.reference_prices import ReferencePrices
from trading.sequencer.sequencer import Sequencer

PERMISSION = "markets:write"


class OperatorServicer(operator_pb2_grpc.TradingOperatorServiceServicer):
    """The gateway asks for the permission too; what changes the exchange is not left to one door."""

    def __init__(self, *, sequencer: Sequencer, prices: ReferencePrices, time: JournalTime) -> None:
        self._sequencer = sequencer
        self._prices = prices
        self._time = time

    async def ListMarketRules(
        self, _request: operator_pb2.ListMarketRulesRequest, _context: Any
    ) -> operator_pb2.ListMarketRulesResponse:
        current_caller().require(PERMISSION)
        return await self._sequencer.read(
            lambda state: operator_pb2.ListMarketRulesResponse(
                markets=[self._rules(market, state) for _, market in sorted(state.markets.items())]
            )
        )

    async def ChangeMarket(
        self, request: operator_pb2.ChangeMarketRequest, context: Any
    ) -> operator_pb2.ChangeMarketResponse:
        current_caller().require(PERMISSION)
        known = self._market(request.symbol)
        command = market_rules.change_command(request, known, actor_of_caller())
        outcome = await self._enter(command._replace(reference_price=self._price_for(command.market)), context)
        for event in outcome.events:
            if isinstance(event, MarketSet):
                # As it was after this change, though others may have followed.
                changed = MarketState(event.market, version=event.version, house_position=known.house_position)
                rules = self._rules(changed, self._sequencer.state)
                return operator_pb2.ChangeMarketResponse(rules=rules, replayed=outcome.replayed)
        # Nothing would have changed, so nothing did.
        return operator_pb2.ChangeMarketResponse(rules=await self._present(request.symbol))

    async def AddAsset(self, request: operator_pb2.AddAssetRequest, context: Any) -> operator_pb2.AddAssetResponse:
        current_caller().require(PERMISSION)
        outcome = await self._enter(add_asset_command(request, actor_of_caller()), context)
        (asset,) = (event.asset for event in outcome.events if isinstance(event, AssetSet))
        return operator_pb2.AddAssetResponse(asset=_asset(asset, self._sequencer.state), replayed=outcome.replayed)

    async def AddMarket(self, request: operator_pb2.AddMarketRequest, context: Any) -> operator_pb2.AddMarketResponse:
        current_caller().require(PERMISSION)
        assets = self._sequencer.leading_state().assets
        command = add_market_command(request, assets, actor_of_caller())
        outcome = await self._enter(command._replace(reference_price=self._price_for(command.market)), context)
        (added,) = (event for event in outcome.events if isinstance(event, MarketSet))
        # As it was then, though changes may have followed.
        rules = self._rules(MarketState(added.market, version=added.version), self._sequencer.state)
        return operator_pb2.AddMarketResponse(rules=rules, replayed=outcome.replayed)

    async def ResumeMarket(
        self, request: operator_pb2.ResumeMarketRequest, context: Any
    ) -> operator_pb2.ResumeMarketResponse:
        current_caller().require(PERMISSION)
        command = ResumeMarket(actor_of_caller(), request.symbol, market_rules.reason(request.reason))
        await self._enter(command, context)
        return operator_pb2.ResumeMarketResponse(rules=await self._present(request.symbol))

    async def SetUserFees(
        self, request: operator_pb2.SetUserFeesRequest, context: Any
    ) -> operator_pb2.SetUserFeesResponse:
        current_caller().require(PERMISSION)
        await self._enter(market_rules.user_fees_command(request, actor_of_caller()), context)
        return operator_pb2.SetUserFeesResponse()

    async def ListAssets(
        self, _request: operator_pb2.ListAssetsRequest, _context: Any
    ) -> operator_pb2.ListAssetsResponse:
        current_caller().require(PERMISSION)
        return await self._sequencer.read(
            lambda state: operator_pb2.ListAssetsResponse(
                assets=[_asset(asset, state) for _, asset in sorted(state.assets.items())]
            )
        )

    async def FreezeAsset(
        self, request: operator_pb2.FreezeAssetRequest, context: Any
    ) -> operator_pb2.FreezeAssetResponse:
        actor = actor_of_caller(f"freeze:{request.asset}")
        outcome = await self._enter(FreezeAsset(actor, request.asset, market_rules.reason(request.reason)), context)
        return operator_pb2.FreezeAssetResponse(batch=outcome.batch)

    async def UnfreezeAsset(
        self, request: operator_pb2.UnfreezeAssetRequest, context: Any
    ) -> operator_pb2.UnfreezeAssetResponse:
        current_caller().require(PERMISSION)
        command = UnfreezeAsset(actor_of_caller(), request.asset, market_rules.reason(request.reason))
        await self._enter(command, context)
        asset = await self._sequencer.read(lambda state: _asset(state.assets[request.asset], state))
        return operator_pb2.UnfreezeAssetResponse(asset=asset)

    async def _enter(self, command: market_rules.OperatorCommand, context: Any) -> Any:
        return await enter(self._sequencer, self._time, command, context)

    async def _present(self, symbol: str) -> operator_pb2.MarketRules:
        return await self._sequencer.read(lambda state: self._rules(state.markets[symbol], state))

    def _market(self, symbol: str) -> MarketState:
        known = self._sequencer.leading_state().markets.get(symbol)
        if known is None:
            raise UnknownMarket(market=symbol)
        return known

    def _price_for(self, market: Market) -> int:
        """What the market's sources said last; 0 where they said nothing."""
        tick = self._prices.command(market.symbol, self._time.now())
        return tick.price if tick is not None and price_source(market, tick.source) is not None else 0

    def _rules(self, market: MarketState, state: ExchangeState) -> operator_pb2.MarketRules:
        now = self._time.now()
        tick = self._prices.command(market.market.symbol, now)
        return market_rules.rules_message(market, state.assets, now, None if tick is None else tick.price)


def _asset(asset: Asset, state: ExchangeState) -> operator_pb2.AssetState:
    frozen_because = state.frozen_assets.get(asset.code, "")
    return operator_pb2.AssetState(code=asset.code, name=asset.name, frozen_because=frozen_because, scale=asset.scale)
