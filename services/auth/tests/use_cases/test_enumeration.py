"""Nobody learns who has an account: of a known and an unknown address neither reply nor time tells which is which."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from auth.crypto.password_pool import PasswordPool
from auth.domain.email_address import email_address
from auth.domain.one_time_codes import TRIES_MAX
from auth.domain.users import User
from auth.settings import AuthSettings
from chassis.errors import ServiceError
from chassis.identity import Caller, use_caller

Ask = Callable[[Any, str], Awaitable[Any]]

PASSWORD = "correct horse battery"
STRANGER = Caller(service="gateway", user_id=None, session_id=None, request_id="request-1", address="203.0.113.7")
# Of one hash: a tenth of production's, so that what else differs shows ten times as clearly.
KIBIBYTES = AuthSettings.model_fields["password_memory_kibibytes"].default // 10
# How far from a coin's 0.5 the chance may be that a known address takes longer than an unknown one. Chance alone
# strays by 1 / sqrt(6 pairs): five times that is never met by luck, and one look at the database more goes beyond it.
DEVIATIONS = 5
COOLING_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Heard:
    """What a caller is told, and after how many seconds."""

    words: tuple[str, ...]
    seconds: float


def log_in(world: Any, email: str) -> Awaitable[Any]:
    return world.do.log_in(email=email, password="not the password")


def sign_up(world: Any, email: str) -> Awaitable[Any]:
    return world.do.sign_up(email=email, password=PASSWORD, name="Ada")


def resend_code(world: Any, email: str) -> Awaitable[Any]:
    return world.do.resend_code(email=email)


def forgot_password(world: Any, email: str) -> Awaitable[Any]:
    return world.do.request_password_reset(email=email)


def reset_password(world: Any, email: str) -> Awaitable[Any]:
    return world.do.reset_password(email=email, code="000000", password="a new battery staple")


def verify_email(world: Any, email: str) -> Awaitable[Any]:
    return world.do.verify_email(email=email, code="000000")


# What a guess at a code follows, so that there is one: after `forgot_password` an account's could be right.
ASKED_BEFORE: dict[Ask, Ask] = {reset_password: forgot_password, verify_email: resend_code}


@pytest.mark.parametrize("ask", [log_in, sign_up, resend_code, forgot_password, reset_password, verify_email])
@pytest.mark.parametrize("pairs", [100, pytest.param(500, marks=pytest.mark.long)])
async def test_known_and_unknown_addresses_are_told_apart_neither_by_reply_nor_by_time(
    real_world: Any, ask: Ask, pairs: int
) -> None:
    passwords = PasswordPool(threads=1, waiting_max=10, wait_seconds_max=60, memory_kibibytes=KIBIBYTES, passes=1)
    real_world.adapters = replace(real_world.adapters, passwords=passwords)
    password_hash = await passwords.hash(PASSWORD)
    for number in range(pairs):
        await real_world.adapters.users.add(member(real_world, f"known{number}@example.com", password_hash))
    known, unknown = await heard_of_each(real_world, ask, pairs)
    await passwords.close()
    assert {one.words for one in known} == {one.words for one in unknown}
    assert len({one.words for one in known}) == 1
    chance = chance_of_longer([one.seconds for one in known], [one.seconds for one in unknown])
    assert abs(chance - 0.5) < DEVIATIONS / (6 * pairs) ** 0.5, f"a known address takes longer in {chance:.1%} of pairs"


async def heard_of_each(world: Any, ask: Ask, pairs: int) -> tuple[list[Heard], list[Heard]]:
    """In pairs, the known one first as often as not, so that a machine that slows down slows both."""
    order = random.Random(1)
    heard: dict[str, list[Heard]] = {"known": [], "unknown": []}
    for number in range(pairs):
        kinds = ["known", "unknown"]
        order.shuffle(kinds)
        for kind in kinds:
            email = f"{kind}{number}@example.com"
            if ask in ASKED_BEFORE:
                await listen(world, ASKED_BEFORE[ask], email)
                await cool(world)
            heard[kind].append(await listen(world, ask, email))
            await cool(world)
    return heard["known"], heard["unknown"]


async def cool(world: Any) -> None:
    # What goes on after the reply must not be heard by the next one.
    await world.settle()
    # Nor must its kind: what it has just used is warm for whoever comes at once.
    await asyncio.sleep(COOLING_SECONDS)


async def listen(world: Any, ask: Ask, email: str) -> Heard:
    with use_caller(STRANGER):
        begun = time.perf_counter()
        try:
            answer = await ask(world, email)
            words: tuple[str, ...] = (str(answer),)
        except ServiceError as error:
            words = (error.reason, error.message, *(f"{name}={value}" for name, value in error.details.items()))
        return Heard(words, time.perf_counter() - begun)


@pytest.mark.parametrize(
    ("ask", "guess"), [(sign_up, verify_email), (resend_code, verify_email), (forgot_password, reset_password)]
)
@pytest.mark.parametrize("kind", ["member", "waiting", "unknown"])
async def test_nor_by_when_their_code_is_there_to_be_guessed_at(
    world: Any,
    ask: Ask,
    guess: Ask,
    kind: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is asked for and a guess, sent at once: the guess comes while the address is being looked up."""
    email = "ada@example.com"
    if kind == "member":
        await world.adapters.users.add(member(world, email, await world.adapters.passwords.hash(PASSWORD)))
    elif kind == "waiting":
        await world.sign_up(email)
        await world.reset_limits()
    heard: list[Heard] = []
    find_user = world.adapters.users.by_email

    async def guessed_meanwhile(address: str) -> User | None:
        monkeypatch.undo()
        heard.append(await listen(world, guess, email))
        user: User | None = await find_user(address)
        return user

    monkeypatch.setattr(world.adapters.users, "by_email", guessed_meanwhile)
    with use_caller(STRANGER):
        await ask(world, email)
        await world.settle()
    # Counted like every other: who is mailed a code has no more tries than others.
    heard.append(await listen(world, guess, email))
    assert [one.words[2] for one in heard] == [f"tries_left={TRIES_MAX - number}" for number in (1, 2)]


def chance_of_longer(some: list[float], others: list[float]) -> float:
    """That one of the first is larger than one of the second: the U statistic of Mann and Whitney over its maximum."""
    ranked = sorted([(value, True) for value in some] + [(value, False) for value in others])
    ranks = sum(rank for rank, (_, is_first) in enumerate(ranked, start=1) if is_first)
    return (ranks - len(some) * (len(some) + 1) / 2) / (len(some) * len(others))


def member(world: Any, email: str, password_hash: str) -> User:
    return User(
        id=world.adapters.ids.new(), email=email_address(email), name="Ada", password_hash=password_hash,
        created_at=world.clock.now(), email_verified=True,
    )  # fmt: skip


def test_the_statistic_sees_a_difference_and_none() -> None:
    assert chance_of_longer([1, 2, 3], [4, 5, 6]) == 0
    assert chance_of_longer([4, 5, 6], [1, 2, 3]) == 1
    assert chance_of_longer([1, 4], [2, 3]) == 0.5
