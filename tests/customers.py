"""People who use the public door as a program would: bearer tokens, decimal strings, idempotency keys.

Who is told to come again does so, for a while: a test is about what it says, not about a machine that was busy.
"""

import asyncio
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, Decimal
from typing import Any, Self

import httpx
from chassis.testing import eventually

PASSWORD = "correct horse battery staple"
PRACTICE_MONEY = Decimal(10_000)
# A second in peace; the rest is for a machine where a dozen others want the processor.
MAIL_SECONDS = 60.0
PATIENCE_SECONDS = 60.0
UNAVAILABLE = 503
CODE = re.compile(r"(?<!\d)\d{6}(?!\d)")

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class MarketRules:
    """What an order in one market must keep to."""

    symbol: str
    tick: Decimal
    lot: Decimal

    @classmethod
    def of(cls, document: Json) -> Self:
        return cls(document["symbol"], Decimal(document["tick"]), Decimal(document["lot"]))

    def price(self, value: Decimal) -> str:
        return f"{(value / self.tick).quantize(Decimal(1), rounding=ROUND_DOWN) * self.tick:f}"

    def quantity(self, value: Decimal) -> str:
        return f"{(value / self.lot).quantize(Decimal(1), rounding=ROUND_DOWN) * self.lot:f}"


@dataclass(slots=True)
class Customer:
    """One signed-in person. Money comes back as Decimal; replies that should succeed are checked."""

    http: httpx.AsyncClient
    email: str
    user_id: str
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.access_token}"}

    async def send(
        self, method: str, path: str, body: Json | None = None, *, key: str | None = None, **query: str
    ) -> httpx.Response:
        """Any reply, as it is."""
        headers = self.bearer | ({"Idempotency-Key": key} if key is not None else {})
        return await self.http.request(method, f"/api/v1{path}", json=body, headers=headers, params=query)

    async def get(self, path: str, **query: str) -> Json:
        reply = await patiently(lambda: self.send("GET", path, **query))
        assert reply.status_code == 200, reply.text
        document: Json = reply.json()
        return document

    async def place(self, *, key: str | None = None, **order: str | bool) -> Json:
        """Places an order that must be accepted; BTC-USD and buying unless said otherwise. Repeats it under one key."""
        only_once = key or secrets.token_hex(8)
        reply = await patiently(lambda: self.try_to_place(key=only_once, **order))
        assert reply.status_code == 201, reply.text
        document: Json = reply.json()
        return document

    async def try_to_place(self, *, key: str | None = None, **order: str | bool) -> httpx.Response:
        return await self.send("POST", "/orders", {"market": "BTC-USD", "side": "buy", **order}, key=key)

    async def cancel(self, order_id: str) -> httpx.Response:
        return await self.send("DELETE", f"/orders/{order_id}")

    async def balances(self) -> dict[str, Json]:
        """By asset."""
        return {balance["asset"]: balance for balance in (await self.get("/wallet/balances"))["items"]}

    async def available(self, asset: str = "USD") -> Decimal:
        return amount(await self.balances(), asset, "available")

    async def held(self, asset: str = "USD") -> Decimal:
        return amount(await self.balances(), asset, "held")

    async def orders(self) -> list[Json]:
        """All of them, page by page."""
        found: list[Json] = []
        cursor: str | None = None
        while True:
            page = await self.get("/orders", limit="200", **({} if cursor is None else {"cursor": cursor}))
            found += page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return found


def amount(balances: Mapping[str, Json], asset: str, field_name: str) -> Decimal:
    return Decimal(balances[asset][field_name]) if asset in balances else Decimal(0)


async def patiently(ask: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
    """Any reply but 503, which is asked for again when it says; the last one where it stays."""
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        reply = await ask()
        if reply.status_code != UNAVAILABLE or time.monotonic() > until:
            return reply
        await asyncio.sleep(float(reply.headers["retry-after"]))


def new_email() -> str:
    return f"person-{secrets.token_hex(6)}@example.com"


async def sign_up(http: httpx.AsyncClient, *, email: str | None = None, funded: bool = True) -> Customer:
    """Somebody new, verified by the code in the mail; `funded` waits for the practice money too."""
    email = email or new_email()
    body = {"email": email, "password": PASSWORD, "name": "Ada"}
    reply = await patiently(lambda: http.post("/api/v1/auth/signup", json=body))
    assert reply.status_code == 202, reply.text
    proof = {"email": email, "code": await mailed_code(http, email), "delivery": "body"}
    reply = await patiently(lambda: http.post("/api/v1/auth/verify-email", json=proof))
    assert reply.status_code == 200, reply.text
    signed_in = reply.json()
    customer = Customer(
        http=http,
        email=email,
        user_id=signed_in["user"]["id"],
        access_token=signed_in["access_token"],
        refresh_token=signed_in["refresh_token"],
    )
    if funded:
        await eventually(lambda: _has_practice_money(customer), timeout_seconds=MAIL_SECONDS)
    return customer


async def mails_to(http: httpx.AsyncClient, email: str) -> list[Json]:
    """Newest first."""
    mailbox = await http.get("/dev/mailbox", headers={"Accept": "application/json"})
    assert mailbox.status_code == 200, mailbox.text
    return [mail for mail in mailbox.json() if mail["to"] == email]


async def mailed_code(http: httpx.AsyncClient, email: str) -> str:
    async def arrived() -> str | None:
        for mail in await mails_to(http, email):
            found = CODE.search(mail["text"])
            if found:
                return found.group()
        return None

    code = await eventually(arrived, timeout_seconds=MAIL_SECONDS)
    assert code is not None
    return code


async def _has_practice_money(customer: Customer) -> bool:
    return await customer.available() == PRACTICE_MONEY
