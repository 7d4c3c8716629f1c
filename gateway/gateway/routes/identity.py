"""Sign-up, sign-in, sessions."""

from typing import TYPE_CHECKING

from chassis.errors import RemoteError
from cryptovault.auth.v1 import auth_pb2 as pb
from starlette.requests import Request
from starlette.responses import Response

from gateway.admission.admission import Admission
from gateway.admission.cookies import (
    DEVICE_COOKIE,
    REFRESH_COOKIE,
    cleared_cookies,
    read_cookies,
    session_cookies,
)
from gateway.admission.csrf_tokens import CsrfTokens
from gateway.admission.policy import Access, LimitClass
from gateway.admission.revocations import SeenRevocations
from gateway.edge.bodies import read_body, read_optional_body
from gateway.edge.facts import facts_of
from gateway.edge.replies import empty_reply, json_reply
from gateway.errors import public_error_of, unauthenticated
from gateway.routes.endpoint import API, Endpoint
from gateway.schemas import identity as schemas
from gateway.views.identity import user_view

if TYPE_CHECKING:
    from cryptovault.auth.v1.auth_pb2_grpc import AuthServiceAsyncStub  # exists for type checkers only

# A password hash takes 0.2 s, and a crowd at the door waits for its turn; longer than that nobody does.
HASHING_DEADLINE_SECONDS = 10.0
# What spends a code or a token: a reply lost to impatience costs a person another mail, or their session.
SPENDING_DEADLINE_SECONDS = 5.0
_TAG = "identity"
_EXAMPLE_EMAIL = "ada@example.com"
_EXAMPLE_PASSWORD = "correct horse battery"  # noqa: S105 - documentation
_UNAUTHENTICATED = 401
_DEVICE_NAME_LENGTH_MAX = 512
_DEVICE_TOKEN_LENGTH_MAX = 256


class IdentityRoutes:
    def __init__(
        self,
        *,
        auth: "AuthServiceAsyncStub",
        admission: Admission,
        csrf_tokens: CsrfTokens,
        revocations: SeenRevocations,
    ) -> None:
        self._auth = auth
        self._admission = admission
        self._csrf_tokens = csrf_tokens
        self._revocations = revocations

    def endpoints(self) -> list[Endpoint]:
        return [*self._code_endpoints(), *self._session_endpoints()]

    def _code_endpoints(self) -> list[Endpoint]:
        return [
            Endpoint(
                method="POST", path=f"{API}/auth/signup", handler=self.sign_up, access=Access.PUBLIC,
                limit=LimitClass.AUTH, operation_id="signUp", summary="Open an account", tag=_TAG,
                description="Answers the same whether or not the address is known, and sends a code to it.",
                body=schemas.SignUp, status=202, reply=schemas.Accepted,
                body_example={"email": _EXAMPLE_EMAIL, "password": _EXAMPLE_PASSWORD, "name": "Ada"},
            ),
            Endpoint(
                method="POST", path=f"{API}/auth/verify-email", handler=self.verify_email, access=Access.PUBLIC,
                limit=LimitClass.AUTH, operation_id="verifyEmail", summary="Confirm the code and sign in", tag=_TAG,
                body=schemas.VerifyEmail, reply=schemas.SignedIn, errors=(401, 403), sets_cookies=True,
                body_example={"email": _EXAMPLE_EMAIL, "code": "123456", "delivery": "body"},
            ),
            Endpoint(
                method="POST", path=f"{API}/auth/resend-code", handler=self.resend_code, access=Access.PUBLIC,
                limit=LimitClass.AUTH, operation_id="resendCode", summary="Send a new code", tag=_TAG,
                body=schemas.ResendCode, status=202, reply=schemas.Accepted,
                body_example={"email": _EXAMPLE_EMAIL},
            ),
        ]  # fmt: skip

    def _session_endpoints(self) -> list[Endpoint]:
        return [
            Endpoint(
                method="POST", path=f"{API}/auth/login", handler=self.log_in, access=Access.PUBLIC,
                limit=LimitClass.AUTH, operation_id="logIn", summary="Sign in", tag=_TAG,
                description="Where a second factor is on: 401 `MFA_REQUIRED`, with a challenge for /auth/login/mfa.",
                body=schemas.LogIn, reply=schemas.SignedIn, errors=(401, 403), sets_cookies=True,
                body_example={"email": _EXAMPLE_EMAIL, "password": _EXAMPLE_PASSWORD, "delivery": "body"},
            ),
            Endpoint(
                method="POST", path=f"{API}/auth/login/mfa", handler=self.answer_challenge, access=Access.PUBLIC,
                limit=LimitClass.AUTH, operation_id="answerChallenge", summary="Sign in: the second factor", tag=_TAG,
                description="A challenge is good for five minutes.",
                body=schemas.AnswerChallenge, reply=schemas.SignedIn, errors=(401, 403), sets_cookies=True,
                body_example={"challenge": "AZoT...", "code": "123456", "delivery": "body"},
            ),
            Endpoint(
                method="POST", path=f"{API}/auth/refresh", handler=self.refresh, access=Access.PUBLIC,
                limit=LimitClass.SESSION, operation_id="refreshSession", summary="New tokens for a refresh token",
                tag=_TAG,
                description="Each refresh token is good for one use; a second one ends the session. From the device "
                "that it was delivered to, a repeat within ten seconds gets the same successor: browsers show it by "
                "cookie, programs by `device_token`.",
                body=schemas.Refresh, body_required=False, reply=schemas.SignedIn, errors=(401, 403),
                sets_cookies=True, body_example={},
            ),
            Endpoint(
                method="POST", path=f"{API}/auth/logout", handler=self.log_out, access=Access.OPTIONAL,
                limit=LimitClass.SESSION, operation_id="logOut", summary="End this session", tag=_TAG,
                body=schemas.LogOut, body_required=False, status=204, errors=(401, 403), sets_cookies=True,
                body_example={},
            ),
            Endpoint(
                method="POST", path=f"{API}/auth/logout-all", handler=self.log_out_all, access=Access.USER,
                limit=LimitClass.SESSION, operation_id="logOutAll", summary="End all sessions", tag=_TAG,
                status=204, sets_cookies=True,
            ),
            Endpoint(
                method="GET", path=f"{API}/auth/me", handler=self.me, access=Access.USER, limit=LimitClass.ACCOUNT,
                operation_id="getMe", summary="Your profile, roles and permissions", tag=_TAG, reply=schemas.User,
            ),
            Endpoint(
                method="PATCH", path=f"{API}/auth/me", handler=self.change_profile, access=Access.USER,
                limit=LimitClass.ACCOUNT, operation_id="changeProfile", summary="Change your profile", tag=_TAG,
                body=schemas.ChangeProfile, reply=schemas.User, body_example={"name": "Ada Lovelace"},
            ),
        ]  # fmt: skip

    async def sign_up(self, request: Request) -> Response:
        body = await read_body(request, schemas.SignUp)
        await self._auth.SignUp(
            pb.SignUpRequest(email=body.email, password=body.password, name=body.name), timeout=HASHING_DEADLINE_SECONDS
        )
        return json_reply({"status": "accepted"}, status=202)

    async def resend_code(self, request: Request) -> Response:
        body = await read_body(request, schemas.ResendCode)
        await self._auth.ResendCode(pb.ResendCodeRequest(email=body.email), timeout=SPENDING_DEADLINE_SECONDS)
        return json_reply({"status": "accepted"}, status=202)

    async def verify_email(self, request: Request) -> Response:
        body = await read_body(request, schemas.VerifyEmail)
        self._check_delivery(request, body.delivery)
        answer = await self._auth.VerifyEmail(
            pb.VerifyEmailRequest(email=body.email, code=body.code, device=device_of(request, body.device_token)),
            timeout=SPENDING_DEADLINE_SECONDS,
        )
        return self._signed_in(request, answer.session, body.delivery)

    async def log_in(self, request: Request) -> Response:
        body = await read_body(request, schemas.LogIn)
        self._check_delivery(request, body.delivery)
        answer = await self._auth.LogIn(
            pb.LogInRequest(email=body.email, password=body.password, device=device_of(request, body.device_token)),
            timeout=HASHING_DEADLINE_SECONDS,
        )
        return self._signed_in(request, answer.session, body.delivery)

    async def answer_challenge(self, request: Request) -> Response:
        body = await read_body(request, schemas.AnswerChallenge)
        self._check_delivery(request, body.delivery)
        answer = await self._auth.AnswerChallenge(
            pb.AnswerChallengeRequest(
                challenge=body.challenge, code=body.code, device=device_of(request, body.device_token)
            )
        )
        return self._signed_in(request, answer.session, body.delivery)

    async def refresh(self, request: Request) -> Response:
        body = await read_optional_body(request, schemas.Refresh)
        token, by_cookie = self._refresh_token(request, body.refresh_token)
        if not token:
            raise unauthenticated("There is no refresh token.", reason="not_signed_in")
        delivery = body.delivery or ("cookie" if by_cookie else "body")
        self._check_delivery(request, delivery)
        try:
            answer = await self._auth.RefreshSession(
                pb.RefreshSessionRequest(refresh_token=token, device_token=device_of(request, body.device_token).token),
                timeout=SPENDING_DEADLINE_SECONDS,
            )
        except RemoteError as error:
            public = public_error_of(error)
            if by_cookie and public is not None and public.status == _UNAUTHENTICATED:
                clear_cookies(request)
            raise
        return self._signed_in(request, answer.session, delivery)

    async def log_out(self, request: Request) -> Response:
        body = await read_optional_body(request, schemas.LogOut)
        token, _ = self._refresh_token(request, body.refresh_token)
        facts = facts_of(request)
        if not token and facts.session_id is None:
            raise unauthenticated("There is no session to end.", reason="not_signed_in")
        await self._auth.LogOut(pb.LogOutRequest(refresh_token=token), timeout=SPENDING_DEADLINE_SECONDS)
        if facts.session_id is not None:
            self._revocations.add(facts.session_id)
        clear_cookies(request)
        return empty_reply()

    async def log_out_all(self, request: Request) -> Response:
        await self._auth.LogOutAll(pb.LogOutAllRequest(), timeout=SPENDING_DEADLINE_SECONDS)
        session_id = facts_of(request).session_id
        if session_id is not None:
            self._revocations.add(session_id)
        clear_cookies(request)
        return empty_reply()

    async def me(self, _request: Request) -> Response:
        return json_reply(user_view((await self._auth.GetUser(pb.GetUserRequest())).user))

    async def change_profile(self, request: Request) -> Response:
        body = await read_body(request, schemas.ChangeProfile)
        answer = await self._auth.ChangeProfile(pb.ChangeProfileRequest(name=body.name))
        return json_reply(user_view(answer.user))

    def _signed_in(self, request: Request, session: pb.Session, delivery: str) -> Response:
        """Hands a session over, as the client wants it."""
        facts = facts_of(request)
        facts.user_id = session.user.id
        by_cookie = delivery == "cookie"
        csrf_token = None
        if by_cookie:
            csrf_token = self._csrf_tokens.issue(session_id=session.id, refresh_token=session.refresh_token)
            for cookie in session_cookies(
                access_token=session.access_token,
                access_seconds=session.access_expires_in,
                refresh_token=session.refresh_token,
                refresh_seconds=session.refresh_expires_in,
                csrf_token=csrf_token,
                device_token=session.device_token,
            ):
                facts.reply_with("set-cookie", cookie)
        return json_reply(
            {
                "user": user_view(session.user),
                "session_id": session.id,
                "token_type": None if by_cookie else "Bearer",
                "access_token": None if by_cookie else session.access_token,
                "refresh_token": None if by_cookie else session.refresh_token,
                "csrf_token": csrf_token,
                "device_token": None if by_cookie else session.device_token or None,
                "expires_in": session.access_expires_in,
                "refresh_expires_in": session.refresh_expires_in,
            }
        )

    def _refresh_token(self, request: Request, given: str | None) -> tuple[str, bool]:
        """The token, and whether it came by cookie: then another site's page may have sent it, and is refused."""
        if given is not None:
            return given, False
        headers = dict(request.scope["headers"])
        token = read_cookies(headers.get(b"cookie")).get(REFRESH_COOKIE, "")
        if token:
            self._admission.check_refresh_cookie(headers, token)
        return token, bool(token)

    def _check_delivery(self, request: Request, delivery: str) -> None:
        # Another site's page must not sign its visitor in to an account of its choice.
        if delivery == "cookie":
            self._admission.check_origin(dict(request.scope["headers"]))


def device_of(request: Request, token: str | None) -> pb.Device:
    """What the client says of its device: its token by body or cookie, and its User-Agent."""
    kept = read_cookies(dict(request.scope["headers"]).get(b"cookie")).get(DEVICE_COOKIE, "")
    name = request.headers.get("user-agent", "")[:_DEVICE_NAME_LENGTH_MAX]
    return pb.Device(name=name, token=(token or kept)[:_DEVICE_TOKEN_LENGTH_MAX])


def clear_cookies(request: Request) -> None:
    """Signs the browser out."""
    for cookie in cleared_cookies():
        facts_of(request).reply_with("set-cookie", cookie)
