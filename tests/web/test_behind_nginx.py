"""The app as containers serve it: by nginx, before the gateway."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from chassis.embedded.ports import free_port_block
from local_stack.nginx import SOURCE_ADDRESS, NginxServer
from local_stack.platform import Platform
from playwright.async_api import expect

from tests.web.conftest import REPOSITORY, NewVisitor


@pytest.fixture
async def nginx(platform: Platform, tmp_path: Path, nginx_is_here: None) -> AsyncIterator[NginxServer]:
    await platform.restart("gateway", environment={"CRYPTOVAULT_TRUSTED_PROXIES": SOURCE_ADDRESS})
    gateway = platform.gateway_url.removeprefix("http://")
    with NginxServer(
        port=free_port_block(), folder=tmp_path, gateway=gateway, web_root=REPOSITORY / "web" / "dist"
    ) as server:
        yield server
    await platform.restart("gateway")


async def test_the_first_order_behind_nginx_and_a_gateway_that_restarts_there(
    nginx: NginxServer, new_visitor: NewVisitor, platform: Platform
) -> None:
    visitor = await new_visitor(url=nginx.url)
    await visitor.sign_up()
    await visitor.is_live()
    visitor.expects_trouble = True
    await visitor.is_live_again(
        lambda: platform.restart("gateway", environment={"CRYPTOVAULT_TRUSTED_PROXIES": SOURCE_ADDRESS})
    )
    visitor.expects_trouble = False
    await visitor.page.get_by_label("Amount to spend").fill("100")
    await visitor.button("Buy BTC").click()
    await visitor.confirm()
    await expect(visitor.page.get_by_text("Bought 0.0")).to_be_visible()
    await visitor.page.reload()
    await expect(visitor.line("Available")).not_to_have_text("$10,000.00")
    await visitor.is_live()
