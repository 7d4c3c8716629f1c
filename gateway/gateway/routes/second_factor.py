"""The second factor: set up, on, off, recovery codes, and the step-up that some routes demand."""

from typing import TYPE_CHECKING

from cryptovault.auth.v1 import auth_pb2 as pb
from starlette.requests import Request
from starlette.responses import Response

from gateway.admission.policy import Access, LimitClass
from gateway.edge.bodies import read_body
from gateway.edge.replies import empty_reply, json_reply
from gateway.routes.endpoint import API, Endpoint
from gateway.routes.identity import HASHING_DEADLINE_SECONDS
from gateway.schemas import identity as schemas
from gateway.views.times import time_text

if TYPE_CHECKING:
    from cryptovault.auth.v1.auth_pb2_grpc import AuthServiceAsyncStub  # exists for type checkers only

_TAG = "identity"
_EXAMPLE = {"code": "123456"}


class SecondFactorRoutes:
    def __init__(self, *, auth: "AuthServiceAsyncStub") -> None:
        self._auth = auth

    def endpoints(self) -> list[Endpoint]:
        return [
            Endpoint(
                method="POST", path=f"{API}/auth/2fa/setup", handler=self.set_up, access=Access.USER,
                limit=LimitClass.AUTH, operation_id="setUpTwoFactor", summary="A secret for your authenticator app",
                tag=_TAG,
                description="It counts once a code of it was shown to /auth/2fa/enable; a new one replaces it.",
                reply=schemas.ProposedSecret, errors=(409,),
            ),
            Endpoint(
                method="POST", path=f"{API}/auth/2fa/enable", handler=self.enable, access=Access.USER,
                limit=LimitClass.AUTH, operation_id="enableTwoFactor", summary="Switch two-factor sign-in on", tag=_TAG,
                description="By a code of the app and your password. Ends your other sessions. The reply holds ten "
                "recovery codes.",
                body=schemas.EnableTwoFactor, reply=schemas.RecoveryCodes, errors=(409,),
                body_example={**_EXAMPLE, "password": "correct horse battery"},
            ),
            Endpoint(
                method="POST", path=f"{API}/auth/2fa/disable", handler=self.disable, access=Access.USER,
                limit=LimitClass.AUTH, operation_id="disableTwoFactor", summary="Switch two-factor sign-in off",
                tag=_TAG, body=schemas.ShowSecondFactor, status=204, errors=(409,), body_example=_EXAMPLE,
            ),
            Endpoint(
                method="POST", path=f"{API}/auth/2fa/recovery-codes", handler=self.renew, access=Access.USER,
                limit=LimitClass.AUTH, operation_id="renewRecoveryCodes", summary="Ten new recovery codes", tag=_TAG,
                description="The old ones no longer work.",
                body=schemas.ShowSecondFactor, reply=schemas.RecoveryCodes, errors=(409,), body_example=_EXAMPLE,
            ),
            Endpoint(
                method="POST", path=f"{API}/auth/step-up", handler=self.step_up, access=Access.USER,
                limit=LimitClass.AUTH, operation_id="stepUp", summary="Show your second factor once more", tag=_TAG,
                description="Opens this session for five minutes for what otherwise answers 403 `step_up_required`.",
                body=schemas.ShowSecondFactor, reply=schemas.SteppedUp, errors=(409,), body_example=_EXAMPLE,
            ),
        ]  # fmt: skip

    async def set_up(self, _request: Request) -> Response:
        answer = await self._auth.SetUpSecondFactor(pb.SetUpSecondFactorRequest())
        return json_reply({"secret": answer.secret, "otpauth_uri": answer.uri, "qr_rows": list(answer.qr_rows)})

    async def enable(self, request: Request) -> Response:
        body = await read_body(request, schemas.EnableTwoFactor)
        answer = await self._auth.EnableSecondFactor(
            pb.EnableSecondFactorRequest(code=body.code, password=body.password), timeout=HASHING_DEADLINE_SECONDS
        )
        return json_reply({"recovery_codes": list(answer.recovery_codes)})

    async def disable(self, request: Request) -> Response:
        await self._auth.DisableSecondFactor(pb.DisableSecondFactorRequest(code=await _code(request)))
        return empty_reply()

    async def renew(self, request: Request) -> Response:
        answer = await self._auth.RenewRecoveryCodes(pb.RenewRecoveryCodesRequest(code=await _code(request)))
        return json_reply({"recovery_codes": list(answer.recovery_codes)})

    async def step_up(self, request: Request) -> Response:
        answer = await self._auth.StepUp(pb.StepUpRequest(code=await _code(request)))
        return json_reply({"expires_at": time_text(answer.expires_at)})


async def _code(request: Request) -> str:
    return (await read_body(request, schemas.ShowSecondFactor)).code
