"""Second factor, API keys, forgotten passwords and a frozen account, from the public door to the mailbox."""

import json
import re

import httpx
from chassis.testing import eventually
from local_stack.platform import Platform

from tests.credentials import enrolled, signed
from tests.customers import MAIL_SECONDS, PASSWORD, Customer, mails_to, sign_up
from tests.error_shape import assert_error

NEW_PASSWORD = "a new battery staple"


async def test_a_second_factor_opens_the_door_and_what_is_dear(http: httpx.AsyncClient, customer: Customer) -> None:
    phone, recovery = await enrolled(customer)
    credentials = {"email": customer.email, "password": PASSWORD, "delivery": "body"}
    refused = await http.post("/api/v1/auth/login", json=credentials)
    challenge = assert_error(refused, 401, "MFA_REQUIRED")["challenge"]
    answer = {"challenge": challenge, "code": recovery[0], "delivery": "body"}
    reply = await http.post("/api/v1/auth/login/mfa", json=answer)
    assert reply.status_code == 200, reply.text
    assert_error(await http.post("/api/v1/auth/login/mfa", json=answer), 401, "AUTHENTICATION_ERROR")
    wanted = {"name": "bot", "scopes": ["read", "trade"], "networks": ["127.0.0.0/8"]}
    details = assert_error(await customer.send("POST", "/api-keys", wanted), 403, "AUTHORIZATION_ERROR")
    assert details == {"reason": "step_up_required", "two_factor": "enabled"}
    assert (await customer.send("POST", "/auth/step-up", {"code": phone.code()})).status_code == 200
    made = await customer.send("POST", "/api-keys", wanted)
    assert made.status_code == 201, made.text
    key = made.json()
    body = json.dumps({"market": "BTC-USD", "side": "buy", "type": "market", "quote_quantity": "50"}).encode()
    order = await http.post("/api/v1/orders", content=body, headers=signed(key, "POST", "/api/v1/orders", body))
    assert order.status_code == 201, order.text
    own = await http.get("/api/v1/api-keys/self", headers=signed(key, "GET", "/api/v1/api-keys/self"))
    assert (own.status_code, own.json()["name"]) == (200, "bot")
    assert (await customer.send("DELETE", f"/api-keys/{key['id']}")).status_code == 204
    ended = await http.get("/api/v1/api-keys/self", headers=signed(key, "GET", "/api/v1/api-keys/self"))
    assert assert_error(ended, 401, "AUTHENTICATION_ERROR")["reason"] == "api_key_revoked"


async def test_the_mail_of_a_new_device_freezes_and_a_reset_opens_again(http: httpx.AsyncClient) -> None:
    customer = await sign_up(http, funded=False)
    credentials = {"email": customer.email, "password": PASSWORD, "delivery": "body"}
    reply = await http.post("/api/v1/auth/login", json=credentials, headers={"User-Agent": "a thief's browser"})
    assert reply.status_code == 200

    async def link() -> str | None:
        for mail in await mails_to(http, customer.email):
            found = re.search(r"/freeze#(\S+)", mail["text"])
            if found and "a thief's browser" in mail["text"]:
                return found.group(1)
        return None

    token = await eventually(link, timeout_seconds=MAIL_SECONDS)
    assert (await http.post("/api/v1/auth/freeze", json={"token": token})).status_code == 202
    assert (await customer.send("GET", "/auth/me")).status_code == 401
    frozen = await http.post("/api/v1/auth/login", json=credentials)
    assert assert_error(frozen, 403, "AUTHORIZATION_ERROR") == {"reason": "account_frozen"}
    assert (await http.post("/api/v1/auth/password/forgot", json={"email": customer.email})).status_code == 202

    async def code() -> str | None:
        for mail in await mails_to(http, customer.email):
            found = re.search(r"(?<!\d)\d{6}(?!\d)", mail["text"])
            if mail["subject"].startswith("Reset") and found:
                return found.group()
        return None

    reset = {"email": customer.email, "code": await eventually(code, timeout_seconds=MAIL_SECONDS)}
    reply = await http.post("/api/v1/auth/password/reset", json={**reset, "new_password": NEW_PASSWORD})
    assert reply.status_code == 202, reply.text
    assert_error(await http.post("/api/v1/auth/login", json=credentials), 401, "AUTHENTICATION_ERROR")
    reply = await http.post("/api/v1/auth/login", json={**credentials, "password": NEW_PASSWORD})
    assert reply.status_code == 200, reply.text


async def test_an_operator_takes_a_lost_second_factor_off_and_its_owner_hears_of_it(
    platform: Platform, http: httpx.AsyncClient
) -> None:
    customer = await sign_up(http, funded=False)
    await enrolled(customer)
    await platform.operate("remove-second-factor", customer.email)
    assert (await customer.send("GET", "/auth/me")).status_code == 401
    credentials = {"email": customer.email, "password": PASSWORD, "delivery": "body"}
    frozen = await http.post("/api/v1/auth/login", json=credentials)
    assert assert_error(frozen, 403, "AUTHORIZATION_ERROR") == {"reason": "account_frozen"}

    async def told() -> bool:
        return any("removed by our support" in mail["subject"] for mail in await mails_to(http, customer.email))

    await eventually(told, timeout_seconds=MAIL_SECONDS)
