"""The whole OpenAPI document with generated requests, good and bad, as nobody, a user, a key and an admin: no 5xx
but of health, and every reply is one that the document describes.

On the platform of those who break things: an admin's generated requests halt markets. Its name makes it the last here.
"""

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import requests
import schemathesis
from auth.domain.api_keys import PERMISSIONS_BY_SCOPE
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from local_stack.platform import Platform
from requests.adapters import HTTPAdapter
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.credentials import enrolled, signed
from tests.customers import Customer, Json, sign_up

CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
# They say 503 of a platform that is not well, which another test's last victim may still keep it from being.
HEALTH = ("getHealth", "getReadiness")
# They end the session that asks, or the account: after all others.
ENDING = ("endSession", "changePassword", "logOut", "logOutAll", "freezeAccount")
NETWORK = "127.0.2.0/24"
ADDRESSES = 32  # of it, which the requests take turns to come from, so that limits refuse few of them
TIMEOUT_SECONDS = 30

Sign = Callable[[str, str, str, bytes], dict[str, str]]


@dataclass(frozen=True, slots=True)
class Asker:
    name: str
    sign: Sign


class _FromAddress(HTTPAdapter):
    def __init__(self, address: str) -> None:
        self._address = address
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, source_address=(self._address, 0), **options)


@pytest.fixture(scope="module")
async def people(platform: Platform, http: httpx.AsyncClient) -> tuple[list[Asker], dict[str, str]]:
    """Who asks, and what stands in the paths of good requests."""
    user = await _stepped_up(http)
    wanted = {"name": "all", "scopes": list(PERMISSIONS_BY_SCOPE), "networks": [NETWORK]}
    reply = await user.send("POST", "/api-keys", wanted)
    assert reply.status_code == 201, reply.text
    key = reply.json()
    order = await user.place(type="stop", quantity="0.001", stop_price="900000", client_order_id="mine")
    admin = await _stepped_up(http)
    await platform.operate("grant-role", admin.email, "admin")
    reply = await http.post("/api/v1/auth/refresh", json={"refresh_token": admin.refresh_token})
    admin.access_token = reply.json()["access_token"]
    things = {"order_id": order["id"], "client_order_id": "mine", "key_id": key["id"], "user_id": user.user_id}
    askers = [
        Asker("nobody", lambda *_: {}),
        Asker("user", lambda *_: user.bearer),
        Asker("key", lambda method, path, query, body: signed(key, method, path, body, query=query)),
        Asker("admin", lambda *_: admin.bearer),
    ]
    return askers, {**things, "symbol": "BTC-USD", "code": "BTC"}


async def _stepped_up(http: httpx.AsyncClient) -> Customer:
    customer = await sign_up(http)
    phone, _ = await enrolled(customer)
    assert (await customer.send("POST", "/auth/step-up", {"code": phone.code()})).status_code == 200
    return customer


# Hypothesis takes it for the strategies' doing when another thread draws a number, as drivers do for their messages.
@pytest.mark.filterwarnings("ignore:Do not use the .random. module:hypothesis.errors.HypothesisDeprecationWarning")
@pytest.mark.parametrize("examples", [2, pytest.param(20, marks=pytest.mark.long)])
async def test_no_generated_request_finds_a_bug_or_a_reply_that_is_not_documented(
    platform: Platform, http: httpx.AsyncClient, people: tuple[list[Asker], dict[str, str]], examples: int
) -> None:
    reply = await http.get("/api/v1/openapi.json")
    document: Json = json.loads(reply.content, object_hook=_as_schemathesis_reads_it)
    askers, things = people
    # Hypothesis is synchronous; the loop has the fixtures to look after.
    probe = Probe(url=platform.gateway_url, askers=askers, sessions=cycle(_sessions()), examples=examples)
    wrong = await asyncio.to_thread(_probe_all, probe, document, things)
    assert wrong == [], "\n".join(wrong)


def _as_schemathesis_reads_it(part: Json) -> Json:
    # It takes `prefixItems` for the list of schemas that `items` once could be, and then finds that invalid.
    if "prefixItems" not in part:
        return part
    first, *others = part["prefixItems"]
    assert all(other == first for other in others)
    return {name: value for name, value in part.items() if name != "prefixItems"} | {"items": first}


def _probe_all(probe: "Probe", document: Json, things: dict[str, str]) -> list[str]:
    operations = [found.ok() for found in schemathesis.openapi.from_dict(document).get_all_operations()]
    assert len(operations) >= 50
    operations.sort(key=lambda one: ENDING.index(_name(one)) if _name(one) in ENDING else -1)
    wrong = []
    for operation in operations:
        names = {parameter.name for parameter in operation.path_parameters}
        known = {name: value for name, value in things.items() if name in names}
        for mode, path in ((GenerationMode.POSITIVE, known), (GenerationMode.NEGATIVE, None)):
            try:
                probe(operation, mode, path)
            except Unsatisfiable:
                assert mode is GenerationMode.NEGATIVE  # what takes nothing cannot be given anything wrong
            except (Exception, FailureGroup) as failure:  # noqa: BLE001 - a finding; the others go on
                notes = " ".join(getattr(failure, "__notes__", ()))
                wrong.append(f"{_name(operation)}, {mode.value}, {notes}: {failure}")
    return wrong


def _name(operation: Any) -> str:
    name: str = operation.definition.raw["operationId"]
    return name


def _sessions() -> list[requests.Session]:
    sessions = [requests.Session() for _ in range(ADDRESSES)]
    for number, session in enumerate(sessions):
        session.mount("http://", _FromAddress(f"127.0.2.{number + 1}"))
        session.trust_env = False
    return sessions


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    url: str
    askers: list[Asker]
    sessions: Iterator[requests.Session]
    examples: int

    def __call__(self, operation: Any, mode: GenerationMode, path: dict[str, str] | None) -> None:
        @settings(
            max_examples=self.examples, database=None, deadline=None, suppress_health_check=list(HealthCheck),
            derandomize=True, phases=[Phase.generate],
        )  # fmt: skip
        @given(case=operation.as_strategy(mode, path_parameters=path))
        def run(case: Any) -> None:
            checks = CHECKS if _name(operation) in HEALTH else [not_a_server_error, *CHECKS]
            for asker in self.askers:
                try:
                    case.validate_response(self._send(case, asker), checks=checks)
                except FailureGroup as failure:
                    failure.add_note(f"as {asker.name}")
                    raise

        run()

    def _send(self, case: Any, asker: Asker) -> requests.Response:
        session = next(self.sessions)
        request = session.prepare_request(requests.Request(**case.as_transport_kwargs(base_url=self.url)))
        parts = urlsplit(request.url)
        request.headers.update(asker.sign(request.method, parts.path, parts.query, _body_of(request)))
        return session.send(request, timeout=TIMEOUT_SECONDS, allow_redirects=False)


def _body_of(request: requests.PreparedRequest) -> bytes:
    body = request.body or b""
    return body.encode() if isinstance(body, str) else body
