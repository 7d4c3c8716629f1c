"""What a visitor of a fresh platform does first, with the mouse."""

import re
from decimal import Decimal

import pytest
from chassis.testing import eventually
from playwright.async_api import expect

from tests.web.conftest import NewVisitor
from tests.web.visitor import Visitor, figure


async def test_a_stranger_sees_prices_move(visitor: Visitor) -> None:
    await visitor.page.goto("/")
    await visitor.is_live()
    bitcoin = visitor.page.get_by_role("link", name="BTC Bitcoin")
    seen = await bitcoin.inner_text()
    await expect(bitcoin).not_to_have_text(seen)


async def test_sign_up_buy_rest_cancel_and_come_back(member: Visitor) -> None:
    page = member.page
    # Bought at the market, for an amount of dollars.
    await page.get_by_label("Amount to spend").fill("1000")
    await expect(member.line("Fee (0.20 %)")).to_have_text("$2.00")
    await member.button("Buy BTC").click()
    await member.confirm()
    await expect(page.get_by_text("Bought 0.0")).to_be_visible()

    # A limit order far below the market rests, and is taken back.
    await member.let_an_order_rest()
    await page.get_by_role("button", name="Cancel the order").click()
    await expect(page.get_by_text("No open orders.")).to_be_visible()
    await page.get_by_role("tab", name="History").click()
    await expect(page.get_by_role("cell", name="Cancelled")).to_be_visible()
    assert sorted(order["status"] for order in await member.orders()) == ["cancelled", "filled"]

    # Still signed in after a reload.
    await page.reload()
    await expect(member.line("Available")).not_to_have_text("$10,000.00")
    await member.is_live()


async def test_the_portfolio_shows_what_the_api_answers(member: Visitor) -> None:
    page = member.page
    await page.get_by_label("Amount to spend").fill("2500")
    await member.button("Buy BTC").click()
    await member.confirm()
    await expect(page.get_by_text("Bought 0.0")).to_be_visible()

    answers: list[dict[str, object]] = []

    async def keep(reply: object) -> None:
        if getattr(reply, "url", "").endswith("/api/v1/portfolio"):
            answers.append(await reply.json())  # type: ignore[attr-defined]

    page.on("response", keep)
    await page.get_by_role("link", name="Portfolio").first.click()
    await expect(page.get_by_role("rowheader", name="BTC")).to_be_visible()

    async def is_shown() -> bool:
        if not answers:
            return False
        answer = answers[-1]
        row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="BTC"))
        cells = await row.get_by_role("cell").all_inner_texts()
        holding = next(each for each in answer["holdings"] if each["symbol"] == "BTC")  # type: ignore[attr-defined]
        return (
            figure(await member.line("Total value").inner_text()) == _cents(answer["total_value"])
            and figure(await member.line("Cash").inner_text()) == _cents(answer["cash"])
            and figure(cells[0]) == Decimal(holding["amount"])
            and figure(cells[2]) == _cents(holding["value"])
            and figure(cells[3]) == Decimal(holding["allocation"])
        )

    await eventually(is_shown, timeout_seconds=60.0)


async def test_whoever_signs_out_is_out_in_every_tab(member: Visitor) -> None:
    second = await member.context.new_page()
    member.watch(second)
    await second.goto("/portfolio")
    await expect(second.get_by_role("heading", name="Portfolio")).to_be_visible()
    await member.button("Sign out").click()
    await second.wait_for_url("**/sign-in")
    await expect(member.page.get_by_role("link", name="Sign up")).to_be_visible()


async def test_a_wrong_code_is_typed_over_and_a_right_one_may_come_with_spaces(visitor: Visitor) -> None:
    page = visitor.page
    await visitor.ask_for_a_code()
    await page.get_by_label("Code").fill("000000")
    visitor.expects_trouble = True
    await expect(page.get_by_text("The code is not right.")).to_be_visible()
    code = await visitor.mailed_code()
    await page.keyboard.type(f" {code[:3]} {code[3:]} ")
    await page.wait_for_url("**/trade/BTC-USD")


async def test_who_writes_a_comma_reads_and_types_amounts_with_a_comma(new_visitor: NewVisitor) -> None:
    visitor = await new_visitor(locale="de-DE")
    page = visitor.page
    await page.goto("/trade/BTC-USD")
    await visitor.is_live()
    await page.get_by_role("radio", name="Limit").click()
    price = page.get_by_label("Limit price")
    await expect(price).to_have_attribute("placeholder", re.compile(r"^\d+,\d+$"))
    await price.fill("1000,5")
    await page.get_by_label("Amount", exact=True).fill("0,1")
    await expect(visitor.line("Total")).to_have_text("100,15\u00a0$")


async def test_who_writes_a_point_is_asked_again_about_a_comma(member: Visitor) -> None:
    page = member.page
    amount = page.get_by_label("Amount to spend")
    await amount.fill("1,5")
    await member.button("Buy BTC").click()
    await expect(page.get_by_text("with a point before the decimals")).to_be_visible()
    await expect(page.get_by_role("dialog")).to_be_hidden()
    await expect(amount).to_be_focused()


async def test_too_much_is_said_while_it_is_typed(member: Visitor) -> None:
    amount = member.page.get_by_label("Amount to spend")
    said = member.page.get_by_text("Not enough: you have $10,000.00 available.")
    await amount.fill("10000.01")
    await expect(said).to_be_visible()
    await expect(amount).to_have_attribute("aria-invalid", "true")
    await amount.fill("10000")
    await expect(said).to_be_hidden()


async def test_a_phone_sees_that_the_holdings_go_on_beyond_its_edge(new_visitor: NewVisitor) -> None:
    visitor = await new_visitor(width=390, height=844)
    await visitor.sign_up()
    page = visitor.page
    await page.goto("/portfolio")
    holdings = page.get_by_role("region", name="Holdings")
    await holdings.scroll_into_view_if_needed()

    async def edge() -> bytes:
        # Above the words of the first line, where there is nothing but the ground.
        box = await holdings.bounding_box()
        assert box is not None
        clip = {"x": box["x"] + box["width"] - 10, "y": box["y"] + 1, "width": 8, "height": 6}
        return await page.screenshot(clip=clip)  # type: ignore[arg-type]

    with_more = await edge()
    await holdings.evaluate("region => region.scrollTo(region.scrollWidth, 0)")
    at_the_end = await edge()
    await holdings.evaluate("region => region.scrollTo(0, 0)")
    assert with_more != at_the_end
    assert await edge() == with_more


@pytest.mark.parametrize(("path", "kind"), [("/favicon.ico", "image/"), ("/robots.txt", "text/plain")])
async def test_what_browsers_and_robots_ask_for_unasked_is_there(visitor: Visitor, path: str, kind: str) -> None:
    reply = await visitor.context.request.get(path)
    assert reply.status == 200
    assert reply.headers["content-type"].startswith(kind)


async def test_a_page_that_does_not_exist_says_so(visitor: Visitor) -> None:
    await visitor.page.goto("/no/such/page")
    await expect(visitor.page.get_by_text("There is nothing here")).to_be_visible()


def _cents(amount: object) -> Decimal:
    return Decimal(str(amount)).quantize(Decimal("0.01"))
