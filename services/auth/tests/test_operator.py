"""The command line, as a process on the real database and Redis."""

import asyncio
import getpass
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from auth.crypto.checkpoint_key import CheckpointKey
from auth.domain.api_keys import ApiKey
from auth.domain.audit_checkpoints import checkpoint_text
from auth.domain.errors import AccountFrozen
from auth.domain.roles import permissions_of
from auth.storage.audit_checkpoints import MongoAuditCheckpoints
from auth.storage.audit_trail import MongoAuditTrail
from auth.use_cases.take_checkpoint import TakeCheckpoint
from joserfc.jwk import OKPKey

EMAIL = "ada@example.com"
ROOT = {"JWT_PRIVATE_KEY": OKPKey.generate_key("Ed25519").as_pem(private=True).decode()}


@pytest.fixture
def operate(mongo_url: str, mongo_database: Any, redis_url: str) -> Any:
    async def run(
        *words: str, program: Sequence[str] = ("-m", "auth.operator"), **changes: str
    ) -> tuple[int, str, str]:
        settings = {"MONGO_URL": mongo_url, "MONGO_DATABASE": mongo_database.name, "REDIS_URL": redis_url, **changes}
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *program,
            *words,
            env={"PATH": os.environ["PATH"], **{f"CRYPTOVAULT_{name}": value for name, value in settings.items()}},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, problems = await process.communicate()
        return process.returncode or 0, output.decode(), problems.decode()

    return run


async def test_the_first_administrator_is_made_by_hand_and_unmade_within_the_second(
    real_world: Any, mongo_database: Any, operate: Any
) -> None:
    member = await real_world.member()
    assert (await operate("grant-role", " ADA@example.com", "admin"))[:2] == (0, "Done.\n")
    assert (await operate("grant-role", EMAIL, "admin"))[:2] == (0, "Nothing to change.\n")
    refreshed = await real_world.do.refresh_session(refresh_token=member.refresh_token)
    assert refreshed.user.roles == ("user", "admin")
    assert refreshed.user.permissions == permissions_of(["user", "admin"])
    assert not await real_world.is_blacklisted(member.session.id)
    assert (await operate("revoke-role", EMAIL, "admin"))[:2] == (0, "Done.\n")
    assert (await real_world.user()).roles == ("user",)
    assert await real_world.is_blacklisted(member.session.id)
    rows = await mongo_database["audit_logs"].find({}).sort("timestamp", 1).to_list(None)
    assert [(row["action"], row["resource"], row["user_id"]) for row in rows] == [
        ("role_granted", "role:admin", member.user.id),
        ("role_revoked", "role:admin", member.user.id),
    ]
    assert {row["actor"] for row in rows} == {f"operator:{getpass.getuser()}"}


@pytest.mark.parametrize(
    ("words", "changes", "said"),
    [
        (("grant-role", "nobody@example.com", "admin"), {}, (1, "There is no such user.")),
        (("grant-role", "not an address", "admin"), {}, (1, "That is not an e-mail address")),
        (("grant-role", EMAIL, "wizard"), {}, (2, "invalid choice")),
        (("grant-role", EMAIL, "admin"), {"REDIS_URL": "redis://127.0.0.1:1"}, (1, "onnect")),
        (("grant-role", EMAIL, "admin"), {"MONGO_URL": "mongodb://127.0.0.1:1"}, (1, "Connect call failed")),
        (("grant-role", EMAIL, "admin"), {"MONGO_URL": ""}, (78, "CRYPTOVAULT_MONGO_URL is not set")),
    ],
)
async def test_what_cannot_be_done_is_said_in_a_sentence_and_changes_nothing(
    real_world: Any, operate: Any, words: tuple[str, ...], changes: dict[str, str], said: tuple[int, str]
) -> None:
    await real_world.member()
    code, output, problems = await operate(*words, **changes)
    assert (code, output) == (said[0], "")
    assert said[1] in problems
    assert "Traceback" not in problems
    assert (await real_world.user()).roles == ("user",)


async def test_a_second_factor_is_removed_by_hand_and_the_mailbox_alone_opens_again(
    real_world: Any, mongo_database: Any, operate: Any
) -> None:
    member = await real_world.member()
    command = ("remove-second-factor", EMAIL)
    assert (await operate(*command))[:2] == (0, "Nothing to change.\n")
    assert not await real_world.is_blacklisted(member.session.id)
    users, factors = real_world.adapters.users, real_world.adapters.second_factors
    await factors.propose(member.user.id, "sealed")
    await factors.enable(member.user.id, secret="sealed", step=1, recovery_digests=[])
    await users.set_two_factor(member.user.id, enabled=True)
    key_id, now = uuid4(), real_world.clock.now()
    await real_world.adapters.api_keys.add(
        ApiKey(id=key_id, user_id=member.user.id, name="b", scopes=(), networks=(), secret="sealed", created_at=now)
    )
    assert (await operate(*command))[:2] == (0, "Done.\n")
    user = await real_world.user()
    assert (user.two_factor_enabled, user.frozen_at is None) == (False, False)
    assert not (await factors.get(user.id)).is_enabled
    assert await real_world.is_blacklisted(member.session.id)
    assert await real_world.is_blacklisted(key_id)
    # From which its owner's mail is made.
    assert ("SecondFactorRemoved", str(user.id)) in await real_world.events()
    rows = await mongo_database["audit_logs"].find({}).sort("sequence", 1).to_list(None)
    assert [(row["action"], row["user_id"]) for row in rows] == [
        ("api_key_revoked", user.id),
        ("two_factor_removed", user.id),
        ("account_frozen", user.id),
    ]
    assert {row["actor"] for row in rows} == {f"operator:{getpass.getuser()}"}
    with pytest.raises(AccountFrozen):
        await real_world.do.log_in(email=EMAIL, password="correct horse battery")
    assert (await operate(*command))[:2] == (0, "Nothing to change.\n")
    assert await operate("remove-second-factor", "nobody@example.com") == (1, "", "There is no such user.\n")


async def test_an_address_that_nobody_has_proven_gets_no_role(real_world: Any, operate: Any) -> None:
    await real_world.sign_up()
    assert await operate("grant-role", EMAIL, "admin") == (1, "", "There is no such user.\n")


async def test_an_auditor_verifies_with_the_public_key_alone_and_is_told_what_is_wrong(
    real_world: Any, mongo_database: Any, operate: Any, tmp_path: Path
) -> None:
    await real_world.member()
    for command in ("grant-role", "revoke-role", "grant-role"):
        assert (await operate(command, EMAIL, "admin"))[0] == 0
    code, key, _ = await operate("audit-key", **ROOT)
    assert (code, len(key.strip())) == (0, 64)
    taken = await TakeCheckpoint(
        audit_trail=MongoAuditTrail(),
        checkpoints=MongoAuditCheckpoints(),
        signer=CheckpointKey(ROOT["JWT_PRIVATE_KEY"].encode()),
        transactions=real_world.adapters.transactions,
        clock=real_world.clock,
    )()
    assert taken is not None
    anchors = tmp_path / "anchors"
    anchors.write_text(checkpoint_text(taken) + "\n")
    trusted = {"AUDIT_PUBLIC_KEYS": key.strip(), "REDIS_URL": ""}
    code, output, progress = await operate("verify-audit", "--anchors", str(anchors), **trusted)
    assert (code, output.split()) == (
        0,
        ["auth", "3", "entries", "checkpoints", "1", "not", "signed", "yet", "0", "entries"],
    )
    assert "verifying" in progress
    assert (await operate("verify-audit", AUDIT_ANCHORS=str(anchors), **ROOT))[0] == 0
    code, output, _ = await operate("verify-audit", **(trusted | {"AUDIT_PUBLIC_KEYS": "0" * 64}))
    assert (code, "WRONG  checkpoints 1: forged" in output, "No anchors were given" in output) == (1, True, True)
    await mongo_database["audit_logs"].update_one({"sequence": 2}, {"$set": {"actor": "operator:eve"}})
    code, output, _ = await operate("verify-audit", "--anchors", str(anchors), **trusted)
    assert (code, output.splitlines()[-1]) == (1, "WRONG  auth 2: edited")


async def test_a_verifier_that_cannot_look_does_not_say_that_all_is_well(
    mongo_database: Any, operate: Any, tmp_path: Path
) -> None:
    assert (await operate("verify-audit"))[0::2] == (
        78, "refusing to start: CRYPTOVAULT_AUDIT_PUBLIC_KEYS is not set\n"
    )  # fmt: skip
    missing = await operate("verify-audit", "--anchors", str(tmp_path / "nothing"), **ROOT)
    assert missing[0] == 3
    broken = tmp_path / "broken"
    broken.write_text('{"signature": "x"}\n')
    code, _, problems = await operate("verify-audit", "--anchors", str(broken), **ROOT)
    assert (code, "line 1: no checkpoint" in problems, "Traceback" in problems) == (3, True, False)
    away = await operate("verify-audit", MONGO_URL="mongodb://127.0.0.1:1", **ROOT)
    assert (away[0], "Traceback" in away[2]) == (3, False)


BROKEN_OFF = """
import asyncio, os, signal, sys
from auth import operator
from {package} import {error}

async def broken_off(*arguments):
    os.kill(os.getpid(), signal.SIGINT)
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        raise {error}("no server") from None

operator.{function} = broken_off
sys.exit(operator.main())
"""


@pytest.mark.parametrize(
    ("words", "function", "package", "error"),
    [
        (("verify-audit",), "verify_audit", "pymongo.errors", "ServerSelectionTimeoutError"),
        (("verify-audit",), "verify_audit", "asyncio", "CancelledError"),
        (("grant-role", EMAIL, "admin"), "_change", "redis.exceptions", "ConnectionError"),
        (("grant-role", EMAIL, "admin"), "_change", "pymongo.errors", "ServerSelectionTimeoutError"),
    ],
)
async def test_ctrl_c_is_told_as_such_also_where_a_driver_makes_an_error_of_it(
    operate: Any, words: tuple[str, ...], function: str, package: str, error: str
) -> None:
    program = BROKEN_OFF.format(function=function, package=package, error=error)
    assert await operate(*words, program=("-c", program)) == (130, "", "Broken off.\n")
