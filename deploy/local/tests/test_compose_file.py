import re
import subprocess
import tomllib
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml
from chassis.trust.service_keys import read_private_keys, read_public_keys
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from dotenv import dotenv_values
from local_stack.keys import SERVICES, load_keys
from local_stack.platform_plan import PlatformPlan
from local_stack.ports import Ports
from local_stack.settings import REPOSITORY

COMPOSE_FILE = REPOSITORY / "docker-compose.yml"
# Who plays the embedded servers' parts.
STAND_INS = {"redis": "valkey", "rabbitmq-epmd": "rabbitmq", "journal": "mongo"}


@pytest.fixture
def services() -> dict[str, Any]:
    parsed = yaml.safe_load(COMPOSE_FILE.read_text())
    return dict(parsed["services"])


def test_every_process_of_make_run_is_there_and_is_told_the_same_things(
    tmp_path: Path, services: dict[str, Any]
) -> None:
    keys = load_keys(tmp_path / "secrets")
    plans = PlatformPlan(data_dir=tmp_path, ports=Ports(20_000), profile="local", log_level="INFO", keys=keys).build()
    for plan in plans:
        service = services[STAND_INS.get(plan.name, plan.name)]
        told = {name for name in plan.environment if name.startswith("CRYPTOVAULT_")} - {
            "CRYPTOVAULT_PROFILE",
            "CRYPTOVAULT_LOG_LEVEL",
            "CRYPTOVAULT_WEB_ROOT",  # nginx serves the web app: the gateway behind it serves the API alone
        }
        assert told - set(service.get("environment", {})) == set(), plan.name


def test_two_replicas_of_the_exchange_run_and_whoever_asks_it_knows_both(services: dict[str, Any]) -> None:
    assert services["trading-2"] == services["trading"]
    addresses = [service.get("environment", {}).get("CRYPTOVAULT_TRADING_ADDRESS") for service in services.values()]
    assert {*addresses} - {None} == {"trading:18011,trading-2:18011"}


def test_every_variable_has_its_line_in_the_example() -> None:
    used = set(re.findall(r"\$\{([A-Z_]+)", COMPOSE_FILE.read_text())) - {"CRYPTOVAULT_VERSION"}
    assert used - set(dotenv_values(REPOSITORY / ".env.example")) == set()


def test_a_new_env_has_every_secret_in_the_form_that_services_take(tmp_path: Path) -> None:
    path = tmp_path / "env"
    subprocess.run([REPOSITORY / "deploy/docker/new-env", path], check=True, capture_output=True)
    assert path.stat().st_mode & 0o777 == 0o600
    values = dotenv_values(path)
    assert load_pem_private_key((values["CRYPTOVAULT_JWT_PRIVATE_KEY"] or "").encode(), password=None)
    assert Fernet(values["CRYPTOVAULT_CODE_KEY"] or "")
    assert len(values["CRYPTOVAULT_SESSION_KEY"] or "") == 64
    public = read_public_keys(values["CRYPTOVAULT_SERVICE_PUBLIC_KEYS"] or "")
    assert set(public) == set(SERVICES)
    for service in SERVICES:
        (private,) = read_private_keys(values[f"{service.upper().replace('-', '_')}_SERVICE_KEY"] or "")
        assert private.public_key() == public[service][0]
    required = set(re.findall(r"\$\{([A-Z_]+):\?", COMPOSE_FILE.read_text()))
    assert {name for name in required if not values[name]} == set()
    assert (
        subprocess.run([REPOSITORY / "deploy/docker/new-env", path], check=False, capture_output=True).returncode == 1
    )


def test_only_nginx_has_a_port_outside(services: dict[str, Any]) -> None:
    assert [name for name, service in services.items() if "ports" in service] == ["web"]


def test_the_gateway_believes_nginx_and_nobody_else_within(services: dict[str, Any]) -> None:
    networks = yaml.safe_load(COMPOSE_FILE.read_text())["networks"]
    (door,) = [network for network in services["web"]["networks"] if network in services["gateway"]["networks"]]
    assert [name for name, service in services.items() if door in service.get("networks", ())] == ["gateway", "web"]
    subnet = ip_network(networks[door]["ipam"]["config"][0]["subnet"])
    nginx, gateway = (services[name]["networks"][door]["ipv4_address"] for name in ("web", "gateway"))
    assert {ip_address(nginx), ip_address(gateway)} <= set(subnet.hosts())
    trusted = services["gateway"]["environment"]["CRYPTOVAULT_TRUSTED_PROXIES"]
    assert trusted.split(",") == [nginx, "${CRYPTOVAULT_TRUSTED_PROXIES:-}"]


def test_nginx_asks_the_gateway_where_it_listens_and_is_asked_where_it_does(services: dict[str, Any]) -> None:
    configuration = (REPOSITORY / "deploy/nginx/nginx.conf").read_text(encoding="utf-8")
    port = services["gateway"]["environment"]["CRYPTOVAULT_LISTEN"].rpartition(":")[2]
    assert f"server gateway:{port};" in configuration
    assert services["web"]["ports"] == ["${CRYPTOVAULT_HTTP_ADDRESS:-127.0.0.1:18000}:8080"]
    assert "listen 8080 default_server;" in configuration


def test_the_image_is_told_of_every_member_of_the_workspace() -> None:
    dockerfile = (REPOSITORY / "deploy/docker/Dockerfile").read_text(encoding="utf-8")
    told = set(re.findall(r"source=([^,]+)/pyproject\.toml", dockerfile))
    packages = tomllib.loads((REPOSITORY / "uv.lock").read_text(encoding="utf-8"))["package"]
    assert told == {package["source"]["editable"] for package in packages if "editable" in package["source"]}
