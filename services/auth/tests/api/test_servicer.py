"""The contract over real gRPC, on the real database and Redis."""

import asyncio
import contextlib
import io
import json
import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import grpc.aio
import pytest
import structlog
from auth.api.servicer import SERVICE_NAME, AuthServicer
from auth.settings import AuthSettings
from chassis.errors import ErrorKind, RemoteBugError, RemoteError
from chassis.grpc_client import open_channel
from chassis.identity import Caller, use_caller
from chassis.logs import configure_logging
from chassis.mongo import MongoConnection
from chassis.testing import serve
from chassis.testing.services import identity_of
from cryptovault.auth.v1 import auth_pb2, auth_pb2_grpc

PASSWORD = "correct horse battery"


@dataclass
class Door:
    address: str
    stub: Any
    world: Any

    async def member(self, email: str = "ada@example.com") -> auth_pb2.Session:
        await self.stub.SignUp(auth_pb2.SignUpRequest(email=email, password=PASSWORD, name="Ada"))
        await self.world.settle()
        verified = await self.stub.VerifyEmail(
            auth_pb2.VerifyEmailRequest(email=email, code=self.world.last_code(email))
        )
        session: auth_pb2.Session = verified.session
        return session


def signed_in(session: auth_pb2.Session, *, service_user: bool = True) -> Caller:
    return Caller(
        service="gateway",
        user_id=session.user.id if service_user else None,
        session_id=session.id,
        request_id="r",
        address="203.0.113.7",
    )


@pytest.fixture
async def door(real_world: Any) -> AsyncIterator[Door]:
    entry = (auth_pb2_grpc.add_AuthServiceServicer_to_server, AuthServicer(real_world.do), SERVICE_NAME)
    async with serve([entry], plays="auth") as address:
        channel: grpc.aio.Channel = open_channel(
            address, to="auth", identity=identity_of("gateway"), deadline_seconds=30
        )
        yield Door(address, auth_pb2_grpc.AuthServiceStub(channel), real_world)
        await channel.close()


async def test_the_whole_life_of_a_session(door: Door) -> None:
    session = await door.member()
    assert session.user.email == "ada@example.com"
    assert session.user.email_verified
    assert list(session.user.roles) == ["user"]
    assert (session.access_expires_in, session.refresh_expires_in) == (1800, 604_800)
    refreshed = (
        await door.stub.RefreshSession(auth_pb2.RefreshSessionRequest(refresh_token=session.refresh_token))
    ).session
    assert refreshed.id == session.id
    assert refreshed.refresh_token != session.refresh_token
    with use_caller(signed_in(session)):
        profile = (await door.stub.GetUser(auth_pb2.GetUserRequest())).user
        assert (profile.id, profile.name) == (session.user.id, "Ada")
        assert profile.last_login.seconds > 0
        await door.stub.LogOut(auth_pb2.LogOutRequest(refresh_token=refreshed.refresh_token))
    with pytest.raises(RemoteError) as refusal:
        await door.stub.RefreshSession(auth_pb2.RefreshSessionRequest(refresh_token=refreshed.refresh_token))
    assert (refusal.value.kind, refusal.value.reason) == (ErrorKind.UNAUTHENTICATED, "session_ended")
    keys = json.loads((await door.stub.GetSigningKeys(auth_pb2.GetSigningKeysRequest())).jwks)["keys"]
    assert [key["alg"] for key in keys] == ["Ed25519"]


@pytest.mark.parametrize(
    ("method", "request_message", "kind", "reason"),
    [
        ("SignUp", auth_pb2.SignUpRequest(), ErrorKind.INVALID, "invalid_email"),
        (
            "SignUp",
            auth_pb2.SignUpRequest(email="a@example.com", password="12345678", name="A"),
            ErrorKind.INVALID,
            "weak_password",
        ),
        ("ResendCode", auth_pb2.ResendCodeRequest(email="x"), ErrorKind.INVALID, "invalid_email"),
        (
            "VerifyEmail",
            auth_pb2.VerifyEmailRequest(email="a@example.com", code="12"),
            ErrorKind.INVALID,
            "malformed_code",
        ),
        (
            "VerifyEmail",
            auth_pb2.VerifyEmailRequest(email="a@example.com", code="123456"),
            ErrorKind.UNAUTHENTICATED,
            "code_expired",
        ),
        (
            "LogIn",
            auth_pb2.LogInRequest(email="a@example.com", password="whatever it is"),
            ErrorKind.UNAUTHENTICATED,
            "invalid_credentials",
        ),
        (
            "RefreshSession",
            auth_pb2.RefreshSessionRequest(refresh_token="x"),
            ErrorKind.UNAUTHENTICATED,
            "invalid_refresh_token",
        ),
        ("LogOut", auth_pb2.LogOutRequest(), ErrorKind.UNAUTHENTICATED, "not_signed_in"),
        ("ListSessions", auth_pb2.ListSessionsRequest(), ErrorKind.UNAUTHENTICATED, "not_signed_in"),
        ("EndSession", auth_pb2.EndSessionRequest(session_id="x"), ErrorKind.INVALID, "invalid_argument"),
        ("FreezeAccount", auth_pb2.FreezeAccountRequest(token="x"), ErrorKind.UNAUTHENTICATED, "freeze_link_expired"),
        ("RequireStepUp", auth_pb2.RequireStepUpRequest(), ErrorKind.UNAUTHENTICATED, "not_signed_in"),
        (
            "AnswerChallenge",
            auth_pb2.AnswerChallengeRequest(challenge="x", code="123456"),
            ErrorKind.UNAUTHENTICATED,
            "challenge_expired",
        ),
        ("LogOutAll", auth_pb2.LogOutAllRequest(), ErrorKind.UNAUTHENTICATED, "not_signed_in"),
        ("GetUser", auth_pb2.GetUserRequest(), ErrorKind.UNAUTHENTICATED, "not_signed_in"),
    ],
)
async def test_each_refusal_has_its_kind_and_reason(
    door: Door, method: str, request_message: Any, kind: ErrorKind, reason: str
) -> None:
    with pytest.raises(RemoteError) as refusal:
        await getattr(door.stub, method)(request_message)
    assert (refusal.value.kind, refusal.value.reason) == (kind, reason)


async def test_where_to_reach_somebody_is_told_to_notifications_and_not_to_the_gateway(door: Door) -> None:
    nobody = auth_pb2.GetContactRequest(user_id="00000000-0000-7000-8000-000000000001")
    with pytest.raises(RemoteBugError, match="service_not_allowed"):
        await door.stub.GetContact(nobody)
    async with open_channel(door.address, to="auth", identity=identity_of("notifications")) as channel:
        stub = auth_pb2_grpc.AuthServiceStub(channel)
        for request, reason in (
            (nobody, "user_not_found"),
            (auth_pb2.GetContactRequest(user_id="x"), "invalid_argument"),
        ):
            with pytest.raises(RemoteError) as refusal:
                await stub.GetContact(request)
            assert refusal.value.reason == reason


async def test_ten_parallel_sign_ins_and_a_lock_over_the_wire(door: Door) -> None:
    await door.member()
    request = auth_pb2.LogInRequest(email="ada@example.com", password=PASSWORD)
    replies = await asyncio.gather(*(door.stub.LogIn(request, timeout=30) for _ in range(10)))
    assert len({reply.session.id for reply in replies}) == 10
    for _ in range(5):
        with pytest.raises(RemoteError):
            await door.stub.LogIn(auth_pb2.LogInRequest(email="ada@example.com", password="wrong"))
    with pytest.raises(RemoteError) as refusal:
        await door.stub.LogIn(request)
    assert (refusal.value.kind, refusal.value.reason) == (ErrorKind.EXHAUSTED, "account_locked")
    assert refusal.value.details == {"retry_after_seconds": "900"}


async def test_without_redis_codes_fail_closed(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    async def gone(*_: Any, **__: Any) -> None:
        raise ConnectionError

    monkeypatch.setattr(door.world.adapters.codes, "_check", gone)
    with pytest.raises(RemoteError) as refusal:
        await door.stub.VerifyEmail(auth_pb2.VerifyEmailRequest(email="a@example.com", code="123456"))
    assert refusal.value.kind is ErrorKind.UNAVAILABLE


async def test_no_secret_reaches_a_log_the_outbox_or_the_database(
    door: Door, mongo: MongoConnection, redis: Any, log_output: io.StringIO
) -> None:
    session = await door.member()
    code = door.world.last_code()
    for password in (PASSWORD, "not the password"):
        with contextlib.suppress(RemoteError):
            await door.stub.LogIn(auth_pb2.LogInRequest(email="ada@example.com", password=password))
    refreshed = (
        await door.stub.RefreshSession(auth_pb2.RefreshSessionRequest(refresh_token=session.refresh_token))
    ).session
    await door.stub.SignUp(auth_pb2.SignUpRequest(email="bob@example.com", password=PASSWORD, name="Bob"))
    await door.world.settle()
    codes = [code, door.world.last_code("bob@example.com")]
    with use_caller(signed_in(session)):
        await door.stub.LogOutAll(auth_pb2.LogOutAllRequest())
    await door.world.adapters.attempts.flush()
    kept = []
    for name in await mongo.database.list_collection_names():
        kept += [repr(row) for row in await mongo.database[name].find({}).to_list(None)]
    for key in await redis.keys("*"):
        kind = (await redis.type(key)).decode()
        kept.append(repr(key) + repr(await (redis.hgetall(key) if kind == "hash" else redis.get(key))))
    secrets = [PASSWORD, "not the password", *codes]
    secrets += [session.access_token, session.refresh_token, refreshed.access_token, refreshed.refresh_token]
    logged = log_output.getvalue()
    assert "user_verified" in logged
    assert "user_signed_in" in logged
    for secret in secrets:
        assert secret not in logged
        assert not [text for text in kept if f"{secret}" in text and secret not in codes]
    # Six digits may stand in a time or an id by chance; as a value of their own they must not.
    assert not [text for text in kept for code in codes if f"'{code}'" in text]
    assert "ada@example.com" not in logged


@pytest.fixture
def log_output(signing_key: Any) -> Iterator[io.StringIO]:
    """What the service would write, from the first line to the last."""
    root = logging.getLogger()
    before = root.handlers, root.level
    output = io.StringIO()
    pem = signing_key.as_pem(private=True).decode()
    configure_logging(AuthSettings(profile="test", log_level="DEBUG", jwt_private_key=pem), stream=output)
    yield output
    root.handlers, root.level = before
    structlog.reset_defaults()
