"""What people prove themselves with beside a password: an authenticator app, and keys that sign."""

import hashlib
import hmac
import secrets
import time

import pyotp

from tests.customers import PASSWORD, Customer, Json

SECONDS_PER_STEP = 30


class Phone:
    """An authenticator app. A code is good once, so it is asked for the code of the step that comes next, which a
    clock half a minute slow would show.
    """

    def __init__(self, secret: str) -> None:
        self._app = pyotp.TOTP(secret)
        self._last = 0

    def code(self) -> str:
        step = max(self._last + 1, int(time.time()) // SECONDS_PER_STEP - 1)
        self._last = step
        return self._app.generate_otp(step)


async def enrolled(customer: Customer) -> tuple[Phone, list[str]]:
    """The customer's phone, from now on asked for at every sign-in, and the recovery codes."""
    proposed = (await customer.send("POST", "/auth/2fa/setup")).json()
    assert proposed["otpauth_uri"].startswith("otpauth://totp/CryptoVault:")
    phone = Phone(proposed["secret"])
    reply = await customer.send("POST", "/auth/2fa/enable", {"code": phone.code(), "password": PASSWORD})
    assert reply.status_code == 200, reply.text
    return phone, reply.json()["recovery_codes"]


def signed(key: Json, method: str, path: str, body: bytes = b"", *, query: str = "") -> dict[str, str]:
    """The headers of a request, path and query as they are sent, signed by a key as POST /api-keys showed it."""
    timestamp, nonce = str(int(time.time() * 1000)), secrets.token_hex(16)
    text = "\n".join((timestamp, nonce, method, path, query, hashlib.sha256(body).hexdigest()))
    signature = hmac.new(key["secret"].encode(), text.encode(), hashlib.sha256).hexdigest()
    headers = {"X-API-Key": key["id"], "X-API-Timestamp": timestamp, "X-API-Nonce": nonce}
    return {**headers, "X-API-Signature": signature, "Content-Type": "application/json"}
