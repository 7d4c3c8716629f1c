"""The tables: throttle, refresh, claims, names, codes."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from auth.domain.devices import device_name
from auth.domain.email_address import EmailAddress
from auth.domain.errors import InvalidName, UnknownRole
from auth.domain.login_throttle import FAILURES_MAX, OPEN, LoginThrottle, lock_duration
from auth.domain.one_time_codes import code_digits, parse_code
from auth.domain.roles import ADMIN_ROLE, PERMISSIONS_BY_ROLE, SUPPORT_ROLE, USER_ROLE, known_role, permissions_of
from auth.domain.sessions import RefreshVerdict, Session, judge_refresh, opened_session
from auth.domain.users import NO_PASSWORD, claimed_again, claimed_user, display_name, with_code_sent

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ID = UUID(int=1)


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def failed(times: int, *, start: LoginThrottle = OPEN, now: datetime = NOON) -> LoginThrottle:
    for _ in range(times):
        start = start.after_failure(now)
    return start


@pytest.mark.parametrize(
    ("throttle", "now", "seconds_locked"),
    [
        (OPEN, NOON, 0),
        (failed(4), NOON, 0),
        (failed(5), NOON, 900),
        (failed(5), after(0.5), 900),
        (failed(5), after(899.999), 1),
        (failed(5), after(900), 0),
        (failed(9), after(600), 300),
        # A failure while locked does not prolong it.
        (failed(1, start=failed(5), now=after(899)), after(900), 0),
        # After a lock the count starts anew: five more tries, then closed again.
        (failed(4, start=failed(5), now=after(900)), after(900), 0),
        (failed(5, start=failed(5), now=after(900)), after(900), 1800),
        # A lock that nobody has touched for a day leaves nothing behind.
        (failed(5, start=failed(5), now=after(900 + 86_400)), after(900 + 86_400), 900),
        # Failures of a day ago are forgotten.
        (failed(1, start=failed(4), now=after(86_399)), after(86_399), 900),
        (failed(1, start=failed(4), now=after(86_400)), after(86_400), 0),
    ],
)
def test_five_failures_close_for_fifteen_minutes_and_then_for_longer(
    throttle: LoginThrottle, now: datetime, seconds_locked: int
) -> None:
    assert throttle.seconds_locked(now) == seconds_locked
    assert throttle.failed_attempts <= FAILURES_MAX


@pytest.mark.parametrize(("locks", "minutes"), [(0, 15), (1, 30), (2, 60), (6, 960), (7, 1440), (1000, 1440)])
def test_each_lock_lasts_twice_as_long_up_to_a_day(locks: int, minutes: int) -> None:
    assert lock_duration(locks) == timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("", ""),
        ("Mozilla/5.0  (X11)\tGecko ", "Mozilla/5.0 (X11) Gecko"),
        ("a\r\nSet-Cookie: x", "a Set-Cookie: x"),
        ("\x00\u202eevil", "evil"),
        ("x" * 500, "x" * 200),
    ],
)
def test_a_device_calls_itself_something_that_fits_a_line(header: str, name: str) -> None:
    assert device_name(header) == name


def session(
    *, generation: int = 3, rotated: float = 0, by_device: bool = True, revoked: bool = False, expires: float = 1000
) -> Session:
    return Session(
        id=ID, user_id=ID, seed=b"s", generation=generation, created_at=NOON, rotated_at=after(rotated),
        rotated_by_device=by_device, expires_at=after(expires), device_id=ID, device_name="", address=None,
        revoked_at=NOON if revoked else None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("held", "generation", "shown", "seconds", "verdict"),
    [
        (session(), 3, "device", 500, RefreshVerdict.ROTATE),
        (session(), 3, "nothing", 500, RefreshVerdict.ROTATE),
        (session(), 2, "device", 0, RefreshVerdict.REPEAT),
        (session(), 2, "device", 10, RefreshVerdict.REPEAT),
        (session(), 2, "device", 10.001, RefreshVerdict.REUSED),
        (session(), 2, "nothing", 0, RefreshVerdict.REUSED),
        # The owner's device comes second: whoever was first did not show it.
        (session(by_device=False), 2, "device", 0, RefreshVerdict.REUSED),
        (session(by_device=False), 2, "nothing", 0, RefreshVerdict.REUSED),
        (session(), 1, "device", 0, RefreshVerdict.REUSED),
        (session(), 0, "device", 500, RefreshVerdict.REUSED),
        (session(), 4, "device", 0, RefreshVerdict.ENDED),
        (session(), 3, "device", 1000, RefreshVerdict.ENDED),
        (session(revoked=True), 3, "device", 0, RefreshVerdict.ENDED),
        (session(revoked=True), 2, "device", 0, RefreshVerdict.ENDED),
        (session(revoked=True), 1, "device", 0, RefreshVerdict.ENDED),
        (session(expires=0), 1, "device", 0, RefreshVerdict.ENDED),
    ],
)
def test_what_a_genuine_refresh_token_gets(
    held: Session, generation: int, shown: str, seconds: float, verdict: RefreshVerdict
) -> None:
    by_device = shown == "device"
    assert judge_refresh(held, generation=generation, by_device=by_device, now=after(seconds)) is verdict


def test_a_new_session_has_an_unspent_token() -> None:
    held = opened_session(
        session_id=ID,
        user_id=ID,
        seed=b"s",
        device_id=UUID(int=3),
        device_name="",
        address=None,
        now=NOON,
    )
    assert judge_refresh(held, generation=0, by_device=False, now=NOON) is RefreshVerdict.ROTATE


@pytest.mark.parametrize(
    ("seconds", "origin", "password_hash"),
    [
        (1, "here", "new"),  # typed again
        (599, "there", NO_PASSWORD),  # two parties while a code lives
        (600, "there", "new"),  # the first one's code is dead
        (600, "here", "new"),
    ],
)
def test_what_a_second_claim_makes_of_the_password(seconds: float, origin: str, password_hash: str) -> None:
    user = claimed_user(
        user_id=ID, email=EmailAddress("a@b.example"), name="A", password_hash="old", origin="here", now=NOON
    )
    again = claimed_again(user, name="B", password_hash="new", origin=origin, now=after(seconds))
    assert again.password_hash == password_hash


def test_a_dispute_lasts_while_its_code_lives() -> None:
    user = claimed_user(
        user_id=ID, email=EmailAddress("a@b.example"), name="A", password_hash="old", origin="here", now=NOON
    )
    disputed = claimed_again(user, name="B", password_hash="b", origin="there", now=NOON)
    for origin in ("here", "there", "elsewhere"):
        assert claimed_again(disputed, name="C", password_hash="c", origin=origin, now=after(1)).password_hash == ""
    sent = with_code_sent(disputed, after(300))
    assert sent is not None
    assert claimed_again(sent, name="C", password_hash="c", origin="here", now=after(899)).password_hash == ""
    assert claimed_again(sent, name="C", password_hash="c", origin="here", now=after(900)).password_hash == "c"


@pytest.mark.parametrize(
    ("typed", "shown"), [(" Ada ", "Ada"),
     ("Zo\u0065\u0308", "Zo\u00eb"), ("\u5f20\u4f1f", "\u5f20\u4f1f"),
     ("\u0639\u0644\u06cc\u200c\u0646\u0698\u0627\u062f",) * 2, ("n" * 100, "n" * 100)]
)  # fmt: skip
def test_names_are_shown_as_typed(typed: str, shown: str) -> None:
    assert display_name(typed) == shown


@pytest.mark.parametrize("typed", [
    "", "  ", "n" * 101, "n" * 100_000, "a\nb", "a\x7fb", "a\u2028b", "<b>Ada</b>", "http://evil.example",
    "\u202eadA", "a\u2067b", "\u200b", "\u2060 \ufeff"])  # fmt: skip
def test_names_that_could_do_more_than_name_are_refused(typed: str) -> None:
    with pytest.raises(InvalidName):
        display_name(typed)


@pytest.mark.parametrize(("number", "digits"), [(0, "000000"), (42, "000042"), (999_999, "999999")])
def test_codes_have_six_digits(number: int, digits: str) -> None:
    assert code_digits(number) == digits
    assert parse_code(f" {digits[:3]} {digits[3:]} ") == digits


def test_a_role_that_is_not_known_permits_nothing() -> None:
    assert permissions_of(["wizard"]) == ()
    assert "orders:write" in permissions_of(["user", "wizard", "user"])


def test_only_an_administrator_changes_what_is_not_their_own() -> None:
    own = set(permissions_of([USER_ROLE]))
    assert "markets:write" not in own
    support = set(permissions_of([SUPPORT_ROLE]))
    assert support.isdisjoint(own)
    assert all(permission.endswith(":read") for permission in support)
    assert support < set(permissions_of([ADMIN_ROLE]))
    assert {"markets:write", "withdrawals:approve"} <= set(permissions_of([ADMIN_ROLE]))


def test_a_role_is_named_exactly() -> None:
    assert [known_role(name) for name in PERMISSIONS_BY_ROLE] == list(PERMISSIONS_BY_ROLE)
    for name in ("root", "Admin", "admin ", ""):
        with pytest.raises(UnknownRole) as refusal:
            known_role(name)
        assert refusal.value.details == {"field": "role", "rule": "known_role"}


def test_what_is_secret_of_an_account_or_session_is_not_in_its_text() -> None:
    user = claimed_user(
        user_id=ID, email=EmailAddress("ada@example.com"), name="Ada", password_hash="$argon2", origin="o", now=NOON
    )
    session = opened_session(
        session_id=ID, user_id=ID, seed=b"a seed", device_id=ID, device_name="", address=None, now=NOON
    )
    assert "$argon2" not in repr(user)
    assert "a seed" not in repr(session)
