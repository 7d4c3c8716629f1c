"""The gate's own way to Redis: what it must do as the general client does."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from chassis.embedded.ports import free_port_block, is_free
from chassis.embedded.process import ChildProcess
from chassis.embedded.redis import RedisServer
from chassis.testing import FixedClock
from chassis.testing.certificates import Authority
from gateway.admission.gate import GateClosed, LimitKey, RedisGate
from gateway.admission.redis_line import ClusterRefused, RedisLine, RedisScript, refuse_cluster
from gateway.settings import GatewaySettings
from pydantic import SecretStr, ValidationError
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

HELD_UP_MILLISECONDS = 300


class OtherRedis(RedisServer):
    """With options of its own; with `encrypted`, over TLS alone."""

    def __init__(self, folder: Path, *options: str, encrypted: bool = False) -> None:
        super().__init__(port=free_port_block(), folder=folder)
        self._options = options
        self._encrypted = encrypted

    @property
    def url(self) -> str:
        return f"rediss://localhost:{self.port}" if self._encrypted else f"redis://127.0.0.1:{self.port}"

    def build(self) -> list[ChildProcess]:
        (process,) = super().build()
        ports = ["--port", "0", "--tls-port", str(self.port)] if self._encrypted else []
        process.command = (*process.command, *ports, *self._options)
        return [process]

    def answers(self) -> bool:
        return not is_free(self.port)


def certificate_files(folder: Path) -> dict[str, str]:
    """PEM files by name: the authority `ca`, and a certificate and key of each end."""
    authority = Authority()
    contents = {}
    for name in ("redis", "gateway"):
        made = authority.certificates(name)
        contents |= {"ca": made.authority, f"{name}.crt": made.certificate, f"{name}.key": made.key}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return {name: str(folder / name) for name in contents}


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


async def test_a_name_without_a_password_is_said_too_and_not_taken_for_everybody(redis: Any, redis_url: str) -> None:
    await redis.execute_command("ACL", "SETUSER", "narrow", "on", "nopass", "~*", "+@all")
    where = urlsplit(redis_url)
    line = RedisLine(f"redis://narrow@{where.hostname}:{where.port}")
    assert await line.call("ACL", "WHOAMI") == b"narrow"
    await line.aclose()
    await redis.execute_command("ACL", "DELUSER", "narrow")


async def test_an_older_redis_with_a_password_alone_is_told_it(redis: Any, redis_url: str) -> None:
    await redis.config_set("requirepass", "open sesame")
    where = urlsplit(redis_url)
    try:
        line = RedisLine(f"redis://:open%20sesame@{where.hostname}:{where.port}")
        assert await line.call("PING") == b"PONG"
        await line.aclose()
        stranger = RedisLine(redis_url)
        with pytest.raises(ResponseError, match="NOAUTH"):
            await stranger.call("PING")
        await stranger.aclose()
    finally:
        await redis.config_set("requirepass", "")


async def test_who_may_not_ask_what_redis_is_goes_on(redis: Any, redis_url: str) -> None:
    await redis.execute_command("ACL", "SETUSER", "narrow", "on", ">x", "~*", "+@all", "-info")
    where = urlsplit(redis_url)
    line = RedisLine(f"redis://narrow:x@{where.hostname}:{where.port}")
    assert await line.call("PING") == b"PONG"
    with pytest.raises(ResponseError, match="NOPERM"):
        await line.call("INFO", "cluster")
    await line.aclose()
    await redis.execute_command("ACL", "DELUSER", "narrow")


def redis_cluster(tmp_path: Path) -> OtherRedis:
    """Its second port would be ten thousand above the first, where any outgoing connection may have it."""
    return OtherRedis(tmp_path, "--cluster-enabled", "yes", "--cluster-port", str(free_port_block()))


async def test_a_cluster_is_refused_at_start_and_by_every_later_connection(tmp_path: Path) -> None:
    with redis_cluster(tmp_path) as cluster:
        for _ in range(2):
            with pytest.raises(ClusterRefused, match="not a Redis Cluster"):
                await RedisLine(cluster.url).call("PING")
        with pytest.raises(ClusterRefused):
            await refuse_cluster(cluster.url)
        gate = RedisGate(RedisLine(cluster.url), FixedClock())
        with pytest.raises(GateClosed):
            await gate.ask((), (LimitKey("k", 1),))
        await gate.close()


async def test_a_gateway_before_a_cluster_does_not_start(tmp_path: Path) -> None:
    with redis_cluster(tmp_path) as cluster:
        environment = {"CRYPTOVAULT_PROFILE": "test", "CRYPTOVAULT_REDIS_URL": cluster.url, "PATH": os.environ["PATH"]}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway", env=environment, stdout=asyncio.subprocess.PIPE
        )
        output, _ = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 1
    assert b"redis_cluster" in output


async def test_one_redis_and_none_at_all_let_the_gateway_start(redis_url: str) -> None:
    await refuse_cluster(redis_url)
    await refuse_cluster("redis://127.0.0.1:1")


async def test_a_redis_that_asks_for_a_certificate_gets_the_one_that_the_url_names(tmp_path: Path) -> None:
    files = certificate_files(tmp_path)
    tls = ["--tls-cert-file", files["redis.crt"], "--tls-key-file", files["redis.key"], "--tls-ca-cert-file"]
    with OtherRedis(tmp_path, *tls, files["ca"], encrypted=True) as server:
        own = f"ssl_certfile={files['gateway.crt']}&ssl_keyfile={files['gateway.key']}"
        good = f"{server.url}?ssl_ca_certs={files['ca']}&{own}"
        line = RedisLine(good)
        assert await line.call("ECHO", "x" * 100_000) == b"x" * 100_000
        await line.aclose()
        async with Redis.from_url(good) as general:
            assert await general.ping()
        careless = RedisLine(f"{server.url}?ssl_cert_reqs=none&{own}")
        assert await careless.call("PING") == b"PONG"
        await careless.aclose()
        for wrong in (f"{server.url}?{own}", f"{server.url}?ssl_ca_certs={files['ca']}"):
            with pytest.raises((OSError, RedisConnectionError)):
                await RedisLine(wrong).call("PING")


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("redis://h:1/0?socket_timeout=5", "socket_timeout"),
        ("redis://h:1/0?protocol=3", "protocol"),
        ("redis://h:1/0?max_connections=3&client_name=x", "client_name, max_connections"),
        ("redis://h:1/0?ssl_ca_certs=/ca.pem", "ssl_ca_certs"),
        ("rediss://h:1/0?ssl_ca_certs=/nowhere.pem", "ssl_ca_certs"),
        ("rediss://h:1/0?ssl_cert_reqs=perhaps", "ssl_cert_reqs"),
        ("rediss://h:1/0?ssl_certfile=/nowhere.pem", "ssl_certfile"),
        ("rediss://h:1/0?ssl_nonsense=1", "ssl_nonsense"),
        ("http://h:1/0", "scheme"),
    ],
)
def test_what_a_url_asks_for_and_the_gate_does_not_do_is_refused_at_start(url: str, problem: str) -> None:
    with pytest.raises(ValidationError, match=problem) as refusal:
        GatewaySettings(redis_url=SecretStr(url.replace("//", "//user:secret@")))
    assert "secret" not in str(refusal.value)


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
        await reader.readuntil(b"cluster\r\n")
        writer.write(b"+\r\n")
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
