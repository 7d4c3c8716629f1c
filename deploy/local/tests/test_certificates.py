"""Mutual TLS as a deployment sets it up: the script's files, the composition that hands them out, and two of the real
services with them.
"""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from chassis.embedded.ports import free_port_block
from chassis.errors import NoAnswer
from chassis.grpc_client import open_channel
from chassis.testing import eventually
from chassis.testing.services import identity_of, key_settings
from chassis.trust.transport import Certificates
from cryptography import x509
from cryptovault.market_data.v1 import market_data_pb2 as pb
from cryptovault.market_data.v1.market_data_pb2_grpc import MarketDataServiceStub
from local_stack.keys import SERVICES
from local_stack.settings import REPOSITORY

SCRIPT = REPOSITORY / "deploy/docker/new-certificates"
START_SECONDS = 60.0


def new_certificates(folder: Path) -> Path:
    subprocess.run([SCRIPT, folder], check=True, capture_output=True)
    return folder


def certificates(folder: Path, service: str) -> Certificates:
    return Certificates.read(
        authority=folder / "authority.pem", certificate=folder / f"{service}.pem", key=folder / f"{service}.key"
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return new_certificates(tmp_path_factory.mktemp("certificates"))


def test_each_service_has_a_certificate_in_its_own_name_and_nobody_else_reads_them(folder: Path) -> None:
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "authority.key").stat().st_mode & 0o777 == 0o600
    assert {path.stem for path in folder.glob("*.key")} == {*SERVICES, "authority"}
    for service in SERVICES:
        certificate = x509.load_pem_x509_certificate((folder / f"{service}.pem").read_bytes())
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.DNSName) == [service, "localhost"]


def test_run_again_it_keeps_the_authority_and_renews_the_rest(tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in new_certificates(tmp_path / "files").iterdir()}
    after = {path.name: path.read_bytes() for path in new_certificates(tmp_path / "files").iterdir()}
    assert before.keys() == after.keys()
    assert {name for name in before if before[name] == after[name]} == {"authority.key", "authority.pem"}


def test_every_process_that_has_a_service_key_gets_that_services_certificate() -> None:
    base, tls = (
        yaml.safe_load((REPOSITORY / name).read_text()) for name in ("docker-compose.yml", "deploy/docker/tls.yml")
    )
    keys = {
        name: service.get("environment", {}).get("CRYPTOVAULT_SERVICE_KEY")
        for name, service in base["services"].items()
    }
    named = {name: re.sub(r"\W|_SERVICE_KEY", "", key).lower().replace("_", "-") for name, key in keys.items() if key}
    assert tls["services"].keys() == named.keys()
    for name, service in tls["services"].items():
        files: dict[str, Any] = {"authority": "authority"}
        for secret in service["secrets"][1:]:
            files[secret["target"]] = secret["source"]
        assert service["secrets"][0] == "authority"
        paths = {target: tls["secrets"][source]["file"] for target, source in files.items()}
        own = f"deploy/docker/certificates/{named[name]}"
        authority = "deploy/docker/certificates/authority.pem"
        assert paths == {"authority": authority, "certificate": f"{own}.pem", "key": f"{own}.key"}, name
        assert service["environment"] == {
            f"CRYPTOVAULT_TLS_{target.upper()}_FILE": f"/run/secrets/{target}" for target in files
        }


@asynccontextmanager
async def process(module: str, service: str, folder: Path, **settings: str) -> AsyncIterator[None]:
    files = {"authority": "authority.pem", "certificate": f"{service}.pem", "key": f"{service}.key"}
    told = {f"tls_{kind}_file": str(folder / name) for kind, name in files.items()}
    told |= {**key_settings(service), "profile": "test", **settings}
    environment = {f"CRYPTOVAULT_{name.upper()}": value for name, value in told.items()}
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, stdout=asyncio.subprocess.DEVNULL, env={"PATH": os.environ["PATH"], **environment}
    )
    try:
        yield
    finally:
        running.terminate()
        await running.wait()


async def test_two_services_with_these_files_speak_and_others_are_left_outside(
    folder: Path, tmp_path: Path, redis_url: str
) -> None:
    port = free_port_block()
    address, door = f"127.0.0.1:{port}", f"127.0.0.1:{port + 1}"
    async with (
        process("market_data", "market-data", folder, listen=address, redis_url=redis_url),
        process("gateway", "gateway", folder, listen=door, redis_url=redis_url, market_data_address=address),
        httpx.AsyncClient(base_url=f"http://{door}") as client,
    ):
        await eventually(lambda: _has_prices(client), START_SECONDS)
        foreign = certificates(new_certificates(tmp_path / "foreign"), "gateway")
        mixed = Certificates((folder / "authority.pem").read_bytes(), foreign.certificate, foreign.key)
        assert await _asks(address, certificates(folder, "gateway"))
        for shown in (None, foreign, mixed):
            assert not await _asks(address, shown)


async def _has_prices(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/api/v1/prices")).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


async def _asks(address: str, shown: Certificates | None) -> bool:
    identity = identity_of("gateway", certificates=shown)
    async with open_channel(address, to="market-data", identity=identity, deadline_seconds=5) as channel:
        try:
            answer = await MarketDataServiceStub(channel).GetPrices(pb.GetPricesRequest())
        except NoAnswer:
            return False
    return bool(answer.prices)
