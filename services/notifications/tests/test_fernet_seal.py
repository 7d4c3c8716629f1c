from datetime import timedelta

import pytest
from cryptography.fernet import Fernet
from notifications.crypto.fernet_seal import FernetSeal
from notifications.use_cases.ports import Secret

from .conftest import NOW

SECRET = Secret(code="736251", name="Ann", expires_at=NOW + timedelta(minutes=10))


def make_seal() -> FernetSeal:
    return FernetSeal(Fernet.generate_key().decode())


def test_a_sealed_secret_opens_until_it_expires() -> None:
    seal = make_seal()
    sealed = seal.close(SECRET)
    assert "736251" not in sealed
    assert seal.open(sealed, NOW) == SECRET
    assert seal.open(sealed, NOW + timedelta(minutes=9, seconds=59)) == SECRET
    assert seal.open(sealed, NOW + timedelta(minutes=10)) is None


def test_another_key_or_a_changed_byte_opens_nothing() -> None:
    seal = make_seal()
    sealed = seal.close(SECRET)
    assert make_seal().open(sealed, NOW) is None
    assert seal.open(sealed[:-4] + "AAA=", NOW) is None
    assert seal.open("nonsense", NOW) is None


def test_digests_differ_by_part_and_by_key() -> None:
    seal = make_seal()
    assert seal.digest("ab", "c") == seal.digest("ab", "c")
    assert seal.digest("ab", "c") != seal.digest("a", "bc")
    assert seal.digest("ab", "c") != make_seal().digest("ab", "c")


def test_a_secret_does_not_show_itself() -> None:
    assert "736251" not in f"{SECRET} {SECRET!r}"


def test_a_wrong_key_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="32"):
        FernetSeal("too short")
