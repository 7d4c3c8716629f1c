"""Mutual TLS between two real ends, with an authority and certificates made here."""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from chassis.errors import RemoteBugError, RemoteError
from chassis.grpc_client import open_channel
from chassis.identity import current_caller
from chassis.settings import ServiceSettings
from chassis.testing import serve
from chassis.testing.certificates import Authority
from chassis.testing.services import identity_of, key_settings
from chassis.trust.service_identity import ServiceIdentity
from chassis.trust.transport import Certificates
from cryptovault.portfolio.v1 import portfolio_pb2, portfolio_pb2_grpc
from pydantic import ValidationError

HEALTHCHECK = Path(__file__).resolve().parents[3] / "deploy" / "docker" / "healthcheck.py"


class Portfolio(portfolio_pb2_grpc.PortfolioServiceServicer):
    async def GetPortfolio(self, request: Any, context: Any) -> portfolio_pb2.GetPortfolioResponse:  # noqa: N802
        return portfolio_pb2.GetPortfolioResponse(portfolio=portfolio_pb2.Portfolio(cash=current_caller().service))


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
async def address(authority: Authority) -> AsyncIterator[str]:
    entry = (
        portfolio_pb2_grpc.add_PortfolioServiceServicer_to_server,
        Portfolio(),
        "cryptovault.portfolio.v1.PortfolioService",
    )
    identity = identity_of("portfolio", certificates=authority.certificates("portfolio"))
    async with serve([entry], plays=identity) as address:
        yield address


async def ask(address: str, identity: ServiceIdentity, *, to: str = "portfolio") -> str:
    async with open_channel(address, to=to, identity=identity, deadline_seconds=10) as channel:
        reply = await portfolio_pb2_grpc.PortfolioServiceStub(channel).GetPortfolio(portfolio_pb2.GetPortfolioRequest())
    return reply.portfolio.cash


async def test_with_a_certificate_of_its_own_a_service_gets_in(address: str, authority: Authority) -> None:
    gateway = identity_of("gateway", certificates=authority.certificates("gateway"))
    assert await ask(address, gateway) == "gateway"


async def test_without_a_certificate_nobody_gets_in(address: str, authority: Authority) -> None:
    with pytest.raises(RemoteError):
        await ask(address, identity_of("gateway"))
    only_trusting = grpc.ssl_channel_credentials(authority.certificates("gateway").authority)
    options = [("grpc.ssl_target_name_override", "portfolio")]
    async with grpc.aio.secure_channel(address, only_trusting, options=options) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=10)
    assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_certificate_of_another_authority_is_worth_nothing(address: str, authority: Authority) -> None:
    forged = Authority().certificates("gateway", trusting=authority)
    with pytest.raises(RemoteError):
        await ask(address, identity_of("gateway", certificates=forged))


async def test_the_certificate_of_another_service_does_not_carry_the_gateways_calls(
    address: str, authority: Authority
) -> None:
    """Even with the gateway's key for tokens."""
    disguised = identity_of("gateway", certificates=authority.certificates("notifications"))
    with pytest.raises(RemoteBugError, match="call_not_trusted"):
        await ask(address, disguised)


async def test_who_answers_must_be_the_service_that_was_called(address: str, authority: Authority) -> None:
    """Portfolio, reached where auth was expected, is not given the call."""
    gateway = identity_of("gateway", certificates=authority.certificates("gateway"))
    with pytest.raises(RemoteError) as refusal:
        await ask(address, gateway, to="auth")
    assert refusal.value.reason == "unavailable"


def written(folder: Path, made: Certificates) -> dict[str, Path]:
    """The files of a service's certificates, by the settings that name them."""
    files = {"tls_authority_file": made.authority, "tls_certificate_file": made.certificate, "tls_key_file": made.key}
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return {name: folder / name for name in files}


async def test_a_container_asks_its_own_service_for_its_health(
    address: str, authority: Authority, tmp_path: Path
) -> None:
    environment = {
        f"CRYPTOVAULT_{name.upper()}": str(path)
        for name, path in written(tmp_path, authority.certificates("portfolio")).items()
    }
    for told, healthy in ((environment, True), ({}, False)):
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(HEALTHCHECK), "grpc", address, env={**os.environ, **told}, stderr=DEVNULL
        )
        assert (await process.wait() == 0) is healthy


def test_certificates_are_files_named_by_settings(tmp_path: Path, authority: Authority) -> None:
    made = authority.certificates("portfolio")
    paths = written(tmp_path, made)
    settings = ServiceSettings.model_validate({"listen": "127.0.0.1:0", **key_settings("portfolio"), **paths})
    assert ServiceIdentity.of(settings).certificates == made


@pytest.mark.parametrize("given", ["tls_authority_file", "tls_certificate_file", "tls_key_file"])
def test_half_of_tls_is_refused_at_start(tmp_path: Path, given: str) -> None:
    with pytest.raises(ValidationError, match="set together"):
        ServiceSettings.model_validate({"listen": "127.0.0.1:0", given: tmp_path})
