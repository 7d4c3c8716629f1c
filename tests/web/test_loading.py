"""What a visitor with a slow line sees while a page arrives."""

import pytest
from playwright.async_api import Page, expect

from tests.web.conftest import NewVisitor
from tests.web.visitor import Visitor

SHIFT_MAX = 0.02
# So slow that skeletons are seen: a page goes through each of its states.
LATENCY_MS, BYTES_PER_SECOND = 150, 200_000
PAGES = ("/", "/markets", "/trade/BTC-USD", "/portfolio")
WATCH = """
    window.shifts = [];
    new PerformanceObserver((list) => {
        for (const { value, sources } of list.getEntries()) {
            window.shifts.push([value, ...sources.map(({ node }) => node?.outerHTML?.slice(0, 80))]);
        }
    }).observe({ type: "layout-shift", buffered: true });
"""


@pytest.mark.parametrize(("width", "height"), [(390, 844), (1440, 900)])
async def test_nothing_jumps_while_a_page_arrives(new_visitor: NewVisitor, width: int, height: int) -> None:
    visitor = await new_visitor(width=width, height=height)
    page = visitor.page
    await _slow_down(page)
    await page.add_init_script(WATCH)
    for path in PAGES:
        await page.goto(path)
        await expect(page.get_by_role("heading", level=1)).to_be_attached()
        await visitor.is_live()
        # Two pictures later whatever has just arrived has its place.
        await page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        shifts = await page.evaluate("window.shifts")
        assert sum(value for value, *_ in shifts) <= SHIFT_MAX, f"{path}: {shifts}"


@pytest.mark.parametrize(
    ("path", "not_needed"),
    [
        ("/", ["TradePage", "MarketsPage", "PortfolioPage", "forms", "price-chart"]),
        ("/markets", ["TradePage", "LandingPage", "PortfolioPage", "forms", "price-chart"]),
        ("/sign-up", ["TradePage", "LandingPage", "MarketsPage", "PortfolioPage", "price-chart"]),
        ("/trade/BTC-USD", ["LandingPage", "MarketsPage", "PortfolioPage", "forms"]),
    ],
)
async def test_a_first_visit_fetches_the_code_of_no_other_page(
    visitor: Visitor, path: str, not_needed: list[str]
) -> None:
    page = visitor.page
    fetched: list[str] = []
    page.on("response", lambda reply: fetched.append(reply.url))
    await page.goto(path)
    await visitor.is_live()
    await page.wait_for_load_state("networkidle")
    assert any("/assets/" in url for url in fetched)
    assert [url for url in fetched for name in not_needed if f"/assets/{name}" in url] == []


async def _slow_down(page: Page) -> None:
    devtools = await page.context.new_cdp_session(page)
    await devtools.send("Network.enable")
    await devtools.send(
        "Network.emulateNetworkConditions",
        {
            "offline": False,
            "latency": LATENCY_MS,
            "downloadThroughput": BYTES_PER_SECOND,
            "uploadThroughput": BYTES_PER_SECOND,
        },
    )
