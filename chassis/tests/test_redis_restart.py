import asyncio
from pathlib import Path

from chassis.embedded.ports import free_port_block
from chassis.embedded.redis import RedisServer
from chassis.service import Runtime
from chassis.settings import ServiceSettings
from pydantic import SecretStr


async def test_a_restart_of_redis_costs_no_caller_an_error(tmp_path: Path) -> None:
    port = free_port_block()
    with RedisServer(port=port, folder=tmp_path) as server:
        runtime = Runtime(ServiceSettings(listen="127.0.0.1:0", redis_url=SecretStr(server.url)))
        redis = await runtime.redis()
        await asyncio.gather(*(redis.ping() for _ in range(8)))
    with RedisServer(port=port, folder=tmp_path):
        assert all(await asyncio.gather(*(redis.ping() for _ in range(8))))
    await runtime.run_hooks()
