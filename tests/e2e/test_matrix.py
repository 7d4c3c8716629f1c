"""Every route with every kind of caller, on the whole platform: what must happen follows from the routes' policies and
from what roles and scopes grant, so a route that is added tomorrow is walked tomorrow.
"""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count

import httpx
import pytest
from auth.domain.api_keys import MONEY_SCOPES, PERMISSIONS_BY_SCOPE, permissions_of_key
from auth.domain.roles import ADMIN_ROLE, SUPPORT_ROLE, USER_ROLE, permissions_of
from chassis.clock import SystemClock
from chassis.ids import RandomIds
from chassis.settings import Profile
from chassis.testing.services import identity_of
from gateway.admission.policy import Access
from gateway.bootstrap import build
from gateway.routes.endpoint import Endpoint
from gateway.settings import GatewaySettings
from local_stack.platform import Platform

from tests.credentials import Phone, enrolled, signed
from tests.customers import PASSWORD, Customer, Json, mailed_code, new_email, patiently, sign_up
from tests.error_shape import assert_error

# What stands in a path and belongs to one person: to all others it does not exist.
OWNED = frozenset({"order_id", "client_order_id", "session_id", "key_id"})
UNKNOWN_ID = "00000000-0000-7000-8000-00000000dead"
MALFORMED = b"{"  # a body that no route takes: who gets so far that it is read has been let in
LET_IN = "let in"
NO_SUCH_THING = "does not exist"
# All that the door itself may say to keep somebody out.
REFUSALS = frozenset(
    {"not_signed_in", "invalid_token", "session_revoked", "api_key_revoked", "invalid_signature", "permission_required",
     "api_key_not_allowed", "step_up_required", "not_an_api_key"}
)  # fmt: skip
NETWORK = "127.0.1.0/24"  # of which each caller has an address
_METHODS = ("GET", "POST", "PATCH", "PUT", "DELETE")  # what deletes comes last
_SPENDING = "logOutAll"  # takes no body, so it happens; after everything else

Sign = Callable[[str, str, bytes], dict[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """`permissions` None: nobody whom the platform lets in, and `refusal` is what they hear."""

    name: str
    http: httpx.AsyncClient
    sign: Sign
    permissions: frozenset[str] | None = None
    refusal: str = "not_signed_in"
    by_key: bool = False
    stepped_up: bool = False
    # Whether what stands in the paths is theirs.
    owns: bool = False


@dataclass(slots=True)
class Cast:
    """Whoever there is, and whose things they ask for: strangers first, since owners delete."""

    strangers: list[Caller] = field(default_factory=list)
    owners: list[Caller] = field(default_factory=list)
    # By name of a parameter in a path.
    things: dict[str, str] = field(default_factory=dict)
    owner: Customer | None = None


def expected(endpoint: Endpoint, caller: Caller) -> str:
    """LET_IN, NO_SUCH_THING, or the reason of the refusal: the policy read as a person would."""
    if endpoint.access is Access.PUBLIC:
        return LET_IN
    if caller.permissions is None:
        return LET_IN if endpoint.access is Access.OPTIONAL else caller.refusal
    refusals = {
        "api_key_not_allowed": caller.by_key and endpoint.permission is None,
        "permission_required": endpoint.permission not in {None, *caller.permissions},
        "not_an_api_key": endpoint.by_key_only and not caller.by_key,
        "step_up_required": endpoint.policy.step_up and not (caller.by_key or caller.stepped_up),
        NO_SUCH_THING: _owned(endpoint) and not caller.owns,
    }
    return next((reason for reason, holds in refusals.items() if holds), LET_IN)


def _owned(endpoint: Endpoint) -> bool:
    return any(f"{{{name}}}" in endpoint.path for name in OWNED)


async def routes() -> list[Endpoint]:
    settings = GatewaySettings.model_validate(
        {"profile": Profile.TEST, "redis_url": "redis://127.0.0.1:1/0", "mailbox_url": "http://127.0.0.1:1"}
    )
    gateway = build(settings, identity=identity_of("gateway"), clock=SystemClock(), ids=RandomIds())
    await gateway.close()
    order = {method: place for place, method in enumerate(_METHODS)}
    return sorted(gateway.application.endpoints, key=lambda one: (one.operation_id == _SPENDING, order[one.method]))


@pytest.fixture(scope="module")
async def cast(platform: Platform, http: httpx.AsyncClient) -> AsyncIterator[Cast]:
    async with AsyncExitStack() as stack:
        numbers = count(10)

        async def own_address() -> httpx.AsyncClient:
            # Each from an address of its own, so that nobody spends another's allowance.
            return await stack.enter_async_context(_from_address(platform, f"127.0.1.{next(numbers)}"))

        yield await _assemble(platform, http, own_address)


@asynccontextmanager
async def _from_address(platform: Platform, address: str) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.AsyncHTTPTransport(local_address=address)
    async with httpx.AsyncClient(base_url=platform.gateway_url, transport=transport, timeout=30) as client:
        yield client


async def _assemble(platform: Platform, http: httpx.AsyncClient, own_address: Callable[[], object]) -> Cast:
    cast = Cast()
    of_user = frozenset(permissions_of((USER_ROLE,)))

    async def add(name: str, sign: Sign, *, owns: bool = False, **facts: object) -> None:
        caller = Caller(name=name, http=await own_address(), sign=sign, owns=owns, **facts)  # type: ignore[arg-type,misc]
        (cast.owners if owns else cast.strangers).append(caller)

    owner = await sign_up(http)
    cast.owner = owner
    phone, recovery_codes = await enrolled(owner)
    await _step_up(owner, phone)
    cast.things["session_id"] = await _another_session(owner, recovery_codes[0])
    keys = {scope: await _new_key(owner, scope) for scope in PERMISSIONS_BY_SCOPE}
    spare = await _new_key(owner, "read")
    order = await owner.place(type="stop", quantity="0.001", stop_price="900000", client_order_id="mine")
    cast.things |= {"order_id": order["id"], "client_order_id": "mine", "key_id": spare["id"]}
    cast.things |= {"user_id": owner.user_id, "symbol": "BTC-USD", "code": "BTC"}

    await add("nobody", lambda *_: {})
    await add("unverified", _bearer(await _unverified(http)), refusal="invalid_token")
    await add("second factor pending", _bearer(await _challenge(http, owner)), refusal="invalid_token")
    frozen, frozen_key = await _frozen(http)
    await add("frozen", _bearer(frozen.access_token), refusal="session_revoked")
    await add("key of a frozen account", _signing(frozen_key), refusal="api_key_revoked")
    for role in (USER_ROLE, SUPPORT_ROLE, ADMIN_ROLE):
        customer = await _with_role(platform, http, role)
        permissions = frozenset(permissions_of({USER_ROLE, role}))
        await add(f"other {role}", _bearer(customer.access_token), permissions=permissions)
    for scope, key in keys.items():
        permissions = frozenset(permissions_of_key((scope,), of_user))
        await add(f"key to {scope}", _signing(key), permissions=permissions, by_key=True, owns=True)
    await add("owner", _bearer(owner.access_token), permissions=of_user, stepped_up=True, owns=True)
    return cast


def _bearer(token: str) -> Sign:
    return lambda *_: {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}


def _signing(key: Json) -> Sign:
    return lambda method, path, body: signed(key, method, path, body)


async def _step_up(customer: Customer, phone: Phone) -> None:
    reply = await customer.send("POST", "/auth/step-up", {"code": phone.code()})
    assert reply.status_code == 200, reply.text


async def _another_session(customer: Customer, code: str) -> str:
    """The id of one that the customer may end without losing the first."""
    body = {"challenge": await _challenge(customer.http, customer), "code": code, "delivery": "body"}
    reply = await customer.http.post("/api/v1/auth/login/mfa", json=body)
    assert reply.status_code == 200, reply.text
    session_id: str = reply.json()["session_id"]
    return session_id


async def _new_key(customer: Customer, scope: str) -> Json:
    networks = [NETWORK] if scope in MONEY_SCOPES else []
    reply = await customer.send("POST", "/api-keys", {"name": scope, "scopes": [scope], "networks": networks})
    assert reply.status_code == 201, reply.text
    document: Json = reply.json()
    return document


async def _challenge(http: httpx.AsyncClient, customer: Customer) -> str:
    credentials = {"email": customer.email, "password": PASSWORD, "delivery": "body"}
    return assert_error(await http.post("/api/v1/auth/login", json=credentials), 401, "MFA_REQUIRED")["challenge"]


async def _unverified(http: httpx.AsyncClient) -> str:
    """All that somebody has who has not confirmed the address: a code. Signing in gives them nothing."""
    credentials = {"email": new_email(), "password": PASSWORD}
    assert (await http.post("/api/v1/auth/signup", json={**credentials, "name": "Ada"})).status_code == 202
    code = await mailed_code(http, credentials["email"])
    reply = await http.post("/api/v1/auth/login", json={**credentials, "delivery": "body"})
    assert_error(reply, 401, "AUTHENTICATION_ERROR", "invalid_credentials")
    return code


async def _frozen(http: httpx.AsyncClient) -> tuple[Customer, Json]:
    customer = await sign_up(http, funded=False)
    phone, _ = await enrolled(customer)
    await _step_up(customer, phone)
    key = await _new_key(customer, "read")
    own = "/api/v1/api-keys/self"
    assert (await http.get(own, headers=signed(key, "GET", own))).status_code == 200
    assert (await customer.send("POST", "/auth/freeze", {})).status_code == 202
    return customer, key


async def _with_role(platform: Platform, http: httpx.AsyncClient, role: str) -> Customer:
    customer = await sign_up(http, funded=False)
    if role != USER_ROLE:
        await platform.operate("grant-role", customer.email, role)
        reply = await http.post("/api/v1/auth/refresh", json={"refresh_token": customer.refresh_token})
        customer.access_token = reply.json()["access_token"]
    return customer


async def _walk(endpoints: list[Endpoint], caller: Caller, things: dict[str, str]) -> list[str]:
    """What went otherwise than the policies say."""
    wrong = []
    for endpoint in endpoints:
        wanted = expected(endpoint, caller)
        reply = await _ask(endpoint, caller, things, wanted)
        heard = _heard(reply, endpoint, caller)
        if heard != wanted:
            wrong.append(f"{caller.name}: {endpoint.operation_id}: {heard} instead of {wanted}: {reply.text[:200]}")
    return wrong


async def _ask(endpoint: Endpoint, caller: Caller, things: dict[str, str], wanted: str) -> httpx.Response:
    parts = (things.get(part[1:-1], UNKNOWN_ID) if part.startswith("{") else part for part in endpoint.path.split("/"))
    path = "/".join(parts)
    body = b""
    if endpoint.body is not None:
        # What another person owns must not exist however good the request is.
        body = json.dumps(endpoint.body_example).encode() if wanted == NO_SUCH_THING else MALFORMED

    async def ask() -> httpx.Response:
        headers = {"Content-Type": "application/json", **caller.sign(endpoint.method, path, body)}
        return await caller.http.request(endpoint.method, path, content=body, headers=headers)

    return await patiently(ask)


def _heard(reply: httpx.Response, endpoint: Endpoint, caller: Caller) -> str:
    if reply.is_error and reply.status_code < 500:
        error = reply.json()["error"]
        reason: str = error["details"]["reason"]
        if reason in REFUSALS:
            assert_error(reply, 403 if error["code"] == "AUTHORIZATION_ERROR" else 401, error["code"])
            return reason
        if reply.status_code == 404 and _owned(endpoint) and not caller.owns:
            return NO_SUCH_THING
        shown_to_its_owner = not (caller.owns and _owned(endpoint) and endpoint.method == "GET")
        return LET_IN if reply.status_code in {400, 404, 409, 422} and shown_to_its_owner else f"{reply.status_code}"
    return LET_IN if reply.is_success else f"{reply.status_code}"


async def test_every_route_treats_every_kind_of_caller_as_its_policy_says(cast: Cast) -> None:
    endpoints = await routes()
    assert len(endpoints) >= 55
    wrong = [line for caller in cast.strangers for line in await _walk(endpoints, caller, cast.things)]
    assert wrong == []
    assert cast.owner is not None
    order = await cast.owner.get(f"/orders/{cast.things['order_id']}")
    assert order["status"] == "new", "a stranger has touched it"
    wrong = [line for caller in cast.owners for line in await _walk(endpoints, caller, cast.things)]
    assert wrong == []


async def test_the_callers_are_of_every_kind_and_every_outcome_is_expected_of_somebody(cast: Cast) -> None:
    callers = [*cast.strangers, *cast.owners]
    assert len({caller.name for caller in callers}) == len(callers) == 8 + len(PERMISSIONS_BY_SCOPE) + 1
    outcomes = {expected(endpoint, caller) for endpoint in await routes() for caller in callers}
    assert outcomes == (REFUSALS - {"invalid_signature"}) | {LET_IN, NO_SUCH_THING}
