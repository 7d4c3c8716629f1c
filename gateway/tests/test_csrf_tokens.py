"""CSRF tokens by themselves: whose they are, and what a change of the gateway's key does to them."""

from itertools import pairwise

import pytest
from chassis.trust.service_keys import ServiceKeys
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from gateway.admission.csrf_tokens import PURPOSE, CsrfTokens

OLD, NEW = X25519PrivateKey.generate(), X25519PrivateKey.generate()


def gateway(own: list[X25519PrivateKey], *, listed: list[X25519PrivateKey]) -> CsrfTokens:
    keys = ServiceKeys(own=own, public={"gateway": [key.public_key() for key in listed]})
    return CsrfTokens(keys.own_secrets("gateway", PURPOSE))


def test_a_token_is_good_for_its_session_and_its_refresh_token_alone() -> None:
    tokens = gateway([OLD], listed=[OLD])
    token = tokens.issue(session_id="a", refresh_token="r")
    assert tokens.is_of_session(token, "a")
    assert tokens.is_of_refresh_token(token, "r")
    for other in ("b", "r", "", "aa"):
        assert not tokens.is_of_session(token, other)
    for other in ("a", "s", ""):
        assert not tokens.is_of_refresh_token(token, other)
    assert token != tokens.issue(session_id="a", refresh_token="r")


def test_a_token_that_was_changed_anywhere_is_not_good_for_both() -> None:
    tokens = gateway([OLD], listed=[OLD])
    token = tokens.issue(session_id="a", refresh_token="r")
    for at, letter in enumerate(token):
        changed = token[:at] + ("A" if letter != "A" else "B") + token[at + 1 :]
        assert not (tokens.is_of_session(changed, "a") and tokens.is_of_refresh_token(changed, "r")), at


@pytest.mark.parametrize("text", ["", "x", "A" * 63, "A" * 65, "é" * 64, "*" * 64, "A" * 60 + "====", "A" * 64])
def test_what_no_gateway_has_made_is_nobodys(text: str) -> None:
    tokens = gateway([OLD], listed=[OLD])
    assert not tokens.is_of_session(text, "a")
    assert not tokens.is_of_refresh_token(text, "r")


def test_while_the_gateways_key_changes_every_gateway_takes_every_others_tokens() -> None:
    """By the steps of docs/security.md, of two gateways one is always a step behind."""
    steps = [
        gateway([OLD], listed=[OLD]),
        gateway([OLD], listed=[OLD, NEW]),
        gateway([NEW, OLD], listed=[OLD, NEW]),
        gateway([NEW, OLD], listed=[NEW, OLD]),
        gateway([NEW], listed=[NEW]),
    ]
    for behind, ahead in pairwise(steps):
        assert ahead.is_of_session(behind.issue(session_id="a", refresh_token="r"), "a")
        assert behind.is_of_session(ahead.issue(session_id="a", refresh_token="r"), "a")


def test_another_service_and_another_purpose_have_other_secrets() -> None:
    keys = ServiceKeys(own=[OLD], public={"gateway": [OLD.public_key()]})
    secrets = {*keys.own_secrets("gateway", PURPOSE), *keys.own_secrets("gateway", "something else")}
    secrets |= {*ServiceKeys(own=[NEW], public={}).own_secrets("auth", PURPOSE), keys.secret_for("gateway")}
    assert len(secrets) == 4
