"""The gate's own way to Redis: what it must do as the general client does."""

import asyncio
from typing import Any
from urllib.parse import urlsplit

import pytest
from gateway.admission.redis_line import RedisLine, RedisScript
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

HELD_UP_MILLISECONDS = 300


async def test_questions_asked_at_once_get_each_its_own_answer(redis_url: str) -> None:
    line = RedisLine(redis_url)
    replies = await asyncio.gather(*(line.call("ECHO", f"{number} ü") for number in range(200)))
    assert replies == [f"{number} ü".encode() for number in range(200)]
    assert await line.call("MGET", "nothing") == [None]
    await line.aclose()


async def test_who_it_is_and_which_database_are_said_first(redis: Any, redis_url: str) -> None:
    await redis.execute_command("ACL", "SETUSER", "gate", "on", ">let me in", "~*", "+@all")
    where = urlsplit(redis_url)
    line = RedisLine(f"redis://gate:let%20me%20in@{where.hostname}:{where.port}/5")
    assert await line.call("ACL", "WHOAMI") == b"gate"
    await line.call("SET", "here", "5")
    assert await redis.get("here") is None
    await line.aclose()
    wrong = RedisLine(f"redis://gate:wrong@{where.hostname}:{where.port}/5")
    for _ in range(2):
        with pytest.raises(ResponseError, match="WRONGPASS"):
            await wrong.call("PING")
    await redis.execute_command("ACL", "DELUSER", "gate")


async def test_a_refused_command_is_an_error_and_the_line_goes_on(redis_url: str) -> None:
    line = RedisLine(redis_url)
    with pytest.raises(ResponseError, match="unknown command"):
        await line.call("NONSENSE")
    assert await line.call("PING") == b"PONG"
    await line.aclose()


async def test_a_broken_line_is_an_error_and_the_next_question_opens_another(redis: Any, redis_url: str) -> None:
    line = RedisLine(redis_url)
    own = await line.call("CLIENT", "ID")
    waiting = asyncio.create_task(line.call("BLPOP", "never", 0))
    await asyncio.sleep(0)
    await redis.client_kill_filter(_id=own)
    with pytest.raises((OSError, RedisConnectionError)):
        await waiting
    assert await line.call("CLIENT", "ID") != own
    await line.aclose()


async def test_an_answer_that_comes_after_its_question_was_given_up_answers_nobody_else(
    redis: Any, redis_url: str
) -> None:
    line = RedisLine(redis_url)
    await line.call("PING")
    await redis.client_pause(HELD_UP_MILLISECONDS)
    late = asyncio.create_task(line.call("ECHO", "late"))
    await asyncio.sleep(0.01)
    late.cancel()
    with pytest.raises(asyncio.CancelledError):
        await late
    assert await line.call("ECHO", "next") == b"next"
    await line.aclose()


async def test_what_nobody_asked_for_answers_nobody() -> None:
    """A proxy in between, say, that answers twice."""

    async def answer_twice(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(b"PING\r\n"):
            writer.write(b"+right\r\n+another's\r\n")

    async with await asyncio.start_server(answer_twice, "127.0.0.1", 0) as server:
        line = RedisLine(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        assert [await line.call("PING") for _ in range(3)] == [b"right"] * 3
        await line.aclose()


async def test_a_script_that_redis_has_forgotten_is_sent_again(redis: Any, redis_url: str) -> None:
    line = RedisLine(redis_url)
    script = RedisScript(line, "return {KEYS[1], ARGV[1] + 1}")
    assert await script.call(["a"], [1]) == [b"a", 2]
    await redis.script_flush()
    assert await script.call(["b"], [2]) == [b"b", 3]
    assert await script.call(["c"], [3]) == [b"c", 4]
    broken = RedisScript(line, "return redis.error_reply('NONE of this')")
    with pytest.raises(ResponseError, match="NONE of this"):
        await broken.call([], [])
    await line.aclose()


async def test_nobody_there_is_an_error_each_time() -> None:
    line = RedisLine("redis://127.0.0.1:1/0")
    for _ in range(2):
        with pytest.raises(OSError, match=r"refused|Connect"):
            await line.call("PING")
    await line.aclose()
