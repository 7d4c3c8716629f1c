"""Assets as operators see them: which are frozen, why, and how they go on."""

from typing import TYPE_CHECKING, Any

from cryptovault.trading.v1 import operator_pb2 as pb
from starlette.requests import Request
from starlette.responses import Response

from gateway.admission.policy import Access, LimitClass
from gateway.edge.bodies import read_body
from gateway.edge.facts import facts_of
from gateway.edge.idempotency import idempotency_key
from gateway.edge.queries import read_path
from gateway.edge.replies import json_reply
from gateway.routes.endpoint import API, Endpoint
from gateway.routes.markets import Assets
from gateway.schemas import admin as schemas
from gateway.schemas import queries

if TYPE_CHECKING:
    from cryptovault.trading.v1.operator_pb2_grpc import (
        TradingOperatorServiceAsyncStub,  # exists for type checkers only
    )

_TAG = "admin"
_PERMISSION = "markets:write"


class AdminAssetRoutes:
    def __init__(self, *, operator: "TradingOperatorServiceAsyncStub", assets: Assets) -> None:
        self._operator = operator
        self._assets = assets

    def endpoints(self) -> list[Endpoint]:
        return [
            Endpoint(
                method="GET", path=f"{API}/admin/assets", handler=self.list_assets, access=Access.USER,
                limit=LimitClass.ADMIN, permission=_PERMISSION, operation_id="listAssetStates", tag=_TAG,
                summary="Every asset, and why it is frozen where it is", reply=schemas.AssetStatePage,
            ),
            Endpoint(
                method="POST", path=f"{API}/admin/assets", handler=self.add, access=Access.USER,
                limit=LimitClass.ADMIN, permission=_PERMISSION, operation_id="addAsset", tag=_TAG,
                summary="List an asset that there is not yet",
                description="It can be held at once; it is traded where POST /admin/markets adds a market of it, and "
                "has a price where market-data has a source for it.",
                body=schemas.AddAsset, reply=schemas.AssetState, status=201, errors=(409, 422), idempotent=True,
                body_example={"code": "TRX", "name": "TRON", "scale": 6, "reason": "asked for by many"},
            ),
            Endpoint(
                method="POST", path=f"{API}/admin/assets/{{code}}/unfreeze", handler=self.unfreeze, access=Access.USER,
                limit=LimitClass.ADMIN, permission=_PERMISSION, operation_id="unfreezeAsset", tag=_TAG,
                summary="Let withdrawals of an asset go on, after somebody has looked",
                description="Its markets stay `cancel_only`: open each with PATCH /admin/markets/{symbol}. Does "
                "nothing where the asset is not frozen.",
                path_fields=queries.AssetPath, body=schemas.UnfreezeAsset, reply=schemas.AssetState, errors=(404,),
                body_example={"reason": "the projector's memory was corrupt, the journal is sound"},
            ),
        ]  # fmt: skip

    async def list_assets(self, _request: Request) -> Response:
        answer = await self._operator.ListAssets(pb.ListAssetsRequest())
        return json_reply({"items": [_view(asset) for asset in answer.assets], "next_cursor": None})

    async def add(self, request: Request) -> Response:
        key = idempotency_key(request)
        body = await read_body(request, schemas.AddAsset)
        with self._assets.changing():
            answer = await self._operator.AddAsset(pb.AddAssetRequest(**body.model_dump(), idempotency_key=key or ""))
        if answer.replayed and key is not None:
            facts_of(request).reply_with("idempotency-replayed", "true")
        return json_reply(_view(answer.asset), status=201)

    async def unfreeze(self, request: Request) -> Response:
        path = read_path(request, queries.AssetPath)
        body = await read_body(request, schemas.UnfreezeAsset)
        answer = await self._operator.UnfreezeAsset(pb.UnfreezeAssetRequest(asset=path.code, reason=body.reason))
        return json_reply(_view(answer.asset))


def _view(asset: pb.AssetState) -> dict[str, Any]:
    return {
        "code": asset.code,
        "name": asset.name,
        "scale": asset.scale,
        "frozen_because": asset.frozen_because or None,
    }
