from datetime import timedelta

import pytest
from notifications.domain.mails import (
    PAUSE_MAX,
    TRANSITIONS,
    MailKind,
    MailStatus,
    MailTrigger,
    display_name,
    pause_before_try,
)


def test_nothing_follows_sent_or_failed() -> None:
    assert {start for start, _ in TRANSITIONS} == {MailStatus.QUEUED}
    assert {trigger for _, trigger in TRANSITIONS} == set(MailTrigger)


def test_pauses_double_up_to_a_longest() -> None:
    assert [pause_before_try(attempts).total_seconds() for attempts in (0, 1, 2, 3, 4)] == [2, 2, 4, 8, 16]
    assert pause_before_try(60) == PAUSE_MAX
    assert timedelta(minutes=1) < PAUSE_MAX


def test_codes_are_in_two_kinds_of_mails() -> None:
    assert {kind for kind in MailKind if kind.carries_code} == {MailKind.VERIFY_EMAIL, MailKind.RESET_PASSWORD}


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Ann", "Ann"),
        ("  Ann \n Bell\t", "Ann Bell"),
        ("Ann\r\nBcc: all@example.org", ""),
        ("J. R. Smith", "J. R. Smith"),
        ("Jürgen Müller-Łoś", "Jürgen Müller-Łoś"),
        ("Win at https://evil.example", ""),
        ("www.evil", ""),
        ("evil.com", ""),
        ("Go to evil.com/now", ""),
        ("a" * 100, "a" * 60),
        ("\u202eevil", "evil"),
        ("", ""),
    ],
)
def test_a_name_is_shown_as_one_short_line_without_links(name: str, shown: str) -> None:
    assert display_name(name) == shown
