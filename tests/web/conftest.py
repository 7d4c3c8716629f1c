"""Real Chromium on the real platform, with the web app that the gateway serves."""

import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from local_stack.platform import Platform
from playwright.async_api import Browser, async_playwright, expect

from tests.web.visitor import Visitor

REPOSITORY = Path(__file__).resolve().parents[2]
# No account, no sync, no look-ups of its own: the browser talks to the platform and to nobody else.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
)
# Other tests may be at work on the same two cores.
TIMEOUT_MS = 30_000

NewVisitor = Callable[..., Awaitable[Visitor]]


@pytest.fixture(scope="session")
def chromium() -> str:
    """The browser's path; where there is none the tests are skipped, but never in CI."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    missing = None if (REPOSITORY / "web" / "dist" / "index.html").is_file() else "web/dist is not built"
    missing = missing or (None if found else "there is no Chromium")
    if missing is not None or found is None:
        if os.environ.get("CI"):
            pytest.fail(f"The browser tests cannot run: {missing}")
        pytest.skip(f"{missing}: see `make web-e2e`")
    return found


@pytest.fixture(scope="session")
async def browser(chromium: str) -> AsyncIterator[Browser]:
    expect.set_options(timeout=TIMEOUT_MS)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        yield browser
        await browser.close()


@pytest.fixture
async def new_visitor(browser: Browser, platform: Platform) -> AsyncIterator[NewVisitor]:
    """Somebody with a browser of their own. What its console complained of fails the test that caused it."""
    visitors: list[Visitor] = []

    async def make(
        *, width: int = 1440, height: int = 900, dark: bool = False, url: str | None = None, locale: str = "en-US"
    ) -> Visitor:
        context = await browser.new_context(
            base_url=url or platform.gateway_url,
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            locale=locale,
        )
        context.set_default_timeout(TIMEOUT_MS)
        visitor = Visitor(context, await context.new_page())
        visitors.append(visitor)
        return visitor

    yield make
    complaints = [complaint for visitor in visitors for complaint in visitor.complaints]
    for visitor in visitors:
        await visitor.context.close()
    assert complaints == []


@pytest.fixture
async def visitor(new_visitor: NewVisitor) -> Visitor:
    return await new_visitor()


@pytest.fixture
async def member(visitor: Visitor) -> Visitor:
    """Signed up, with practice money, on the trade page."""
    await visitor.sign_up()
    return visitor
