"""A signed-in device: one session, one line of refresh tokens, each spent by the next."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

ACCESS_LIFETIME = timedelta(minutes=30)
# So long tokens are void once their session has ended: longer than they live, since who has read the session just
# before makes one a moment after, and no two clocks agree.
REVOKED_FOR = ACCESS_LIFETIME + timedelta(minutes=1)
REFRESH_LIFETIME = timedelta(days=7)  # of each token, from its making
SESSION_LIFETIME = timedelta(days=30)  # however often it is refreshed; then sign in again
REPEAT_GRACE = timedelta(seconds=10)  # two tabs at once, or a reply that was lost


@dataclass(frozen=True, slots=True)
class Session:
    """`generation` counts rotations: only the token of the current one is unspent. `seed` makes its tokens its own.

    `device_id` is the same for all sessions of one device. `rotated_by_device` says that whoever asked for the last
    rotation showed that device's token; `address` is where they asked from, for the owner's eyes.
    """

    id: UUID
    user_id: UUID
    seed: bytes = field(repr=False)
    generation: int
    created_at: datetime
    rotated_at: datetime
    rotated_by_device: bool
    expires_at: datetime
    device_id: UUID
    device_name: str
    address: str | None
    revoked_at: datetime | None = None
    # A second factor was shown a moment ago; what needs one is open until then.
    stepped_up_until: datetime | None = None


class RefreshVerdict(StrEnum):
    ROTATE = "rotate"  # the current token: spend it
    REPEAT = "repeat"  # spent a moment ago by the same device: the same successor again
    REUSED = "reused"  # spent long ago, or by somebody else: a copy is about, the session ends
    ENDED = "ended"


def opened_session(
    *,
    session_id: UUID,
    user_id: UUID,
    seed: bytes,
    device_id: UUID,
    device_name: str,
    address: str | None,
    now: datetime,
) -> Session:
    return Session(
        id=session_id, user_id=user_id, seed=seed, generation=0, created_at=now, rotated_at=now,
        rotated_by_device=False, expires_at=now + REFRESH_LIFETIME, device_id=device_id, device_name=device_name,
        address=address,
    )  # fmt: skip


def judge_refresh(session: Session, *, generation: int, by_device: bool, now: datetime) -> RefreshVerdict:
    """What a genuine token of that generation gets; `by_device` says that the token of the session's device came too.

    Of two who spend one token both must have shown it: an address proves no device, since a thief may share it. A
    generation ahead of the session's is one that a restored backup has forgotten: it is ended, not trusted.
    """
    if session.revoked_at is not None or session.expires_at <= now or generation > session.generation:
        return RefreshVerdict.ENDED
    if generation == session.generation:
        return RefreshVerdict.ROTATE
    just_spent = generation == session.generation - 1 and now - session.rotated_at <= REPEAT_GRACE
    same_device = by_device and session.rotated_by_device
    return RefreshVerdict.REPEAT if just_spent and same_device else RefreshVerdict.REUSED


def refresh_expiry(session: Session, now: datetime) -> datetime:
    """When the token made now ends: 7 days on, but never past the session's own end."""
    return min(now + REFRESH_LIFETIME, session.created_at + SESSION_LIFETIME)
