import asyncio
from pathlib import Path

import pytest
from chassis.embedded.ports import free_port_block
from chassis.embedded.redis import RedisServer
from chassis.service import Runtime
from chassis.settings import ServiceSettings
from pydantic import SecretStr
from redis.exceptions import TimeoutError as RedisTimeoutError


async def test_a_restart_of_redis_costs_no_caller_an_error(tmp_path: Path) -> None:
    port = free_port_block()
    with RedisServer(port=port, folder=tmp_path) as server:
        runtime = Runtime(ServiceSettings(listen="127.0.0.1:0", redis_url=SecretStr(server.url)))
        redis = await runtime.redis()
        await asyncio.gather(*(redis.ping() for _ in range(8)))
    with RedisServer(port=port, folder=tmp_path):
        assert all(await asyncio.gather(*(redis.ping() for _ in range(8))))
    await runtime.run_hooks()


async def test_each_service_says_how_long_it_waits_for_redis(tmp_path: Path) -> None:
    with RedisServer(port=free_port_block(), folder=tmp_path) as server:
        url = SecretStr(server.url)
        hasty = Runtime(ServiceSettings(listen="127.0.0.1:0", redis_url=url, redis_timeout_seconds=0.1))
        patient = Runtime(ServiceSettings(listen="127.0.0.1:0", redis_url=url, redis_timeout_seconds=30))
        await (await patient.redis()).client_pause(500)
        with pytest.raises(RedisTimeoutError):
            await (await hasty.redis()).ping()
        assert await (await patient.redis()).ping()
        await hasty.run_hooks()
        await patient.run_hooks()
