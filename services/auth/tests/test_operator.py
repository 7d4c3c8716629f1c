"""The command line, as a process on the real database and Redis."""

import asyncio
import getpass
import os
import sys
from typing import Any

import pytest
from auth.domain.roles import permissions_of

EMAIL = "ada@example.com"


@pytest.fixture
def operate(mongo_url: str, mongo_database: Any, redis_url: str) -> Any:
    async def run(*words: str, **changes: str) -> tuple[int, str, str]:
        settings = {"MONGO_URL": mongo_url, "MONGO_DATABASE": mongo_database.name, "REDIS_URL": redis_url, **changes}
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "auth.operator",
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


async def test_an_address_that_nobody_has_proven_gets_no_role(real_world: Any, operate: Any) -> None:
    await real_world.sign_up()
    assert await operate("grant-role", EMAIL, "admin") == (1, "", "There is no such user.\n")
