"""What an operator adds to the exchange, as commands."""

from collections.abc import Mapping
from dataclasses import replace

from chassis.errors import InvalidArgument
from cryptovault.trading.v1 import operator_pb2
from google.protobuf.json_format import MessageToDict
from orjson import OPT_SORT_KEYS, dumps

from trading.api.market_rules import changed_fields, idempotency_key, reason
from trading.clients.price_stream import PRICES_ARE_IN
from trading.domain.commands import Actor, AddAsset, AddMarket
from trading.domain.default_markets import new_market
from trading.domain.errors import UnknownAsset
from trading.domain.markets import Asset

# Nothing stands for these: they depend on what a coin costs.
_NEEDED = ("tick", "lot", "min_notional", "max_quantity")


def add_asset_command(request: operator_pb2.AddAssetRequest, actor: Actor) -> AddAsset:
    """Raises `InvalidArgument` or `InvalidMarket`."""
    if not request.HasField("scale"):
        raise InvalidArgument("How many decimals its smallest unit has.", field="scale", rule="required")
    asset = Asset(request.code, request.name, request.scale)
    return AddAsset(actor, asset, reason(request.reason), idempotency_key(request.idempotency_key))


def add_market_command(request: operator_pb2.AddMarketRequest, assets: Mapping[str, Asset], actor: Actor) -> AddMarket:
    """Raises `InvalidArgument`, `InvalidMarket`, `UnknownAsset` or a refusal of a number."""
    base = _asset(request.base_asset, "base_asset", assets)
    quote = _asset(request.quote_asset, "quote_asset", assets)
    if quote.code != PRICES_ARE_IN:
        # It would have no reference price, so nobody could ever trade in it.
        raise InvalidArgument(
            f"Prices come in {PRICES_ARE_IN}: no other asset can be the quote.",
            field="quote_asset", rule="priced_in", allowed=PRICES_ARE_IN,
        )  # fmt: skip
    for field in _NEEDED:
        if not request.rules.HasField(field):  # type: ignore[arg-type]  # names of the message
            raise InvalidArgument("A new market needs it.", field=field, rule="required")
    empty = new_market(base, quote)
    asked = {
        "added": {"base_asset": base.code, "quote_asset": quote.code},
        **MessageToDict(request.rules, preserving_proto_field_name=True),
    }
    return AddMarket(
        actor,
        replace(empty, **changed_fields(request.rules, empty)),
        reason(request.reason),
        idempotency_key(request.idempotency_key),
        dumps(asked, option=OPT_SORT_KEYS).decode(),
    )


def _asset(code: str, field: str, assets: Mapping[str, Asset]) -> Asset:
    asset = assets.get(code)
    if asset is None:
        raise UnknownAsset(asset=code, field=field)
    return asset
