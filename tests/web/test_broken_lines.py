"""Lost answers, a restarted gateway, no network: what a page does then."""

import asyncio

from local_stack.platform import Platform
from playwright.async_api import Route, expect

from tests.web.visitor import Visitor


async def test_a_restarted_gateway_is_live_again_within_two_seconds(member: Visitor, platform: Platform) -> None:
    await member.is_live()
    member.expects_trouble = True

    async def restart() -> None:
        await platform.stop("gateway")
        await expect(member.page.locator("header").get_by_role("status")).not_to_have_text("Live")
        await platform.start("gateway")

    await member.is_live_again(restart)
    # And the page goes on as if nothing had been.
    await member.page.get_by_label("Amount to spend").fill("100")
    await member.button("Buy BTC").click()
    await member.confirm()
    await expect(member.page.get_by_text("Bought 0.0")).to_be_visible()
    assert len(await member.orders()) == 1


async def test_an_order_whose_answer_was_lost_is_found_and_not_sent_again(member: Visitor) -> None:
    member.expects_trouble = True
    sent = 0

    async def lose_the_answer(route: Route) -> None:
        nonlocal sent
        if route.request.method != "POST":
            await route.continue_()
            return
        sent += 1
        await route.fetch()
        await route.abort("connectionreset")

    await member.page.route("**/api/v1/orders", lose_the_answer)
    await member.page.get_by_label("Amount to spend").fill("100")
    await member.button("Buy BTC").click()
    await member.confirm()
    await expect(member.page.get_by_text("Bought 0.0")).to_be_visible()
    assert sent == 1
    assert len(await member.orders()) == 1


async def test_an_order_that_never_arrived_is_said_to_be_not_placed(member: Visitor) -> None:
    member.expects_trouble = True

    async def swallow(route: Route) -> None:
        await (route.abort("connectionreset") if route.request.method == "POST" else route.continue_())

    await member.page.route("**/api/v1/orders", swallow)
    await member.page.get_by_label("Amount to spend").fill("100")
    await member.button("Buy BTC").click()
    await member.confirm()
    await expect(member.page.get_by_text("asking whether the order was taken")).to_be_visible()
    await expect(member.page.get_by_text("The order did not reach the exchange.")).to_be_visible()
    assert await member.orders() == []


async def test_two_tabs_whose_access_has_ended_renew_it_once(member: Visitor) -> None:
    member.expects_trouble = True
    await member.context.clear_cookies(name="__Host-cv_access")
    second = await member.context.new_page()
    # Using a refresh token twice would end the session for both.
    await second.goto("/portfolio")
    await member.page.goto("/portfolio")
    for page in (member.page, second):
        await expect(page.get_by_role("heading", name="Portfolio")).to_be_visible()
        await expect(page.get_by_text("US Dollar")).to_be_visible()
    assert (await member.ask("/api/v1/auth/me"))["email"] == member.email


async def test_without_a_network_the_page_says_so(visitor: Visitor) -> None:
    await visitor.page.goto("/markets")
    await visitor.is_live()
    await visitor.page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    visitor.expects_trouble = True
    await visitor.context.set_offline(True)
    await expect(visitor.page.locator("header").get_by_role("status")).to_have_text("Offline")
    await visitor.page.goto("/portfolio")
    await expect(visitor.page.get_by_role("heading", name="You are offline")).to_be_visible()
    await visitor.context.set_offline(False)
    await visitor.page.get_by_role("link", name="Try again").click()
    await visitor.page.wait_for_url("**/sign-in")


async def test_a_page_that_could_not_be_fetched_comes_with_the_network(visitor: Visitor) -> None:
    page = visitor.page
    await page.goto("/markets")
    await visitor.is_live()
    visitor.expects_trouble = True
    await visitor.context.set_offline(True)
    await page.get_by_role("link", name="Sign in").first.click()
    await expect(page.get_by_role("heading", name="You are offline")).to_be_visible()
    await visitor.context.set_offline(False)
    await expect(page.get_by_label("Password")).to_be_visible()


async def test_whoever_leaves_the_page_still_hears_what_became_of_the_order(member: Visitor) -> None:
    page = member.page
    await page.get_by_role("link", name="Markets").first.click()
    await page.get_by_role("link", name="BTC").first.click()
    answered = asyncio.Event()

    async def answer_late(route: Route) -> None:
        if route.request.method == "POST":
            await answered.wait()
        await route.continue_()

    await page.route("**/api/v1/orders", answer_late)
    await page.get_by_label("Amount to spend").fill("100")
    await member.button("Buy BTC").click()
    await member.confirm()
    await expect(page.get_by_role("button", name="Placing…")).to_be_visible()
    await page.go_back()
    await expect(page.get_by_role("heading", name="Markets")).to_be_visible()
    answered.set()
    await expect(page.get_by_text("Bought 0.0")).to_be_visible()
