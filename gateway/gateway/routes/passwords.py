"""Passwords: forgotten, set anew, changed."""

from typing import TYPE_CHECKING

from cryptovault.auth.v1 import auth_pb2 as pb
from starlette.requests import Request
from starlette.responses import Response

from gateway.admission.policy import Access, LimitClass
from gateway.edge.bodies import read_body
from gateway.edge.replies import json_reply
from gateway.routes.endpoint import API, Endpoint
from gateway.routes.identity import HASHING_DEADLINE_SECONDS
from gateway.schemas import identity as schemas

if TYPE_CHECKING:
    from cryptovault.auth.v1.auth_pb2_grpc import AuthServiceAsyncStub  # exists for type checkers only

_TAG = "identity"
_EXAMPLE_EMAIL = "ada@example.com"
_EXAMPLE_PASSWORD = "a new battery staple"  # noqa: S105 - documentation


class PasswordRoutes:
    def __init__(self, *, auth: "AuthServiceAsyncStub") -> None:
        self._auth = auth

    def endpoints(self) -> list[Endpoint]:
        return [
            Endpoint(
                method="POST", path=f"{API}/auth/password/forgot", handler=self.forgot, access=Access.PUBLIC,
                limit=LimitClass.AUTH, operation_id="forgotPassword", tag=_TAG,
                summary="Send a code for a new password",
                description="Answers the same whether or not the address is known, and however often it is asked.",
                body=schemas.ForgotPassword, status=202, reply=schemas.Accepted,
                body_example={"email": _EXAMPLE_EMAIL},
            ),
            Endpoint(
                method="POST", path=f"{API}/auth/password/reset", handler=self.reset, access=Access.PUBLIC,
                limit=LimitClass.AUTH, operation_id="resetPassword", tag=_TAG,
                summary="Set a new password by the code from the mail",
                description="Ends all sessions. Five tries per code.",
                body=schemas.ResetPassword, status=202, reply=schemas.Accepted, errors=(401,),
                body_example={"email": _EXAMPLE_EMAIL, "code": "123456", "new_password": _EXAMPLE_PASSWORD},
            ),
            Endpoint(
                method="POST", path=f"{API}/auth/password/change", handler=self.change, access=Access.USER,
                limit=LimitClass.AUTH, operation_id="changePassword", summary="Change your password", tag=_TAG,
                description="Ends your other sessions.",
                body=schemas.ChangePassword, status=202, reply=schemas.Accepted,
                body_example={"current_password": "correct horse battery", "new_password": _EXAMPLE_PASSWORD},
            ),
        ]  # fmt: skip

    async def forgot(self, request: Request) -> Response:
        body = await read_body(request, schemas.ForgotPassword)
        await self._auth.RequestPasswordReset(pb.RequestPasswordResetRequest(email=body.email))
        return _accepted()

    async def reset(self, request: Request) -> Response:
        body = await read_body(request, schemas.ResetPassword)
        await self._auth.ResetPassword(
            pb.ResetPasswordRequest(email=body.email, code=body.code, new_password=body.new_password),
            timeout=HASHING_DEADLINE_SECONDS,
        )
        return _accepted()

    async def change(self, request: Request) -> Response:
        body = await read_body(request, schemas.ChangePassword)
        await self._auth.ChangePassword(
            pb.ChangePasswordRequest(current_password=body.current_password, new_password=body.new_password),
            timeout=HASHING_DEADLINE_SECONDS,
        )
        return _accepted()


def _accepted() -> Response:
    return json_reply({"status": "accepted"}, status=202)
