"""The operator's additions: an asset, a market. What is there already is changed by `set_market`, never added again."""

from trading.domain.accounts import owner_of_user
from trading.domain.commands import AddAsset, AddMarket
from trading.domain.events import AssetSet, Event, KeyUsed, MarketSet
from trading.domain.keys import fingerprint_of, repeat_of_key
from trading.domain.market_errors import AssetExists, InvalidMarket, MarketExists, TooManyListed
from trading.domain.markets import Market, MarketStatus
from trading.domain.outcomes import Decision, Repeat
from trading.domain.room_for_orders import check_room
from trading.domain.set_market import check_assets
from trading.domain.state import ExchangeState

# Every start, snapshot and list of markets goes through all of them.
ASSETS_MAX = 500
MARKETS_MAX = 500


def add_asset(state: ExchangeState, command: AddAsset) -> Decision:
    fingerprint = fingerprint_of(command)
    repeat = _repeat(state, command, fingerprint)
    if repeat is not None:
        return repeat
    asset = command.asset
    known = state.assets.get(asset.code)
    if known is not None:
        raise AssetExists(asset=known.code, name=known.name, scale=known.scale)
    if not asset.name.isprintable() or asset.name != asset.name.strip():
        # No rule of `Asset` itself: what journals hold must stay readable.
        raise InvalidMarket("A name has no spaces around it, and nothing unprintable.", field="name", rule="printable")
    if len(state.assets) >= ASSETS_MAX:
        raise TooManyListed(what="assets", limit=ASSETS_MAX)
    return _with_key(command, fingerprint, AssetSet(asset, command.actor, command.reason))


def add_market(state: ExchangeState, command: AddMarket) -> Decision:
    """A new market is closed: somebody looks at its rules and its price before anybody trades."""
    fingerprint = fingerprint_of(command)
    repeat = _repeat(state, command, fingerprint)
    if repeat is not None:
        return repeat
    market = command.market
    known = state.markets.get(market.symbol)
    if known is not None:
        raise MarketExists(market=market.symbol, version=known.version)
    check_assets(state, market)
    _check_rules(market)
    check_room(market, command.reference_price)
    if len(state.markets) >= MARKETS_MAX:
        raise TooManyListed(what="markets", limit=MARKETS_MAX)
    return _with_key(command, fingerprint, MarketSet(market, command.actor, command.reason, 1))


def _check_rules(market: Market) -> None:
    """What no new market may lack, though one that operators changed later may."""
    if market.status is MarketStatus.TRADING:
        raise InvalidMarket(
            "A new market is opened by a change of its own.",
            field="status", rule="starts_closed", given=market.status, nearest=MarketStatus.CANCEL_ONLY,
        )  # fmt: skip
    if not market.sources:
        # Without a reference price there is no price band, and no order is taken.
        raise InvalidMarket("A market needs a source of prices.", field="sources", rule="required", given="[]")
    house = market.house
    if house.levels and house.inventory_limit < house.level_quantity:
        level = market.quantity_text(house.level_quantity)
        raise InvalidMarket(
            f"One level of the house is {level}, more than it may hold.",
            field="house.inventory_limit", rule="at_least_a_level",
            limit=level, given=market.quantity_text(house.inventory_limit), nearest=level,
        )  # fmt: skip


def _repeat(state: ExchangeState, command: AddAsset | AddMarket, fingerprint: str) -> Repeat | None:
    owner = owner_of_user(command.actor.user_id)
    return repeat_of_key(state.keys, owner, command.idempotency_key, fingerprint, state.batch_milliseconds)


def _with_key(command: AddAsset | AddMarket, fingerprint: str, event: AssetSet | MarketSet) -> list[Event]:
    if not command.idempotency_key:
        return [event]
    return [event, KeyUsed(command.actor.user_id, command.idempotency_key, fingerprint, ())]
