"""A stand-in for auth: it signs real tokens."""

import json
from dataclasses import dataclass, field
from typing import Any

from chassis.deadlines import bounded
from chassis.errors import ErrorKind, RemoteError
from chassis.identity import Caller, current_caller
from cryptovault.auth.v1 import auth_pb2, auth_pb2_grpc
from facts import AUDIENCE, ISSUER, KEY, KEY_PERMISSIONS, KEY_SECRET, NOW, ORDER, PERMISSIONS, SESSION, USER
from google.protobuf.timestamp_pb2 import Timestamp
from joserfc import jwt
from joserfc.jwk import OKPKey

STEP_UP_SECONDS = 300  # as auth's


def new_key() -> OKPKey:
    return OKPKey.generate_key("Ed25519")


@dataclass
class Minter:
    """Signs access tokens as auth does; any claim can be overridden, None removes it."""

    key: OKPKey = field(default_factory=new_key)

    @property
    def key_id(self) -> str:
        return self.key.thumbprint()

    def claims(self, now: int, **changes: Any) -> dict[str, Any]:
        claims: dict[str, Any] = {
            "iss": ISSUER, "aud": AUDIENCE, "sub": USER, "type": "access", "iat": now, "exp": now + 1800,
            "jti": "token-1", "sid": SESSION, "scope": " ".join(PERMISSIONS), **changes,
        }  # fmt: skip
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, now: int, **changes: Any) -> str:
        header = {"alg": "Ed25519", "typ": "JWT", "kid": self.key_id}
        return jwt.encode(header, self.claims(now, **changes), self.key, algorithms=["Ed25519"])

    def key_set(self) -> str:
        entry = {**self.key.as_dict(private=False), "kid": self.key_id, "use": "sig", "alg": "Ed25519"}
        return json.dumps({"keys": [entry]})


def api_key(key_id: str = KEY, **changes: Any) -> auth_pb2.ApiKey:
    fields: dict[str, Any] = {"name": "bot", "scopes": ["read", "trade"], "created_at": NOW, "user_id": USER, **changes}
    return auth_pb2.ApiKey(id=key_id, **fields)


class Auth(auth_pb2_grpc.AuthServiceServicer):
    def __init__(self, minter: Minter, now: Any) -> None:
        self.minter = minter
        self.now = now
        self.reset()

    def reset(self) -> None:
        self.callers: list[Caller] = []
        self.requests: list[Any] = []
        # Seconds that the gateway gave for each.
        self.deadlines: list[float] = []
        self.error: Exception | None = None
        self.key_requests = 0
        self.found_keys: list[str] = []
        self.revoked: set[str] = set()
        self.audit_entries: list[auth_pb2.AuditEntry] = []
        # Session -> until when a second factor that it has shown counts as fresh.
        self.stepped_up_until: dict[str, int] = {}
        self.device_token = "device-secret-1"
        found = auth_pb2.FindApiKeyResponse(key=api_key(), secret=KEY_SECRET, permissions=KEY_PERMISSIONS)
        self.api_keys = {KEY: found}

    def _note(self, request: Any) -> None:
        self.callers.append(current_caller())
        self.requests.append(request)
        self.deadlines.append(bounded(3600))
        if self.error is not None:
            raise self.error

    def user(self) -> auth_pb2.User:
        return auth_pb2.User(
            id=USER, email="ada@example.com", name="Ada", email_verified=True, created_at=NOW, roles=["user"],
            permissions=PERMISSIONS,
        )  # fmt: skip

    def session(self) -> auth_pb2.Session:
        return auth_pb2.Session(
            id=SESSION, access_token=self.minter.token(self.now()), refresh_token="refresh-secret-2",
            device_token=self.device_token, access_expires_in=1800, refresh_expires_in=604_800, user=self.user(),
        )  # fmt: skip

    async def SignUp(self, request: Any, context: Any) -> auth_pb2.SignUpResponse:  # noqa: N802
        self._note(request)
        return auth_pb2.SignUpResponse()

    async def ResendCode(self, request: Any, context: Any) -> auth_pb2.ResendCodeResponse:  # noqa: N802
        self._note(request)
        return auth_pb2.ResendCodeResponse()

    async def VerifyEmail(self, request: Any, context: Any) -> auth_pb2.VerifyEmailResponse:  # noqa: N802
        self._note(request)
        return auth_pb2.VerifyEmailResponse(session=self.session())

    async def LogIn(self, request: Any, context: Any) -> auth_pb2.LogInResponse:  # noqa: N802
        self._note(request)
        return auth_pb2.LogInResponse(session=self.session())

    async def CreateApiKey(self, request: Any, context: Any) -> auth_pb2.CreateApiKeyResponse:  # noqa: N802
        self._note(request)
        key = api_key(name=request.name, scopes=request.scopes, networks=request.networks)
        return auth_pb2.CreateApiKeyResponse(key=key, secret=KEY_SECRET)

    async def ListApiKeys(self, request: Any, context: Any) -> auth_pb2.ListApiKeysResponse:  # noqa: N802
        self._note(request)
        return auth_pb2.ListApiKeysResponse(keys=[api_key(expires_at=NOW, last_used_at=NOW)])

    async def DeleteApiKey(self, request: Any, context: Any) -> auth_pb2.DeleteApiKeyResponse:  # noqa: N802
        self._note(request)
        return auth_pb2.DeleteApiKeyResponse()

    async def FindApiKey(self, request: Any, context: Any) -> auth_pb2.FindApiKeyResponse:  # noqa: N802
        self.found_keys.append(request.key_id)
        if request.key_id not in self.api_keys:
            raise RemoteError(kind=ErrorKind.NOT_FOUND, reason="api_key_not_found", message="There is no such key.")
        return self.api_keys[request.key_id]

    async def ListRevoked(self, request: Any, context: Any) -> auth_pb2.ListRevokedResponse:  # noqa: N802
        self._note(request)
        return auth_pb2.ListRevokedResponse(ids=self.revoked & set(request.ids))

    async def ListSessions(self, request: Any, context: Any) -> auth_pb2.ListSessionsResponse:  # noqa: N802
        self._note(request)
        times = {"created_at": NOW, "last_used_at": NOW, "expires_at": NOW}
        here = auth_pb2.DeviceSession(id=SESSION, device="Firefox", address="203.0.113.7", **times)
        return auth_pb2.ListSessionsResponse(sessions=[here, auth_pb2.DeviceSession(id=ORDER, **times)])

    async def EndSession(self, request: Any, context: Any) -> auth_pb2.EndSessionResponse:  # noqa: N802
        self._note(request)
        return auth_pb2.EndSessionResponse()

    async def FreezeAccount(self, request: Any, context: Any) -> auth_pb2.FreezeAccountResponse:  # noqa: N802
        self._note(request)
        return auth_pb2.FreezeAccountResponse()

    async def AnswerChallenge(self, request: Any, context: Any) -> auth_pb2.AnswerChallengeResponse:  # noqa: N802
        self._note(request)
        return auth_pb2.AnswerChallengeResponse(session=self.session())

    async def SetUpSecondFactor(self, request: Any, context: Any) -> auth_pb2.SetUpSecondFactorResponse:  # noqa: N802
        self._note(request)
        return auth_pb2.SetUpSecondFactorResponse(secret="ABC", uri="otpauth://totp/x", qr_rows=["10", "01"])

    async def EnableSecondFactor(self, request: Any, context: Any) -> auth_pb2.EnableSecondFactorResponse:  # noqa: N802
        self._note(request)
        return auth_pb2.EnableSecondFactorResponse(recovery_codes=["abcde-fghij"])

    async def DisableSecondFactor(self, request: Any, context: Any) -> auth_pb2.DisableSecondFactorResponse:  # noqa: N802
        self._note(request)
        return auth_pb2.DisableSecondFactorResponse()

    async def RenewRecoveryCodes(self, request: Any, context: Any) -> auth_pb2.RenewRecoveryCodesResponse:  # noqa: N802
        self._note(request)
        return auth_pb2.RenewRecoveryCodesResponse(recovery_codes=["abcde-fghij"])

    async def StepUp(self, request: Any, context: Any) -> auth_pb2.StepUpResponse:  # noqa: N802
        self._note(request)
        until = self.stepped_up_until[str(current_caller().session_id)] = self.now() + STEP_UP_SECONDS
        return auth_pb2.StepUpResponse(expires_at=Timestamp(seconds=until))

    async def RequireStepUp(self, request: Any, context: Any) -> auth_pb2.RequireStepUpResponse:  # noqa: N802
        self._note(request)
        if self.stepped_up_until.get(str(current_caller().session_id), 0) <= self.now():
            raise RemoteError(
                kind=ErrorKind.FORBIDDEN, reason="step_up_required", message="Show your second factor once more.",
                details={"two_factor": "enabled"},
            )  # fmt: skip
        return auth_pb2.RequireStepUpResponse()

    async def RequestPasswordReset(self, request: Any, context: Any) -> auth_pb2.RequestPasswordResetResponse:  # noqa: N802
        self._note(request)
        return auth_pb2.RequestPasswordResetResponse()

    async def ResetPassword(self, request: Any, context: Any) -> auth_pb2.ResetPasswordResponse:  # noqa: N802
        self._note(request)
        return auth_pb2.ResetPasswordResponse()

    async def ChangePassword(self, request: Any, context: Any) -> auth_pb2.ChangePasswordResponse:  # noqa: N802
        self._note(request)
        return auth_pb2.ChangePasswordResponse()

    async def RefreshSession(self, request: Any, context: Any) -> auth_pb2.RefreshSessionResponse:  # noqa: N802
        self._note(request)
        return auth_pb2.RefreshSessionResponse(session=self.session())

    async def LogOut(self, request: Any, context: Any) -> auth_pb2.LogOutResponse:  # noqa: N802
        self._note(request)
        return auth_pb2.LogOutResponse()

    async def LogOutAll(self, request: Any, context: Any) -> auth_pb2.LogOutAllResponse:  # noqa: N802
        self._note(request)
        return auth_pb2.LogOutAllResponse()

    async def GetUser(self, request: Any, context: Any) -> auth_pb2.GetUserResponse:  # noqa: N802
        self._note(request)
        return auth_pb2.GetUserResponse(user=self.user())

    async def ListAuditEntries(self, request: Any, context: Any) -> auth_pb2.ListAuditEntriesResponse:  # noqa: N802
        self._note(request)
        return auth_pb2.ListAuditEntriesResponse(entries=self.audit_entries, next_cursor="more")

    async def SearchAuditTrail(self, request: Any, context: Any) -> auth_pb2.SearchAuditTrailResponse:  # noqa: N802
        self._note(request)
        return auth_pb2.SearchAuditTrailResponse(entries=self.audit_entries)

    async def ChangeProfile(self, request: Any, context: Any) -> auth_pb2.ChangeProfileResponse:  # noqa: N802
        self._note(request)
        user = self.user()
        user.name = request.name
        return auth_pb2.ChangeProfileResponse(user=user)

    async def GetSigningKeys(self, request: Any, context: Any) -> auth_pb2.GetSigningKeysResponse:  # noqa: N802
        self.key_requests += 1
        if self.error is not None:
            raise self.error
        return auth_pb2.GetSigningKeysResponse(jwks=self.minter.key_set())
