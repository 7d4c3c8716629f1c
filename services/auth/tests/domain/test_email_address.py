import pytest
from auth.domain.email_address import email_address
from auth.domain.errors import InvalidEmail
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("typed", "key"),
    [
        ("ada@example.com", "ada@example.com"),
        ("  Ada@EXAMPLE.com\t", "ada@example.com"),
        ("\uff41da@example.com", "ada@example.com"),  # full-width a
        ("ada@\uff45xample\uff0ecom", "ada@example.com"),
        ("ADA+coins@example.com", "ada+coins@example.com"),
        ("a.da@example.com", "a.da@example.com"),
        ("ada@m\u00fcnchen.example.org", "ada@xn--mnchen-3ya.example.org"),
        ("ada@mu\u0308nchen.example.org", "ada@xn--mnchen-3ya.example.org"),
        ("\u212aelvin@example.com", "kelvin@example.com"),  # Kelvin sign
        ("ada@example.test", "ada@example.test"),
    ],
)
def test_one_mailbox_has_one_key(typed: str, key: str) -> None:
    assert email_address(typed) == key


@pytest.mark.parametrize(
    "typed",
    [
        "", " ", "ada", "@example.com", "ada@", "ada@@example.com", "a da@example.com", "ada@exam ple.com",
        "ada@localhost", "ada@example..com", ".ada@example.com", "ada@-example.com", "ada\n@example.com",
        "ada@example.com\nBcc: eve@example.com", "\u00fcber@example.com", "ada@[127.0.0.1]", '"a"@example.com',
        "a\u0000da@example.com", "a" * 65 + "@example.com", "a@" + "e" * 300 + ".com", "x" * 1000,
        "Ada <ada@example.com>",
    ],
)  # fmt: skip
def test_what_no_mail_reaches_is_refused(typed: str) -> None:
    with pytest.raises(InvalidEmail) as refusal:
        email_address(typed)
    assert refusal.value.details["field"] == "email"


@given(st.emails() | st.text(max_size=40).map(lambda text: f"{text}@example.com"))
def test_the_key_of_a_key_is_itself(typed: str) -> None:
    try:
        key = email_address(typed)
    except InvalidEmail:
        return
    assert email_address(key) == key
    assert key.isascii()
    assert key == key.lower().strip()
