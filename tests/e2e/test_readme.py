"""What the README tells a newcomer to type, typed."""

import asyncio
import json
import os
import re
import shutil
from pathlib import Path

import pytest
from local_stack.platform import Platform

README = Path(__file__).resolve().parents[2] / "README.md"
# Three seconds in peace. Its loops wait for a mail and for money, so a flow that is stuck would wait for ever.
FLOW_SECONDS = 90.0


async def test_the_readmes_commands_buy_bitcoin_and_a_repeat_buys_no_more(platform: Platform) -> None:
    if shutil.which("curl") is None and not os.environ.get("CI"):
        pytest.skip("there is no curl; `tests/tools.sh` gets it")
    flow = re.search(r"^```sh\n(api=.+?)^```$", README.read_text(), re.DOTALL | re.MULTILINE)
    assert flow is not None
    (order,) = re.findall(r"^curl -s \$api/orders .+?$\n.+?$", flow[1], re.MULTILINE)
    commands = flow[1] + "\n" + order.replace("curl -s", "echo; curl -s -i")
    replies = await _typed(commands.replace("http://localhost:18000", platform.gateway_url))
    assert replies.count('"status":"filled"') == 2, replies
    assert "\r\nidempotency-replayed: true\r\n" in replies
    portfolio = json.loads(replies[replies.index('{"holdings"') :].splitlines()[0])
    assert {holding["symbol"] for holding in portfolio["holdings"]} == {"BTC", "USD"}


async def _typed(commands: str) -> str:
    """What the shell shows, once all commands have ended well."""
    shell = await asyncio.create_subprocess_exec(
        "sh", "-eu", "-c", commands, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        shown, complaints = await asyncio.wait_for(shell.communicate(), FLOW_SECONDS)
    finally:
        if shell.returncode is None:
            shell.kill()
            await shell.wait()
    assert shell.returncode == 0, complaints.decode()
    return shown.decode()
