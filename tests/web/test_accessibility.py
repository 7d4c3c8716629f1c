"""axe on every page, in both themes, at both widths; nothing is wider than the screen."""

import json
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.web.conftest import REPOSITORY, NewVisitor
from tests.web.visitor import Visitor

AXE = REPOSITORY / "web" / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
FOR_STRANGERS = ("/", "/sign-up", "/sign-in", "/verify", "/markets", "/trade/BTC-USD", "/no/such/page")
FOR_MEMBERS = ("/trade/BTC-USD", "/portfolio")
PHONE, DESK = (390, 844), (1440, 900)


async def violations(page: Page) -> list[dict[str, Any]]:
    # Evaluated, not added as a script: the page's content policy would rightly refuse that.
    await page.evaluate(AXE.read_text(encoding="utf-8"))
    found = await page.evaluate(f"axe.run({{ runOnly: {json.dumps(RULES)} }}).then(({{ violations }}) => violations)")
    return [{"rule": each["id"], "where": [node["html"] for node in each["nodes"]][:3]} for each in found]


async def check(visitor: Visitor, path: str) -> None:
    page = visitor.page
    await page.goto(path)
    await expect(page.get_by_role("heading", level=1)).to_be_attached()
    await visitor.is_live()
    assert await violations(page) == [], path
    await _is_no_wider_than_the_screen(page, path)


@pytest.mark.parametrize(
    ("size", "dark"),
    [
        pytest.param(DESK, False, id="desk-light"),
        pytest.param(PHONE, True, id="phone-dark"),
        pytest.param(DESK, True, id="desk-dark", marks=pytest.mark.long),
        pytest.param(PHONE, False, id="phone-light", marks=pytest.mark.long),
    ],
)
async def test_axe_finds_nothing(new_visitor: NewVisitor, size: tuple[int, int], *, dark: bool) -> None:
    width, height = size
    visitor = await new_visitor(width=width, height=height, dark=dark)
    for path in FOR_STRANGERS:
        await check(visitor, path)
    await visitor.sign_up()
    await visitor.page.get_by_label("Amount to spend").fill("100")
    await visitor.button("Buy BTC").click()
    await expect(visitor.page.get_by_role("dialog")).to_be_visible()
    assert await violations(visitor.page) == []
    await visitor.confirm()
    await expect(visitor.page.get_by_text("Bought 0.0")).to_be_visible()
    await visitor.let_an_order_rest()
    for path in FOR_MEMBERS:
        await check(visitor, path)


async def test_at_four_times_its_size_a_page_needs_no_sideways_scrolling(new_visitor: NewVisitor) -> None:
    # 1280 pixels at 400 %, as WCAG 1.4.10 has it.
    visitor = await new_visitor(width=320, height=256)
    for path in FOR_STRANGERS:
        await visitor.page.goto(path)
        await visitor.is_live()
        await _is_no_wider_than_the_screen(visitor.page, path)


async def _is_no_wider_than_the_screen(page: Page, path: str) -> None:
    wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide == 0, f"{path} is {wide} pixels wider than the screen"
