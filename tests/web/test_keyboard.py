"""The same with the keyboard alone."""

from playwright.async_api import Page, expect

from tests.web.visitor import Visitor

# More stops than any of our pages has: past it, what we look for cannot be reached.
STOPS_MAX = 80


async def tab_to(page: Page, selector: str) -> None:
    for _ in range(STOPS_MAX):
        await page.keyboard.press("Tab")
        if await page.evaluate("selector => document.activeElement?.matches(selector) ?? false", selector):
            return
    raise AssertionError(f"{selector} cannot be reached with the Tab key")


async def test_buying_by_keyboard_alone(member: Visitor) -> None:
    page = member.page
    await tab_to(page, "input[name=amount]")
    await page.keyboard.type("500")
    await page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_be_visible()
    await expect(member.button("Place order")).to_be_focused()

    # Escape leaves without buying, and the focus is where it was.
    await page.keyboard.press("Escape")
    await expect(dialog).to_be_hidden()
    await expect(page.get_by_label("Amount to spend")).to_be_focused()

    await page.keyboard.press("Enter")
    await expect(member.button("Place order")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("Bought 0.0")).to_be_visible()
    assert len(await member.orders()) == 1


async def test_a_wrong_amount_is_said_where_it_was_typed(member: Visitor) -> None:
    page = member.page
    await tab_to(page, "input[name=amount]")
    await page.keyboard.type("0.5")
    await page.keyboard.press("Enter")
    amount = page.get_by_label("Amount to spend")
    await expect(amount).to_be_focused()
    await expect(amount).to_have_attribute("aria-invalid", "true")
    await expect(page.get_by_text("The smallest order is worth")).to_be_visible()


async def test_the_first_stop_leads_past_the_navigation(visitor: Visitor) -> None:
    await visitor.page.goto("/markets")
    await expect(visitor.page.get_by_role("heading", name="Markets")).to_be_visible()
    await visitor.page.keyboard.press("Tab")
    await expect(visitor.page.get_by_role("link", name="Skip to the page")).to_be_focused()
    await visitor.page.keyboard.press("Enter")
    await expect(visitor.page.locator("#main")).to_be_focused()
