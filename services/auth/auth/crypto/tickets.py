"""Signed tickets for one account and one purpose: a sign-in's challenge, a mail's link to freeze. Stored nowhere."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from auth.crypto.digests import derived_key
from auth.domain.notices import FREEZE_LINK_LIFETIME
from auth.domain.second_factor import CHALLENGE_LIFETIME
from auth.domain.users import User

_ID_BYTES = 16
_TIME_BYTES = 8
_PROOF_BYTES = 32
_LENGTH_MAX = 128


class SignedTickets:
    """Ticket = user id, end, HMAC-SHA256(key, both and what `bound_to` says of the account): where that changes, all
    tickets from before are void.
    """

    def __init__(self, root: bytes, *, purpose: str, lifetime: timedelta, bound_to: Callable[[User], str]) -> None:
        self._key = derived_key(root, purpose)
        self._lifetime = lifetime
        self._bound_to = bound_to

    def issue(self, user: User, now: datetime) -> str:
        head = user.id.bytes + int((now + self._lifetime).timestamp()).to_bytes(_TIME_BYTES)
        return base64.urlsafe_b64encode(head + self._proof(head, user)).rstrip(b"=").decode()

    def user_of(self, ticket: str) -> UUID | None:
        raw = _raw(ticket)
        return UUID(bytes=raw[:_ID_BYTES]) if raw else None

    def is_good(self, ticket: str, user: User, now: datetime) -> bool:
        raw = _raw(ticket)
        if raw is None:
            return False
        head, proof = raw[: _ID_BYTES + _TIME_BYTES], raw[_ID_BYTES + _TIME_BYTES :]
        if not hmac.compare_digest(proof, self._proof(head, user)):
            return False
        # Genuine from here on, so the number is one of ours.
        return now < datetime.fromtimestamp(int.from_bytes(head[_ID_BYTES:]), UTC)

    def _proof(self, head: bytes, user: User) -> bytes:
        return hmac.new(self._key, head + self._bound_to(user).encode(), hashlib.sha256).digest()


def challenge_tickets(root: bytes) -> SignedTickets:
    """Of a sign-in whose password was right: void when that is the password no longer."""
    return SignedTickets(
        root, purpose="sign-in-challenge", lifetime=CHALLENGE_LIFETIME, bound_to=lambda user: user.password_hash
    )


def freeze_tickets(root: bytes) -> SignedTickets:
    """Of a link in a mail: void when the mailbox's owner has taken the account back. Not when the password is changed
    in a session, which is what a thief would do first.
    """
    return SignedTickets(
        root, purpose="freeze", lifetime=FREEZE_LINK_LIFETIME, bound_to=lambda user: str(user.password_resets)
    )


def _raw(ticket: str) -> bytes | None:
    if len(ticket) > _LENGTH_MAX or not ticket.isascii():
        return None
    try:
        raw = base64.b64decode(ticket + "=" * (-len(ticket) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        return None
    return raw if len(raw) == _ID_BYTES + _TIME_BYTES + _PROOF_BYTES else None
