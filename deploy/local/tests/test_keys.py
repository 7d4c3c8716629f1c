import stat
from pathlib import Path

from chassis.trust.call_table import CallTable
from chassis.trust.service_keys import read_private_keys, read_public_keys
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from local_stack.keys import SERVICES, load_keys


def test_keys_are_made_once_and_readable_by_their_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    first = load_keys(folder)
    assert load_keys(folder) == first
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_two_platforms_have_different_keys(tmp_path: Path) -> None:
    one, other = load_keys(tmp_path / "one"), load_keys(tmp_path / "other")
    assert one.jwt_private_key != other.jwt_private_key
    assert one.code_key != other.code_key
    assert one.sendgrid_api_key != other.sendgrid_api_key
    assert set(one.of_services.values()).isdisjoint(other.of_services.values())


def test_the_keys_are_of_the_kinds_that_services_take(tmp_path: Path) -> None:
    keys = load_keys(tmp_path / "secrets")
    assert isinstance(load_pem_private_key(keys.jwt_private_key.encode(), password=None), Ed25519PrivateKey)
    assert Fernet(keys.code_key.encode())
    told = keys.trust_settings("auth")
    (private,) = read_private_keys(told["SERVICE_KEY"])
    assert read_public_keys(told["SERVICE_PUBLIC_KEYS"])["auth"] == [private.public_key()]


def test_a_secret_does_not_show_when_printed(tmp_path: Path) -> None:
    keys = load_keys(tmp_path / "secrets")
    assert "PRIVATE" not in repr(keys)
    assert not [key for key in keys.of_services.values() if key in repr(keys)]


def test_every_service_in_the_table_of_calls_has_a_key() -> None:
    assert CallTable.load().services <= set(SERVICES)
