import asyncio
import json
import os
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from uuid import UUID

import pytest
from auth.crypto.access_tokens import SignedAccessTokens, retired_keys, shared_key, signing_key
from auth.crypto.device_tokens import SignedDeviceTokens
from auth.crypto.digests import KeyedDigests, derived_key
from auth.crypto.password_pool import NICENESS, PasswordPool
from auth.crypto.refresh_tokens import SeededRefreshTokens
from auth.domain.devices import KnownDevice
from auth.domain.email_address import EmailAddress
from auth.domain.errors import TooBusy
from auth.domain.one_time_codes import CodePurpose
from auth.domain.sessions import opened_session
from auth.domain.users import User
from auth.use_cases.crypto_ports import PasswordCheck
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OKPKey

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
USER = User(
    id=UUID(int=7), email=EmailAddress("a@b.example"), name="A", password_hash="x", created_at=NOON, email_verified=True
)


@pytest.fixture
async def pool() -> PasswordPool:
    return PasswordPool(threads=1, waiting_max=3, wait_seconds_max=60, memory_kibibytes=1024, passes=1)


def token_of(tokens: SignedAccessTokens) -> str:
    return tokens.token(user=USER, session_id=UUID(int=8), token_id=UUID(int=9), now=NOON)


def test_the_published_key_set_verifies_and_holds_no_secret() -> None:
    key = OKPKey.generate_key("Ed25519")
    tokens = SignedAccessTokens(key=key, issuer="i", audience="a")
    published = json.loads(tokens.key_set())
    assert set(published["keys"][0]) == {"kty", "crv", "x", "kid", "use", "alg"}
    verified = jwt.decode(token_of(tokens), KeySet.import_key_set(published), algorithms=["Ed25519"])
    assert verified.claims["sub"] == str(USER.id)
    assert verified.header["kid"] == published["keys"][0]["kid"]
    with pytest.raises(JoseError):
        jwt.decode(token_of(tokens), OKPKey.generate_key("Ed25519"), algorithms=["Ed25519"])


def test_a_retired_key_verifies_and_signs_no_more() -> None:
    old, new = OKPKey.generate_key("Ed25519"), OKPKey.generate_key("Ed25519")
    before = token_of(SignedAccessTokens(key=old, issuer="i", audience="a"))
    rotated = SignedAccessTokens(key=new, issuer="i", audience="a", retired=[old])
    after = token_of(rotated)
    published = json.loads(rotated.key_set())
    assert [key["kid"] for key in published["keys"]] == [new.thumbprint(), old.thumbprint()]
    assert all("d" not in key for key in published["keys"])
    for token, key in ((before, old), (after, new)):
        verified = jwt.decode(token, KeySet.import_key_set(published), algorithms=["Ed25519"])
        assert verified.header["kid"] == key.thumbprint()


def test_retired_keys_come_as_one_bundle_of_private_keys() -> None:
    keys = [OKPKey.generate_key("Ed25519") for _ in range(3)]
    bundle = "".join(key.as_pem(private=True).decode() for key in keys)
    for text in (bundle, bundle.replace("\n", "\\n"), f"\n{bundle}\n"):
        assert [key.thumbprint() for key in retired_keys(text)] == [key.thumbprint() for key in keys]
    for wrong in ("", "nonsense", keys[0].as_pem(private=False).decode(), bundle * 3):
        with pytest.raises(ValueError, match="not "):
            retired_keys(wrong)


def test_a_shared_secret_signs_and_is_never_published() -> None:
    key = shared_key("s" * 32)
    tokens = SignedAccessTokens(key=key, issuer="i", audience="a")
    assert json.loads(tokens.key_set()) == {"keys": []}
    assert jwt.decode(token_of(tokens), key, algorithms=["HS256"]).claims["type"] == "access"


def test_only_keys_that_fit_are_taken_and_the_complaint_shows_none_of_them() -> None:
    rsa = generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    good = OKPKey.generate_key("Ed25519")
    for wrong in ("", "nonsense", rsa, good.as_pem(private=False).decode()):
        with pytest.raises(ValueError, match="not a") as refusal:
            signing_key(wrong)
        assert refusal.value.__cause__ is None
    pem = good.as_pem(private=True).decode()
    assert signing_key(pem.replace("\n", "\\n")).thumbprint() == good.thumbprint()
    with pytest.raises(ValueError, match="32 bytes"):
        shared_key("s" * 31)


def test_refresh_tokens_differ_by_key_session_and_generation() -> None:
    session = opened_session(
        session_id=UUID(int=1),
        user_id=UUID(int=2),
        seed=b"s" * 32,
        device_id=UUID(int=3),
        device_name="",
        address=None,
        now=NOON,
    )
    other = opened_session(
        session_id=UUID(int=1),
        user_id=UUID(int=2),
        seed=b"t" * 32,
        device_id=UUID(int=3),
        device_name="",
        address=None,
        now=NOON,
    )
    tokens = SeededRefreshTokens(b"root")
    texts = [tokens.token(session, 0), tokens.token(session, 1), tokens.token(other, 0)]
    texts.append(SeededRefreshTokens(b"another root").token(session, 0))
    assert len(set(texts)) == 4
    read = [tokens.read(text) for text in texts]
    assert [token is not None and tokens.is_genuine(token, session) for token in read] == [True, True, False, False]


def test_digests_are_keyed_and_bound_to_their_purpose() -> None:
    digests = KeyedDigests(b"root")
    address = EmailAddress("a@b.example")
    one, other = CodePurpose.VERIFY_EMAIL, CodePurpose.RESET_PASSWORD
    assert digests.of_code(one, address, "123456") != digests.of_code(one, EmailAddress("c@b.example"), "123456")
    assert digests.of_code(one, address, "123456") != KeyedDigests(b"other").of_code(one, address, "123456")
    assert digests.of_code(one, address, "123456") != digests.of_code(other, address, "123456")
    assert digests.of_origin("a@b.example") != digests.of_email(address)
    assert derived_key(b"root", "a") != derived_key(b"root", "b")


async def test_a_hash_verifies_its_password_alone_and_says_when_it_is_weak(pool: PasswordPool) -> None:
    stored = await pool.hash("correct horse")
    assert stored.startswith("$argon2id$v=19$m=1024,t=1,p=1$")
    assert (await pool.verify("correct horse", stored)).right
    assert not (await pool.verify("wrong horse", stored)).right
    stronger = PasswordPool(threads=1, waiting_max=3, wait_seconds_max=60, memory_kibibytes=2048, passes=1)
    check = await stronger.verify("correct horse", stored)
    assert check.right
    assert check.stronger_hash is not None
    assert "m=2048" in check.stronger_hash


# Of "correct horse", by other programs; of the last one's password only the first 72 bytes count.
BCRYPT_2B = "$2b$04$KSt6lsHrEMwESD8K2TGUu.HhxP.8pr8.HHsJiEVcOTe2AgUEW4BxS"
BCRYPT_2Y = "$2y$04$TO0gAFhI1kydfIbOgQefiOMAlpbCCcPQmqEYRlKl0X5lrmls/EcFS"
BCRYPT_LONG = "$2a$04$hNx8LhzcViLpo5grMXo7leSF4RQQunWObbvpIpSyVXTizuixJHTMK"


@pytest.mark.parametrize("stored", [BCRYPT_2B, BCRYPT_2Y])
async def test_an_imported_password_verifies_and_comes_back_in_our_own_form(pool: PasswordPool, stored: str) -> None:
    check = await pool.verify("correct horse", stored)
    assert check.right
    assert check.stronger_hash is not None
    assert check.stronger_hash.startswith("$argon2id$v=19$m=1024")
    again = await pool.verify("correct horse", check.stronger_hash)
    assert (again.right, again.stronger_hash) == (True, None)
    assert await pool.verify("wrong horse", stored) == PasswordCheck(right=False)


async def test_of_an_imported_password_the_first_72_bytes_count_until_it_is_hashed_anew(pool: PasswordPool) -> None:
    check = await pool.verify("ä" * 36 + "and more", BCRYPT_LONG)
    assert check.right
    assert check.stronger_hash is not None
    assert not (await pool.verify("ä" * 36 + "something else", check.stronger_hash)).right
    assert not (await pool.verify("ä" * 35, BCRYPT_LONG)).right


async def test_an_imported_hash_whose_salt_is_none_is_wrong(pool: PasswordPool) -> None:
    assert await pool.verify("correct horse", "$2b$04$" + "z" * 53) == PasswordCheck(right=False)


@pytest.mark.parametrize(
    "stored", [None, "", "$2b$15$" + "a" * 53, "$2x$12$" + "a" * 53, "$2b$12$" + "a" * 52, "plain", "$argon2id$broken"]
)
async def test_what_is_no_hash_of_ours_verifies_nothing_at_the_same_cost(
    pool: PasswordPool, stored: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[str | bytes] = []
    real_verify = pool._hasher.verify

    def verify(password: str, known: str) -> bool:
        hashed.append(known)
        return real_verify(password, known)

    monkeypatch.setattr(pool._hasher, "verify", verify)
    assert not (await pool.verify("correct horse", stored)).right
    assert hashed == [pool._nobodys_hash]


async def test_hashing_runs_on_few_threads_of_low_priority_and_a_full_queue_refuses(pool: PasswordPool) -> None:
    running, gate, seen = asyncio.Event(), threading.Event(), set()
    loop = asyncio.get_running_loop()

    def work() -> None:
        thread = threading.get_native_id()
        nice = Path(f"/proc/self/task/{thread}/stat").read_text().rpartition(")")[2].split()[16]
        seen.add((thread, int(nice)))
        loop.call_soon_threadsafe(running.set)
        gate.wait(5)

    first = [asyncio.create_task(pool._run(work)) for _ in range(3)]
    await running.wait()
    with pytest.raises(TooBusy):
        await pool.hash("correct horse")
    gate.set()
    await asyncio.gather(*first)
    assert len(seen) == 1
    assert {nice for _, nice in seen} == {NICENESS}
    assert os.getpriority(os.PRIO_PROCESS, 0) < NICENESS
    assert await pool.hash("correct horse")


async def test_whoever_waited_too_long_is_told_to_come_back_and_costs_no_hash() -> None:
    pool = PasswordPool(threads=1, waiting_max=100, wait_seconds_max=0.2, memory_kibibytes=1024, passes=1)
    running, gate, ran = threading.Event(), threading.Event(), threading.Event()

    def hold() -> bool:
        running.set()
        return gate.wait(5)

    first = asyncio.create_task(pool._run(hold))
    await asyncio.to_thread(running.wait, 5)
    late = asyncio.create_task(pool._run(ran.set))
    await asyncio.sleep(0.3)
    gate.set()
    with pytest.raises(TooBusy):
        await late
    assert await first
    assert not ran.is_set()
    assert pool._waiting == 0
    assert await pool.hash("correct horse")
    await pool.close()


async def test_nobody_joins_a_line_that_is_too_slow_for_them() -> None:
    pool = PasswordPool(threads=1, waiting_max=100, wait_seconds_max=0.5, memory_kibibytes=1024, passes=1)
    await pool._run(lambda: time.sleep(1))  # 0.3 s of late: two in line are 0.6
    gate = threading.Event()
    first = [asyncio.create_task(pool._run(lambda: gate.wait(5))) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(TooBusy):
        await pool.hash("correct horse")
    gate.set()
    await asyncio.gather(*first)
    for _ in range(5):  # who meets no line is admitted, however slow the last ones were
        assert await pool.hash("correct horse")
    first = [asyncio.create_task(pool._run(lambda: True)) for _ in range(2)]
    await asyncio.sleep(0)
    assert await pool.hash("correct horse")
    await asyncio.gather(*first)
    await pool.close()


async def test_hashes_that_meet_in_line_keep_their_distance() -> None:
    pool = PasswordPool(
        threads=1, waiting_max=9, wait_seconds_max=60, memory_kibibytes=1024, passes=1, pace_seconds=0.2
    )
    starts = await asyncio.gather(*(pool._run(time.monotonic) for _ in range(4)))
    # A busy machine may keep a thread waiting between its look at the clock and its work: without a pace it is nothing.
    assert all(later - earlier >= 0.1 for earlier, later in pairwise(sorted(starts)))
    await pool.close()


async def test_a_caller_who_gives_up_frees_its_place(pool: PasswordPool) -> None:
    gate, ran = threading.Event(), threading.Event()
    first = asyncio.create_task(pool._run(lambda: gate.wait(5)))
    second = asyncio.create_task(pool._run(ran.set))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    assert pool._waiting == 1
    gate.set()
    await first
    await pool.hash("correct horse")
    assert not ran.is_set()


def test_a_device_is_known_to_one_account_alone_and_only_by_our_own_token() -> None:
    tokens, device = SignedDeviceTokens(b"root"), KnownDevice(UUID(int=5))
    user, other = (
        User(
            id=UUID(int=n),
            email=EmailAddress("a@x"),
            name="",
            password_hash="",
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
        )
        for n in (1, 2)
    )
    token = tokens.token(user, device)
    assert tokens.read(user, token) == device
    assert tokens.read(replace(user, password_hash="another", name="B"), token) == device
    assert tokens.read(other, token) is None
    assert tokens.read(replace(user, password_resets=1), token) is None
    assert SignedDeviceTokens(b"another root").read(user, token) is None
    for damaged in (
        "",
        "x",
        token[:-2],
        token + "A",
        "B" + token[1:],
        token[:-3] + "AAA",
        "é" * 64,
        "=" * 64,
        "A" * 300,
    ):
        assert tokens.read(user, damaged) is None, damaged
