"""The service as it is started: a process on real servers, called over real gRPC."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from chassis.bus import Bus, Subscription
from chassis.embedded.ports import free_port_block
from chassis.errors import RemoteError
from chassis.events import Envelope
from chassis.grpc_client import open_channel
from chassis.testing import eventually
from chassis.testing.services import identity_of, key_settings
from cryptovault.auth.v1 import auth_pb2, auth_pb2_grpc, events_pb2
from cryptovault.notifications.v1 import notifications_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from joserfc.jwk import OKPKey

EMAIL = "ada@example.com"
PASSWORD = "correct horse battery"
PEM = OKPKey.generate_key("Ed25519").as_pem(private=True).decode()
STOP_SECONDS_MAX = 30.0


@asynccontextmanager
async def auth(**settings: str) -> AsyncIterator[asyncio.subprocess.Process]:
    environment = {
        "PATH": os.environ["PATH"],
        "CRYPTOVAULT_PROFILE": "test",
        **{f"CRYPTOVAULT_{name.upper()}": value for name, value in settings.items()},
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "auth",
        env=environment,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.fixture
def backends(mongo_url: str, mongo_database: Any, redis_url: str, amqp_url: str, bus_namespace: str) -> dict[str, str]:
    return {
        "mongo_url": mongo_url,
        "mongo_database": mongo_database.name,
        "redis_url": redis_url,
        "amqp_url": amqp_url,
        "bus_namespace": bus_namespace,
        **key_settings("auth"),
    }


async def test_a_person_signs_up_by_mail_and_the_others_hear_of_it(
    backends: dict[str, str], signing_key: OKPKey, notifications: Any, mongo_database: Any
) -> None:
    heard: list[str] = []

    async def hear(envelope: Envelope[Any]) -> None:
        heard.append(f"{envelope.type}:{envelope.event.user_id}")

    bus = await Bus.connect(backends["amqp_url"], backends["bus_namespace"])
    for queue, event in (("verified", events_pb2.UserVerified), ("revoked", events_pb2.SessionRevoked)):
        await bus.subscribe(Subscription(queue=queue, event=event, handler=hear))
    port = free_port_block()
    async with (
        auth(
            listen=f"127.0.0.1:{port}",
            **backends,
            notifications_address=notifications.address,
            jwt_private_key=signing_key.as_pem(private=True).decode(),
        ) as process,
        open_channel(f"127.0.0.1:{port}", to="auth", identity=identity_of("gateway"), deadline_seconds=30) as channel,
    ):
        stub = auth_pb2_grpc.AuthServiceStub(channel)

        async def serving() -> bool:
            health: Any = health_pb2_grpc.HealthStub(channel)
            status = (await health.Check(health_pb2.HealthCheckRequest())).status
            return bool(status == health_pb2.HealthCheckResponse.SERVING)

        await eventually(serving, timeout_seconds=60)
        await stub.SignUp(auth_pb2.SignUpRequest(email=EMAIL, password=PASSWORD, name="Ada"), timeout=30)
        mail = (await eventually(lambda: notifications.requests))[0]
        assert (mail.email, mail.name, mail.purpose) == (EMAIL, "Ada", notifications_pb2.CODE_PURPOSE_VERIFY_EMAIL)
        reply = await stub.VerifyEmail(auth_pb2.VerifyEmailRequest(email=EMAIL, code=mail.code))
        user_id = reply.session.user.id
        assert mail.user_id == user_id
        await stub.LogIn(auth_pb2.LogInRequest(email=EMAIL, password=PASSWORD), timeout=30)
        await stub.LogOut(auth_pb2.LogOutRequest(refresh_token=reply.session.refresh_token))
        expected = {f"auth.v1.UserVerified:{user_id}", f"auth.v1.SessionRevoked:{user_id}"}
        await eventually(lambda: set(heard) == expected)

        async def are_chained() -> bool:
            rows = await mongo_database["audit_logs"].find({"stream": "auth"}).sort("sequence", 1).to_list(None)
            return [row["action"] for row in rows] == ["signed_in", "signed_in", "session_ended"]

        await eventually(are_chained)
        with pytest.raises(RemoteError):
            await stub.RefreshSession(auth_pb2.RefreshSessionRequest(refresh_token=reply.session.refresh_token))
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(STOP_SECONDS_MAX):
            assert await process.wait() == 0
    await bus.close()


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({}, b"CRYPTOVAULT_JWT_PRIVATE_KEY"),
        ({"jwt_algorithm": "HS256"}, b"CRYPTOVAULT_JWT_SECRET"),
        ({"jwt_private_key": "nonsense"}, b"not a private key in PEM"),
        ({"jwt_private_key": PEM, "jwt_retired_keys": PEM}, b"CRYPTOVAULT_SESSION_KEY must be set"),
        ({"jwt_private_key": PEM, "jwt_retired_keys": "nonsense", "session_key": "s" * 32}, b"private keys in PEM"),
        ({"jwt_algorithm": "none"}, b"CRYPTOVAULT_JWT_ALGORITHM"),
        ({"jwt_algorithm": "HS256", "jwt_secret": "short"}, b"shorter than 32 bytes"),
    ],
)
async def test_it_refuses_to_start_without_its_secret_and_names_it(
    settings: dict[str, str], named: bytes, mongo_url: str, redis_url: str
) -> None:
    async with auth(mongo_url=mongo_url, redis_url=redis_url, amqp_url="amqp://127.0.0.1:1", **settings) as process:
        async with asyncio.timeout(60):
            _, complaint = await process.communicate()
        assert process.returncode == 78
        assert named in complaint
        assert b"nonsense" not in complaint
