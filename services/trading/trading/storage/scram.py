"""SCRAM-SHA-256, the client's side: proves to know the password without telling it, and that the server knows it too.

https://www.rfc-editor.org/rfc/rfc5802 and 7677; without channel binding, as MongoDB does it.
"""

import base64
import hashlib
import hmac

from pymongo.saslprep import saslprep

# What the password is stretched by. Fewer than RFC 7677 asks for would let a false server learn a weak one; MongoDB
# takes 15,000 (10 ms), and more than these would hold the event loop for a second.
ITERATIONS_MIN = 4_096
ITERATIONS_MAX = 1_000_000

_NO_CHANNEL_BINDING = "n,,"


class ScramRefused(Exception):
    """The server's part of the conversation is not what a server that knows the password says."""


class ScramClient:
    """One conversation: `first`, then `proof` of the server's answer, then `check` of its last word."""

    def __init__(self, username: str, password: str, nonce: str) -> None:
        """`nonce`: at least 24 random characters of base64, of this conversation alone."""
        self._password = str(saslprep(password)).encode()
        self._nonce = nonce
        self._first = f"n={username.replace('=', '=3D').replace(',', '=2C')},r={nonce}"
        self._signature = b""

    def first(self) -> bytes:
        return f"{_NO_CHANNEL_BINDING}{self._first}".encode()

    def proof(self, server_first: bytes) -> bytes:
        """Raises ScramRefused."""
        told = _fields(server_first)
        nonce, salt, iterations = told.get("r", ""), told.get("s", ""), told.get("i", "")
        if not nonce.startswith(self._nonce) or len(nonce) <= len(self._nonce):
            raise ScramRefused("the answer is to another question")
        if not iterations.isdecimal() or not ITERATIONS_MIN <= int(iterations) <= ITERATIONS_MAX:
            raise ScramRefused(f"a password is stretched {ITERATIONS_MIN} to {ITERATIONS_MAX} times")
        salted = hashlib.pbkdf2_hmac("sha256", self._password, _decoded(salt), int(iterations))
        bare = f"c={base64.b64encode(_NO_CHANNEL_BINDING.encode()).decode()},r={nonce}"
        said = b",".join([self._first.encode(), server_first, bare.encode()])
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        signature = hmac.digest(hashlib.sha256(client_key).digest(), said, "sha256")
        self._signature = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), said, "sha256")
        proof = bytes(left ^ right for left, right in zip(client_key, signature, strict=True))
        return f"{bare},p={base64.b64encode(proof).decode()}".encode()

    def check(self, server_final: bytes) -> None:
        """Raises ScramRefused."""
        told = _fields(server_final).get("v", "")
        if not self._signature or not hmac.compare_digest(told.encode(), base64.b64encode(self._signature)):
            raise ScramRefused("the server does not know the password")


def _fields(message: bytes) -> dict[str, str]:
    return dict(part.split("=", 1) for part in message.decode(errors="replace").split(",") if "=" in part)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise ScramRefused("the salt is no base64") from error
