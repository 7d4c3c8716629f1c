"""Keys for programs: made, listed, ended by people; asked about by the programs themselves."""

from datetime import datetime
from typing import TYPE_CHECKING

from cryptovault.auth.v1 import auth_pb2 as pb
from google.protobuf.timestamp_pb2 import Timestamp
from starlette.requests import Request
from starlette.responses import Response

from gateway.admission.policy import Access, LimitClass
from gateway.edge.bodies import read_body
from gateway.edge.facts import facts_of
from gateway.edge.queries import read_path
from gateway.edge.replies import empty_reply, json_reply
from gateway.errors import invalid
from gateway.routes.endpoint import API, Endpoint
from gateway.schemas import api_keys as schemas
from gateway.views.identity import api_key_view

if TYPE_CHECKING:
    from cryptovault.auth.v1.auth_pb2_grpc import AuthServiceAsyncStub  # exists for type checkers only

_TAG = "api keys"


class ApiKeyRoutes:
    def __init__(self, *, auth: "AuthServiceAsyncStub") -> None:
        self._auth = auth

    def endpoints(self) -> list[Endpoint]:
        return [
            Endpoint(
                method="POST", path=f"{API}/api-keys", handler=self.create, access=Access.USER, limit=LimitClass.AUTH,
                permission="api-keys:write", operation_id="createApiKey", summary="Make an API key",
                tag=_TAG, description="The reply holds the secret, this once. Needs a second factor shown within the "
                "last five minutes (/auth/step-up).",
                body=schemas.CreateApiKey, status=201, reply=schemas.CreatedApiKey, errors=(409,),
                body_example={"name": "bot", "scopes": ["read", "trade"], "networks": ["203.0.113.0/24"]},
            ),
            Endpoint(
                method="GET", path=f"{API}/api-keys", handler=self.list_keys, access=Access.USER,
                limit=LimitClass.ACCOUNT, permission="api-keys:write", operation_id="listApiKeys",
                summary="Your API keys, newest first", tag=_TAG, reply=schemas.ApiKeyPage,
            ),
            Endpoint(
                method="GET", path=f"{API}/api-keys/self", handler=self.describe_self, access=Access.USER,
                limit=LimitClass.ACCOUNT, permission="api-keys:read", by_key_only=True,
                operation_id="getOwnApiKey", summary="The key that signed this request", tag=_TAG, reply=schemas.ApiKey,
            ),
            Endpoint(
                method="DELETE", path=f"{API}/api-keys/{{key_id}}", handler=self.delete, access=Access.USER,
                limit=LimitClass.ACCOUNT, permission="api-keys:write", step_up=False, operation_id="deleteApiKey",
                summary="End an API key", tag=_TAG, path_fields=schemas.ApiKeyPath, status=204, errors=(404,),
            ),
        ]  # fmt: skip

    async def create(self, request: Request) -> Response:
        body = await read_body(request, schemas.CreateApiKey)
        answer = await self._auth.CreateApiKey(
            pb.CreateApiKeyRequest(
                name=body.name, scopes=body.scopes, networks=body.networks, expires_at=_moment(body.expires_at)
            )
        )
        return json_reply({**api_key_view(answer.key), "secret": answer.secret}, status=201)

    async def list_keys(self, _request: Request) -> Response:
        answer = await self._auth.ListApiKeys(pb.ListApiKeysRequest())
        return json_reply({"items": [api_key_view(key) for key in answer.keys], "next_cursor": None})

    async def describe_self(self, request: Request) -> Response:
        return json_reply(api_key_view(facts_of(request).signing_key()))

    async def delete(self, request: Request) -> Response:
        await self._auth.DeleteApiKey(pb.DeleteApiKeyRequest(key_id=read_path(request, schemas.ApiKeyPath).key_id))
        return empty_reply()


def _moment(text: str | None) -> Timestamp | None:
    if text is None:
        return None
    timestamp = Timestamp()
    try:
        timestamp.FromDatetime(datetime.fromisoformat(text))
    except ValueError:
        raise invalid("expires_at is no moment in time.", field="expires_at", rule="rfc3339_utc", value=text) from None
    return timestamp
