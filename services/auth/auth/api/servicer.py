# ruff: noqa: N802, ARG002 - the contract's names, grpc's signature
"""Translates between the contract and the use cases. Decides nothing."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from chassis.errors import InvalidArgument
from cryptovault.auth.v1 import auth_pb2, auth_pb2_grpc
from google.protobuf.timestamp_pb2 import Timestamp

from auth.api.audit_messages import entry_message, wanted_entries
from auth.domain.api_keys import ApiKey
from auth.domain.devices import Device
from auth.domain.sessions import Session
from auth.domain.users import User
from auth.use_cases.answer_challenge import AnswerChallenge
from auth.use_cases.change_password import ChangePassword
from auth.use_cases.change_profile import ChangeProfile
from auth.use_cases.create_api_key import CreateApiKey
from auth.use_cases.crypto_ports import AccessTokens
from auth.use_cases.delete_api_key import DeleteApiKey
from auth.use_cases.disable_second_factor import DisableSecondFactor
from auth.use_cases.enable_second_factor import EnableSecondFactor
from auth.use_cases.end_session import EndSession
from auth.use_cases.find_api_key import FindApiKey
from auth.use_cases.freeze_account import FreezeAccount
from auth.use_cases.get_contact import GetContact
from auth.use_cases.get_user import GetUser
from auth.use_cases.list_api_keys import ListApiKeys
from auth.use_cases.list_audit_entries import ListAuditEntries
from auth.use_cases.list_revoked import ListRevoked
from auth.use_cases.list_sessions import ListSessions
from auth.use_cases.log_in import LogIn
from auth.use_cases.log_out import LogOut
from auth.use_cases.log_out_all import LogOutAll
from auth.use_cases.open_session import SignedIn
from auth.use_cases.refresh_session import RefreshSession
from auth.use_cases.renew_recovery_codes import RenewRecoveryCodes
from auth.use_cases.request_password_reset import RequestPasswordReset
from auth.use_cases.require_step_up import RequireStepUp
from auth.use_cases.resend_code import ResendCode
from auth.use_cases.reset_password import ResetPassword
from auth.use_cases.search_audit_trail import SearchAuditTrail
from auth.use_cases.set_up_second_factor import SetUpSecondFactor
from auth.use_cases.sign_up import SignUp
from auth.use_cases.step_up import StepUp
from auth.use_cases.verify_email import VerifyEmail

SERVICE_NAME = "cryptovault.auth.v1.AuthService"


@dataclass(frozen=True, slots=True, kw_only=True)
class UseCases:
    sign_up: SignUp
    resend_code: ResendCode
    verify_email: VerifyEmail
    log_in: LogIn
    answer_challenge: AnswerChallenge
    set_up_second_factor: SetUpSecondFactor
    enable_second_factor: EnableSecondFactor
    disable_second_factor: DisableSecondFactor
    renew_recovery_codes: RenewRecoveryCodes
    step_up: StepUp
    require_step_up: RequireStepUp
    create_api_key: CreateApiKey
    list_api_keys: ListApiKeys
    delete_api_key: DeleteApiKey
    find_api_key: FindApiKey
    list_revoked: ListRevoked
    list_sessions: ListSessions
    end_session: EndSession
    freeze_account: FreezeAccount
    request_password_reset: RequestPasswordReset
    reset_password: ResetPassword
    change_password: ChangePassword
    refresh_session: RefreshSession
    log_out: LogOut
    log_out_all: LogOutAll
    get_user: GetUser
    change_profile: ChangeProfile
    get_contact: GetContact
    list_audit_entries: ListAuditEntries
    search_audit_trail: SearchAuditTrail
    access_tokens: AccessTokens


class AuthServicer(auth_pb2_grpc.AuthServiceServicer):
    """The methods carry the contract's names."""

    def __init__(self, use_cases: UseCases) -> None:
        self._do = use_cases

    async def SignUp(self, request: auth_pb2.SignUpRequest, context: Any) -> auth_pb2.SignUpResponse:
        await self._do.sign_up(email=request.email, password=request.password, name=request.name)
        return auth_pb2.SignUpResponse()

    async def ResendCode(self, request: auth_pb2.ResendCodeRequest, context: Any) -> auth_pb2.ResendCodeResponse:
        await self._do.resend_code(email=request.email)
        return auth_pb2.ResendCodeResponse()

    async def VerifyEmail(self, request: auth_pb2.VerifyEmailRequest, context: Any) -> auth_pb2.VerifyEmailResponse:
        signed_in = await self._do.verify_email(email=request.email, code=request.code, device=_device(request.device))
        return auth_pb2.VerifyEmailResponse(session=_session(signed_in))

    async def LogIn(self, request: auth_pb2.LogInRequest, context: Any) -> auth_pb2.LogInResponse:
        signed_in = await self._do.log_in(
            email=request.email, password=request.password, device=_device(request.device)
        )
        return auth_pb2.LogInResponse(session=_session(signed_in))

    async def AnswerChallenge(
        self, request: auth_pb2.AnswerChallengeRequest, context: Any
    ) -> auth_pb2.AnswerChallengeResponse:
        signed_in = await self._do.answer_challenge(
            challenge=request.challenge, code=request.code, device=_device(request.device)
        )
        return auth_pb2.AnswerChallengeResponse(session=_session(signed_in))

    async def SetUpSecondFactor(
        self, request: auth_pb2.SetUpSecondFactorRequest, context: Any
    ) -> auth_pb2.SetUpSecondFactorResponse:
        proposed = await self._do.set_up_second_factor()
        return auth_pb2.SetUpSecondFactorResponse(secret=proposed.secret, uri=proposed.uri, qr_rows=proposed.qr_rows)

    async def EnableSecondFactor(
        self, request: auth_pb2.EnableSecondFactorRequest, context: Any
    ) -> auth_pb2.EnableSecondFactorResponse:
        codes = await self._do.enable_second_factor(code=request.code, password=request.password)
        return auth_pb2.EnableSecondFactorResponse(recovery_codes=codes)

    async def DisableSecondFactor(
        self, request: auth_pb2.DisableSecondFactorRequest, context: Any
    ) -> auth_pb2.DisableSecondFactorResponse:
        await self._do.disable_second_factor(code=request.code)
        return auth_pb2.DisableSecondFactorResponse()

    async def RenewRecoveryCodes(
        self, request: auth_pb2.RenewRecoveryCodesRequest, context: Any
    ) -> auth_pb2.RenewRecoveryCodesResponse:
        codes = await self._do.renew_recovery_codes(code=request.code)
        return auth_pb2.RenewRecoveryCodesResponse(recovery_codes=codes)

    async def StepUp(self, request: auth_pb2.StepUpRequest, context: Any) -> auth_pb2.StepUpResponse:
        return auth_pb2.StepUpResponse(expires_at=_timestamp(await self._do.step_up(code=request.code)))

    async def RequireStepUp(
        self, request: auth_pb2.RequireStepUpRequest, context: Any
    ) -> auth_pb2.RequireStepUpResponse:
        await self._do.require_step_up()
        return auth_pb2.RequireStepUpResponse()

    async def CreateApiKey(self, request: auth_pb2.CreateApiKeyRequest, context: Any) -> auth_pb2.CreateApiKeyResponse:
        expires_at = request.expires_at.ToDatetime(tzinfo=UTC) if request.HasField("expires_at") else None
        created = await self._do.create_api_key(
            name=request.name, scopes=request.scopes, networks=request.networks, expires_at=expires_at
        )
        return auth_pb2.CreateApiKeyResponse(key=_api_key(created.key), secret=created.secret)

    async def ListApiKeys(self, request: auth_pb2.ListApiKeysRequest, context: Any) -> auth_pb2.ListApiKeysResponse:
        return auth_pb2.ListApiKeysResponse(keys=[_api_key(key) for key in await self._do.list_api_keys()])

    async def DeleteApiKey(self, request: auth_pb2.DeleteApiKeyRequest, context: Any) -> auth_pb2.DeleteApiKeyResponse:
        await self._do.delete_api_key(key_id=_id(request.key_id, "key_id"))
        return auth_pb2.DeleteApiKeyResponse()

    async def FindApiKey(self, request: auth_pb2.FindApiKeyRequest, context: Any) -> auth_pb2.FindApiKeyResponse:
        found = await self._do.find_api_key(key_id=_id(request.key_id, "key_id"))
        return auth_pb2.FindApiKeyResponse(key=_api_key(found.key), secret=found.secret, permissions=found.permissions)

    async def ListRevoked(self, request: auth_pb2.ListRevokedRequest, context: Any) -> auth_pb2.ListRevokedResponse:
        found = await self._do.list_revoked(ids=[_id(text, "ids") for text in request.ids])
        return auth_pb2.ListRevokedResponse(ids=map(str, found))

    async def ListSessions(self, request: auth_pb2.ListSessionsRequest, context: Any) -> auth_pb2.ListSessionsResponse:
        sessions = await self._do.list_sessions()
        return auth_pb2.ListSessionsResponse(sessions=[_device_session(session) for session in sessions])

    async def EndSession(self, request: auth_pb2.EndSessionRequest, context: Any) -> auth_pb2.EndSessionResponse:
        await self._do.end_session(session_id=_id(request.session_id, "session_id"))
        return auth_pb2.EndSessionResponse()

    async def FreezeAccount(
        self, request: auth_pb2.FreezeAccountRequest, context: Any
    ) -> auth_pb2.FreezeAccountResponse:
        await self._do.freeze_account(ticket=request.token)
        return auth_pb2.FreezeAccountResponse()

    async def RequestPasswordReset(
        self, request: auth_pb2.RequestPasswordResetRequest, context: Any
    ) -> auth_pb2.RequestPasswordResetResponse:
        await self._do.request_password_reset(email=request.email)
        return auth_pb2.RequestPasswordResetResponse()

    async def ResetPassword(
        self, request: auth_pb2.ResetPasswordRequest, context: Any
    ) -> auth_pb2.ResetPasswordResponse:
        await self._do.reset_password(email=request.email, code=request.code, password=request.new_password)
        return auth_pb2.ResetPasswordResponse()

    async def ChangePassword(
        self, request: auth_pb2.ChangePasswordRequest, context: Any
    ) -> auth_pb2.ChangePasswordResponse:
        await self._do.change_password(current_password=request.current_password, password=request.new_password)
        return auth_pb2.ChangePasswordResponse()

    async def RefreshSession(
        self, request: auth_pb2.RefreshSessionRequest, context: Any
    ) -> auth_pb2.RefreshSessionResponse:
        signed_in = await self._do.refresh_session(
            refresh_token=request.refresh_token, device_token=request.device_token
        )
        return auth_pb2.RefreshSessionResponse(session=_session(signed_in))

    async def LogOut(self, request: auth_pb2.LogOutRequest, context: Any) -> auth_pb2.LogOutResponse:
        await self._do.log_out(refresh_token=request.refresh_token)
        return auth_pb2.LogOutResponse()

    async def LogOutAll(self, request: auth_pb2.LogOutAllRequest, context: Any) -> auth_pb2.LogOutAllResponse:
        await self._do.log_out_all()
        return auth_pb2.LogOutAllResponse()

    async def GetUser(self, request: auth_pb2.GetUserRequest, context: Any) -> auth_pb2.GetUserResponse:
        return auth_pb2.GetUserResponse(user=_user(await self._do.get_user()))

    async def ChangeProfile(
        self, request: auth_pb2.ChangeProfileRequest, context: Any
    ) -> auth_pb2.ChangeProfileResponse:
        return auth_pb2.ChangeProfileResponse(user=_user(await self._do.change_profile(name=request.name)))

    async def GetContact(self, request: auth_pb2.GetContactRequest, context: Any) -> auth_pb2.GetContactResponse:
        user = await self._do.get_contact(user_id=_id(request.user_id))
        return auth_pb2.GetContactResponse(email=user.email, name=user.name)

    async def ListAuditEntries(
        self, request: auth_pb2.ListAuditEntriesRequest, context: Any
    ) -> auth_pb2.ListAuditEntriesResponse:
        page = await self._do.list_audit_entries(
            wanted_entries(request.filter), limit=request.limit, cursor=request.cursor
        )
        return auth_pb2.ListAuditEntriesResponse(entries=map(entry_message, page.entries), next_cursor=page.next_cursor)

    async def SearchAuditTrail(
        self, request: auth_pb2.SearchAuditTrailRequest, context: Any
    ) -> auth_pb2.SearchAuditTrailResponse:
        page = await self._do.search_audit_trail(
            wanted_entries(request.filter), limit=request.limit, cursor=request.cursor
        )
        return auth_pb2.SearchAuditTrailResponse(entries=map(entry_message, page.entries), next_cursor=page.next_cursor)

    async def GetSigningKeys(
        self, request: auth_pb2.GetSigningKeysRequest, context: Any
    ) -> auth_pb2.GetSigningKeysResponse:
        return auth_pb2.GetSigningKeysResponse(jwks=self._do.access_tokens.key_set())


def _id(text: str, field: str = "user_id") -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise InvalidArgument("An id is a UUID.", field=field, rule="uuid") from None


def _device(message: auth_pb2.Device) -> Device:
    return Device(name=message.name, token=message.token)


def _session(signed_in: SignedIn) -> auth_pb2.Session:
    return auth_pb2.Session(
        id=str(signed_in.session.id),
        access_token=signed_in.access_token,
        refresh_token=signed_in.refresh_token,
        access_expires_in=signed_in.access_expires_in,
        refresh_expires_in=signed_in.refresh_expires_in,
        user=_user(signed_in.user),
        device_token=signed_in.device_token,
    )


def _api_key(key: ApiKey) -> auth_pb2.ApiKey:
    message = auth_pb2.ApiKey(
        id=str(key.id),
        user_id=str(key.user_id),
        name=key.name,
        scopes=key.scopes,
        networks=key.networks,
        created_at=_timestamp(key.created_at),
    )
    if key.expires_at is not None:
        message.expires_at.FromDatetime(key.expires_at)
    if key.last_used_at is not None:
        message.last_used_at.FromDatetime(key.last_used_at)
    return message


def _device_session(session: Session) -> auth_pb2.DeviceSession:
    return auth_pb2.DeviceSession(
        id=str(session.id),
        device=session.device_name,
        address=session.address or "",
        created_at=_timestamp(session.created_at),
        last_used_at=_timestamp(session.rotated_at),
        expires_at=_timestamp(session.expires_at),
    )


def _user(user: User) -> auth_pb2.User:
    message = auth_pb2.User(
        id=str(user.id),
        email=user.email,
        name=user.name,
        email_verified=user.email_verified,
        two_factor_enabled=user.two_factor_enabled,
        created_at=_timestamp(user.created_at),
        roles=user.roles,
        permissions=user.permissions,
    )
    if user.last_login is not None:
        message.last_login.FromDatetime(user.last_login)
    return message


def _timestamp(moment: datetime) -> Timestamp:
    timestamp = Timestamp()
    timestamp.FromDatetime(moment)
    return timestamp
