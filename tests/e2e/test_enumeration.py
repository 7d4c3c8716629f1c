"""Through the real door, byte by byte: the reply for an address with an account is the one for an address without.

That time does not tell either is proved beside auth, in services/auth/tests/use_cases/test_enumeration.py.
"""

import httpx
import pytest

from tests.customers import PASSWORD, Customer, new_email

# Of each request and each moment anew.
VOLATILE_HEADERS = {"x-request-id", "date", "ratelimit-remaining", "ratelimit-reset"}


@pytest.mark.parametrize(
    ("path", "more"),
    [
        ("login", {"password": "not this one", "delivery": "body"}),
        ("login", {"password": "not this one", "delivery": "cookie"}),
        ("signup", {"password": PASSWORD, "name": "Ada"}),
        ("resend-code", {}),
        ("verify-email", {"code": "000000", "delivery": "body"}),
        ("password/forgot", {}),
        ("password/reset", {"code": "000000", "new_password": "a new battery staple"}),
    ],
)
async def test_a_known_and_an_unknown_address_get_the_same_bytes(
    customer: Customer, http: httpx.AsyncClient, path: str, more: dict[str, str]
) -> None:
    known, unknown = [
        await http.post(f"/api/v1/auth/{path}", json={"email": email, **more})
        for email in (customer.email, new_email())
    ]
    assert known.status_code == unknown.status_code, known.text
    assert _without_names(known) == _without_names(unknown)
    assert _headers(known) == _headers(unknown)


def _without_names(reply: httpx.Response) -> str:
    text = reply.text.replace(reply.headers["x-request-id"], "")
    return text.replace(reply.json()["error"]["timestamp"], "") if reply.is_error else text


def _headers(reply: httpx.Response) -> list[tuple[str, str]]:
    return sorted((name, value) for name, value in reply.headers.multi_items() if name not in VOLATILE_HEADERS)
