"""The public keys that verify our access tokens."""

from starlette.requests import Request
from starlette.responses import Response

from gateway.admission.policy import Access, LimitClass
from gateway.admission.signing_keys import KeySource
from gateway.edge.replies import ready_reply
from gateway.routes.endpoint import Endpoint
from gateway.schemas.identity import KeySet

_CACHE_SECONDS = 300


class KeyRoutes:
    def __init__(self, keys: KeySource) -> None:
        self._keys = keys

    def endpoints(self) -> list[Endpoint]:
        return [
            Endpoint(
                method="GET", path="/.well-known/jwks.json", handler=self.get_keys, access=Access.PUBLIC,
                limit=LimitClass.MARKET_DATA, operation_id="getSigningKeys", tag="identity",
                summary="The keys that verify access tokens, as a JSON Web Key Set", reply=KeySet,
            )
        ]  # fmt: skip

    async def get_keys(self, _request: Request) -> Response:
        response = ready_reply(await self._keys.document())
        response.headers["cache-control"] = f"public, max-age={_CACHE_SECONDS}"
        return response
