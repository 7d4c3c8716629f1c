"""The operator's changes: assets and the rules of markets. What open orders or past events rely on stays."""

from trading.domain.accounts import owner_of_user
from trading.domain.commands import ResumeMarket, SetAsset, SetMarket, SetUserFees
from trading.domain.errors import UnknownAsset, UnknownMarket
from trading.domain.events import AssetSet, Event, KeyUsed, MarketSet, TradingResumed, UserFeesSet
from trading.domain.house import price_source
from trading.domain.keys import fingerprint_of, repeat_of_key
from trading.domain.market_errors import (
    InvalidMarket,
    MarketChanged,
    MarketChangeRefused,
    NoReferencePrice,
    UnknownUser,
)
from trading.domain.markets import Market, MarketStatus, check_fee
from trading.domain.outcomes import Decision
from trading.domain.room_for_orders import check_room, leaves_less_room
from trading.domain.state import ExchangeState, MarketState
from trading.domain.transfer_errors import AssetIsFrozen


def set_asset(state: ExchangeState, command: SetAsset) -> Decision:
    asset = command.asset
    known = state.assets.get(asset.code)
    if known == asset:
        return []
    if known is not None and known.scale != asset.scale:
        raise MarketChangeRefused("An asset's scale never changes.", market="", field="scale")
    return [AssetSet(asset, command.actor, command.reason)]


def set_market(state: ExchangeState, command: SetMarket) -> Decision:
    """No event where nothing would change, so that a start can set the default markets each time."""
    market = command.market
    fingerprint = fingerprint_of(command)
    owner = owner_of_user(command.actor.user_id)
    repeat = repeat_of_key(state.keys, owner, command.idempotency_key, fingerprint, state.batch_milliseconds)
    if repeat is not None:
        return repeat
    check_assets(state, market)
    known = state.markets.get(market.symbol)
    version = known.version if known is not None else 0
    if command.expected_version and command.expected_version != version:
        raise MarketChanged(market=market.symbol, expected=command.expected_version, version=version)
    if known is not None:
        if known.market == market:
            return []
        has_orders = any(order.market == market.symbol for order in state.orders.values())
        _check_units(known.market, market, has_orders=has_orders)
        _check_inventory(market, known.house_position)
    _check_rules(known, command)
    events: list[Event] = [MarketSet(market, command.actor, command.reason, version + 1)]
    if command.idempotency_key:
        events.append(KeyUsed(command.actor.user_id, command.idempotency_key, fingerprint, ()))
    return events


def resume_market(state: ExchangeState, command: ResumeMarket) -> Decision:
    """No event where nothing is paused: a repeat changes nothing."""
    market_state = state.markets.get(command.market)
    if market_state is None:
        raise UnknownMarket(market=command.market)
    if market_state.paused_until_milliseconds <= state.batch_milliseconds:
        return []
    return [TradingResumed(command.market, state.batch_milliseconds, command.actor, command.reason)]


def set_user_fees(state: ExchangeState, command: SetUserFees) -> Decision:
    """No event where nothing would change. Raises `UnknownUser` for whoever has no account here: a typing error, or
    somebody who has not paid in yet.
    """
    if command.rates is not None:
        check_fee(command.rates.maker, "maker_fee_basis_points")
        check_fee(command.rates.taker, "taker_fee_basis_points")
    known = state.owners.get(owner_of_user(command.user_id))
    if known is None:
        raise UnknownUser(user_id=command.user_id)
    if known.fee_rates == command.rates:
        return []
    return [UserFeesSet(command.user_id, command.rates, command.actor, command.reason)]


def check_assets(state: ExchangeState, market: Market) -> None:
    """Raises where one is missing, counts in other units, or is frozen while the market trades."""
    for field, code, scale in (
        ("base_asset", market.base, market.base_scale),
        ("quote_asset", market.quote, market.quote_scale),
    ):
        asset = state.assets.get(code)
        if asset is None:
            raise UnknownAsset(asset=code, field=field)
        if asset.scale != scale:
            raise MarketChangeRefused("The scale is not the asset's.", market=market.symbol, field="scale")
        if code in state.frozen_assets and market.status is MarketStatus.TRADING:
            raise AssetIsFrozen(asset=code)


def _check_rules(known: MarketState | None, command: SetMarket) -> None:
    """Of what changes, or is opened: whatever a price has done to the other rules, a market can be closed and its house
    sent away.
    """
    after, before = command.market, known.market if known is not None else None
    is_open = after.status is MarketStatus.TRADING
    if is_open and not after.sources:
        # Without a reference price there is no price band, and no order is taken.
        raise InvalidMarket(
            "A market that trades needs a source of prices.", field="sources", rule="required", given="[]"
        )
    price = command.reference_price or _journaled_price(known, after)
    opens = is_open and (before is None or before.status is not MarketStatus.TRADING)
    if opens and before is not None and not price:
        raise NoReferencePrice(market=after.symbol, sources=tuple(source.name for source in after.sources))
    if opens or before is None or leaves_less_room(before, after):
        check_room(after, price)


def _journaled_price(known: MarketState | None, after: Market) -> int:
    """0 where there is none of a source that the market goes on listening to."""
    reference = known.reference if known is not None else None
    if reference is None or price_source(after, reference.source) is None:
        return 0
    return reference.price


def _check_units(before: Market, after: Market, *, has_orders: bool) -> None:
    # An order off the tick or the lot would make notionals inexact.
    if not has_orders:
        return
    for field, same in (("tick", before.tick == after.tick), ("lot", before.lot == after.lot)):
        if not same:
            raise MarketChangeRefused("Open orders rely on it.", market=after.symbol, field=field)


def _check_inventory(after: Market, house_position: int) -> None:
    """A limit below what the house holds would be broken from the start. An operator who wants it to stop takes its
    levels away.
    """
    if after.house.levels and abs(house_position) > after.house.inventory_limit:
        raise MarketChangeRefused(
            f"The house's position is {after.quantity_text(house_position)}.",
            market=after.symbol, field="house.inventory_limit",
        )  # fmt: skip
