import pytest
from auth.domain.common_passwords import COMMON_PASSWORDS
from auth.domain.email_address import EmailAddress
from auth.domain.errors import WeakPassword
from auth.domain.passwords import new_password, normal_form

EMAIL = EmailAddress("ada.lovelace@example.com")


@pytest.mark.parametrize(
    "password",
    ["correct horse", "8 chars!", "p\u00e4ssw\u00f6rter",
     "\u5bc6\u7801\u5bc6\u94a5\u5f88\u957f\u5f88\u957f", " leading and trailing ", "ab" * 127 + "cd"],
)  # fmt: skip
def test_any_long_enough_text_is_a_password(password: str) -> None:
    assert new_password(password, email=EMAIL) == normal_form(password)


@pytest.mark.parametrize(
    ("password", "rule"),
    [
        ("", "min_length"),
        ("7 chars", "min_length"),
        ("\ufdfa" * 1, "min_length"),  # one character that NFKC turns into eighteen
        ("e\u0301" * 4, "min_length"),  # eight characters that are four letters
        ("p" * 257, "max_length"),
        ("password", "too_common"),
        ("PassWord123", "too_common"),
        ("\uff50assword", "too_common"),  # full-width p
        (" password ", "too_common"),
        ("23456789", "too_common"),
        ("aaaaaaaaaa", "too_common"),
        ("abababab", "too_common"),
        ("cryptovault", "too_common"),
        ("ada.lovelace", "too_common"),
        ("Ada.Lovelace@example.com", "too_common"),
    ],
)
def test_weak_ones_are_refused_with_their_rule_and_without_the_password(password: str, rule: str) -> None:
    with pytest.raises(WeakPassword) as refusal:
        new_password(password, email=EMAIL)
    assert refusal.value.details["rule"] == rule
    assert refusal.value.details["field"] == "password"
    assert set(refusal.value.details) <= {"field", "rule", "limit"}


def test_the_list_holds_only_what_could_otherwise_pass() -> None:
    assert all(len(word) >= 8 and word == word.casefold() for word in COMMON_PASSWORDS)
    assert len(COMMON_PASSWORDS) > 300
