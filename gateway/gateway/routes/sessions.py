"""Where somebody is signed in, and how to close the door."""

from typing import TYPE_CHECKING

from cryptovault.auth.v1 import auth_pb2 as pb
from starlette.requests import Request
from starlette.responses import Response

from gateway.admission.policy import Access, LimitClass
from gateway.admission.revocations import SeenRevocations
from gateway.edge.bodies import read_optional_body
from gateway.edge.facts import facts_of
from gateway.edge.queries import read_path
from gateway.edge.replies import empty_reply, json_reply
from gateway.edge.shedding import Urgency
from gateway.errors import unauthenticated
from gateway.routes.endpoint import API, Endpoint
from gateway.routes.identity import clear_cookies
from gateway.schemas import identity as schemas
from gateway.views.identity import session_view

if TYPE_CHECKING:
    from cryptovault.auth.v1.auth_pb2_grpc import AuthServiceAsyncStub  # exists for type checkers only

_TAG = "identity"


class SessionRoutes:
    def __init__(self, *, auth: "AuthServiceAsyncStub", revocations: SeenRevocations) -> None:
        self._auth = auth
        self._revocations = revocations

    def endpoints(self) -> list[Endpoint]:
        return [
            Endpoint(
                method="GET", path=f"{API}/auth/sessions", handler=self.list_sessions, access=Access.USER,
                limit=LimitClass.ACCOUNT, operation_id="listSessions", summary="Where you are signed in", tag=_TAG,
                description="The session used last comes first.", reply=schemas.SessionPage,
            ),
            Endpoint(
                method="DELETE", path=f"{API}/auth/sessions/{{session_id}}", handler=self.end_session,
                access=Access.USER, limit=LimitClass.SESSION, operation_id="endSession", tag=_TAG,
                summary="Sign a device out", path_fields=schemas.SessionPath, status=204, errors=(404,),
            ),
            Endpoint(
                method="POST", path=f"{API}/auth/freeze", handler=self.freeze, access=Access.OPTIONAL,
                limit=LimitClass.AUTH, shed_as=Urgency.CANCEL, operation_id="freezeAccount",
                summary="Freeze your account", tag=_TAG,
                description="By the token of the link in a mail, or signed in. All sessions end and nobody can sign in "
                "until a new password is set by a code to your mailbox (/auth/password/forgot).",
                body=schemas.Freeze, body_required=False, status=202, reply=schemas.Accepted, errors=(401, 403),
                sets_cookies=True, body_example={},
            ),
        ]  # fmt: skip

    async def list_sessions(self, request: Request) -> Response:
        answer = await self._auth.ListSessions(pb.ListSessionsRequest())
        current = facts_of(request).session_id
        return json_reply(
            {"items": [session_view(one, current=one.id == current) for one in answer.sessions], "next_cursor": None}
        )

    async def end_session(self, request: Request) -> Response:
        session_id = read_path(request, schemas.SessionPath).session_id
        await self._auth.EndSession(pb.EndSessionRequest(session_id=session_id))
        self._revocations.add(session_id)
        if session_id == facts_of(request).session_id:
            clear_cookies(request)
        return empty_reply()

    async def freeze(self, request: Request) -> Response:
        body = await read_optional_body(request, schemas.Freeze)
        session_id = facts_of(request).session_id
        if body.token is None and session_id is None:
            raise unauthenticated("There is no link and no session that says which account.", reason="not_signed_in")
        await self._auth.FreezeAccount(pb.FreezeAccountRequest(token=body.token or ""))
        if session_id is not None and body.token is None:
            self._revocations.add(session_id)
            clear_cookies(request)
        return json_reply({"status": "accepted"}, status=202)
