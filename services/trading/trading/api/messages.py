"""The exchange's records as protobuf messages: amounts as decimal strings, times as timestamps."""

from collections.abc import Iterable, Sequence
from functools import lru_cache

from cryptovault.trading.v1 import trading_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from trading.domain.amounts import average_price, format_amount
from trading.domain.events import Event, Traded, TradeSide
from trading.domain.fees import FeeStanding
from trading.domain.identifiers import trade_id
from trading.domain.markets import Asset, FeeTier, Market, MarketStatus
from trading.domain.orders import OrderStatus
from trading.domain.queries import Balance
from trading.domain.state import ExchangeState, MarketState
from trading.journal.history import OrderView, UserStep, side_of

PAUSED = "paused"  # shown on top of the operator's status
_SCALE_OF_UNKNOWN_ASSET = 0
_CACHED_TIMES = 1_024  # the batches that replies, events and open orders speak of
_CACHED_ORDERS = 2_048  # a few batches: replies are built just before the same batch's events


@lru_cache(maxsize=_CACHED_TIMES)
def timestamp(milliseconds: int) -> Timestamp:
    """Not to be changed: it is shared by every message of a batch (embedding a message copies it)."""
    return Timestamp(seconds=milliseconds // 1000, nanos=milliseconds % 1000 * 1_000_000)


def order_message(view: OrderView, market: Market) -> trading_pb2.Order:
    """Not to be changed: an order's reply and its event share it."""
    return _order_message(view, market.base_scale, market.quote_scale, market.quote)


@lru_cache(maxsize=_CACHED_ORDERS)
def _order_message(view: OrderView, base_scale: int, quote_scale: int, quote: str) -> trading_pb2.Order:
    updated = timestamp(view.updated_milliseconds)
    return trading_pb2.Order(
        id=view.order_id,
        user_id=view.user_id,
        client_order_id=view.client_order_id,
        market=view.market,
        side=view.side,
        type=view.order_type,
        status=view.status,
        quantity=format_amount(view.quantity, base_scale) if view.quantity else "",
        quote_quantity=format_amount(view.quote_quantity, quote_scale) if view.quote_quantity else "",
        filled_quantity=format_amount(view.filled_quantity, base_scale),
        filled_quote_quantity=format_amount(view.filled_notional, quote_scale),
        price=format_amount(view.price, quote_scale) if view.price else "",
        average_price=_average(view, base_scale, quote_scale),
        time_in_force=view.time_in_force,
        post_only=view.post_only,
        fees=(
            [trading_pb2.AssetAmount(asset=quote, amount=format_amount(view.fees, quote_scale))] if view.fees else None
        ),
        created_at=timestamp(view.created_milliseconds),
        updated_at=updated,
        # A filled order never changes again, so its last change was its last fill.
        filled_at=updated if view.status is OrderStatus.FILLED else None,
        close_reason=view.close_reason or "",
        batch=view.batch,
        stop_price=format_amount(view.stop_price, quote_scale) if view.stop_price else "",
        expires_at=timestamp(view.expires_milliseconds) if view.expires_milliseconds else None,
        maker_fee_basis_points=view.maker_fee_basis_points,
        taker_fee_basis_points=view.taker_fee_basis_points,
    )


def _average(view: OrderView, base_scale: int, quote_scale: int) -> str:
    if not view.filled_quantity:
        return ""
    average = average_price(view.filled_notional, view.filled_quantity, base_scale)
    return format_amount(average, quote_scale)


def fill_message(trade: Traded, side: TradeSide, market: Market, time_milliseconds: int) -> trading_pb2.Fill:
    return trading_pb2.Fill(
        id=trade_id(time_milliseconds, trade.trade_number),
        order_id=side.order_id,
        market=trade.market,
        side="buy" if side is trade.buyer else "sell",
        price=format_amount(trade.price, market.quote_scale),
        quantity=format_amount(trade.quantity, market.base_scale),
        fee=format_amount(side.fee, market.quote_scale),
        fee_asset=market.quote,
        liquidity=side.liquidity,
        time=timestamp(time_milliseconds),
    )


def fills_of(order_id: str, events: Iterable[Event], market: Market, time_milliseconds: int) -> list[trading_pb2.Fill]:
    fills = []
    for event in events:
        if type(event) is Traded:
            side = side_of(event, order_id)
            if side is not None:
                fills.append(fill_message(event, side, market, time_milliseconds))
    return fills


def balance_message(balance: Balance, assets: dict[str, Asset]) -> trading_pb2.Balance:
    asset = assets.get(balance.asset)
    scale = asset.scale if asset is not None else _SCALE_OF_UNKNOWN_ASSET
    return trading_pb2.Balance(
        asset=balance.asset,
        available=format_amount(balance.available, scale),
        held=format_amount(balance.held, scale),
    )


def user_event_message(
    step: UserStep, state: ExchangeState, *, batch: int, time_milliseconds: int
) -> trading_pb2.UserEvent:
    view = step.order
    market = state.markets[view.market].market if view is not None else None
    return trading_pb2.UserEvent(
        user_id=step.user_id,
        sequence=step.sequence,
        batch=batch,
        time=timestamp(time_milliseconds),
        order=order_message(view, market) if view is not None and market is not None else None,
        fills=(
            [fill_message(step.trade, step.side, market, time_milliseconds)]
            if step.trade is not None and step.side is not None and market is not None
            else None
        ),
        balances=[balance_message(balance, state.assets) for balance in step.balances],
    )


def public_trades(
    events: Sequence[Event], state: ExchangeState, time_milliseconds: int
) -> list[trading_pb2.PublicTrade]:
    trades = []
    for event in events:
        if type(event) is Traded:
            market = state.markets[event.market].market
            trades.append(
                trading_pb2.PublicTrade(
                    id=trade_id(time_milliseconds, event.trade_number),
                    market=event.market,
                    price=format_amount(event.price, market.quote_scale),
                    quantity=format_amount(event.quantity, market.base_scale),
                    taker_side=event.taker_side,
                    time=timestamp(time_milliseconds),
                    sequence=event.tape_sequence,
                )
            )
    return trades


def market_message(state: MarketState, assets: dict[str, Asset], now_milliseconds: int) -> trading_pb2.Market:
    market = state.market
    base = assets.get(market.base)
    paused = market.status is MarketStatus.TRADING and not state.trades_at(now_milliseconds)
    breaker = market.breaker
    return trading_pb2.Market(
        symbol=market.symbol,
        base_asset=market.base,
        quote_asset=market.quote,
        base_name=base.name if base is not None else market.base,
        status=PAUSED if paused else market.status,
        tick=market.price_text(market.tick),
        lot=market.quantity_text(market.lot),
        min_notional=market.quote_text(market.minimum_notional),
        max_quantity=market.quantity_text(market.maximum_quantity),
        maker_fee_basis_points=market.maker_fee_basis_points,
        taker_fee_basis_points=market.taker_fee_basis_points,
        price_band_basis_points=market.price_band_basis_points,
        slippage_cap_basis_points=market.slippage_cap_basis_points,
        max_open_orders=market.maximum_open_orders,
        fee_tiers=[fee_tier_message(tier, market) for tier in market.fee_tiers],
        circuit_breaker=trading_pb2.CircuitBreaker(**breaker._asdict()) if breaker.move_basis_points else None,
        paused_until=timestamp(state.paused_until_milliseconds) if paused else None,
    )


def fee_tier_message(tier: FeeTier, market: Market) -> trading_pb2.FeeTier:
    return trading_pb2.FeeTier(
        volume=market.quote_text(tier.volume),
        maker_fee_basis_points=tier.maker_fee_basis_points,
        taker_fee_basis_points=tier.taker_fee_basis_points,
    )


def fees_message(standing: FeeStanding, market: Market) -> trading_pb2.MarketFees:
    next_tier = standing.next_tier
    return trading_pb2.MarketFees(
        market=market.symbol,
        quote_asset=market.quote,
        maker_fee_basis_points=standing.rates.maker,
        taker_fee_basis_points=standing.rates.taker,
        tier=standing.tier,
        volume_30d=market.quote_text(standing.volume),
        overridden=standing.overridden,
        next_tier=fee_tier_message(next_tier, market) if next_tier is not None else None,
    )
