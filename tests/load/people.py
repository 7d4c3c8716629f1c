"""People for the bench: signed up through the public door, with the code from the mailbox and practice money."""

import asyncio
import re
from dataclasses import dataclass

import httpx

PASSWORD = "correct horse battery staple"
READY_SECONDS = 60.0
_CODE = re.compile(r"\b(\d{6})\b")


@dataclass(slots=True)
class Person:
    email: str
    user_id: str
    access_token: str
    refresh_token: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.access_token}"}


async def sign_up(client: httpx.AsyncClient, number: int) -> Person:
    """One verified person with money. Raises when the platform does not answer as its API says."""
    email = f"person{number}@bench.example"
    body = {"email": email, "password": PASSWORD, "name": f"Person {number}"}
    (await client.post("/api/v1/auth/signup", json=body)).raise_for_status()
    code = await _code_for(client, email)
    body = {"email": email, "code": code, "delivery": "body"}
    verified = (await client.post("/api/v1/auth/verify-email", json=body)).raise_for_status().json()
    person = Person(email, verified["user"]["id"], verified["access_token"], verified["refresh_token"])
    await _practice_money(client, person)
    return person


async def _code_for(client: httpx.AsyncClient, email: str) -> str:
    async with asyncio.timeout(READY_SECONDS):
        while True:
            for mail in (await client.get("/dev/mailbox", headers={"Accept": "application/json"})).json():
                found = _CODE.search(mail["text"]) if mail["to"] == email else None
                if found:
                    return found.group(1)
            await asyncio.sleep(0.1)


async def _practice_money(client: httpx.AsyncClient, person: Person) -> None:
    async with asyncio.timeout(READY_SECONDS):
        while True:
            reply = await client.get("/api/v1/wallet/balances", headers=person.headers)
            reply.raise_for_status()
            if any(balance["asset"] == "USD" for balance in reply.json()["items"]):
                return
            await asyncio.sleep(0.1)
