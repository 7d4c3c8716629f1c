"""Somebody who uses the web app: what they see, click and type."""

import re
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

from chassis.testing import eventually
from playwright.async_api import BrowserContext, ConsoleMessage, Locator, Page, expect

from tests.customers import CODE, MAIL_SECONDS, PASSWORD, new_email

MONEY = re.compile(r"[^\d.-]")
LIVE_AGAIN_SECONDS = 2.0
RESTARTS_MAX = 3


class Visitor:
    def __init__(self, context: BrowserContext, page: Page) -> None:
        self.context = context
        self.page = page
        self.email = new_email()
        self.complaints: list[str] = []
        # For tests that cut lines on purpose.
        self.expects_trouble = False
        self.watch(page)

    def watch(self, page: Page) -> None:
        """A content policy that is broken, an error of ours: the browser writes them all to its console."""
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.complaints.append(f"page error: {error}"))

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not self.expects_trouble:
            self.complaints.append(message.text)

    async def ask_for_a_code(self) -> None:
        await self.page.goto("/sign-up")
        await self.page.get_by_label("Name").fill("Ada")
        await self.page.get_by_label("E-mail").fill(self.email)
        await self.page.get_by_label("Password").fill(PASSWORD)
        await self.page.get_by_role("button", name="Create account").click()
        await self.page.wait_for_url("**/verify")

    async def sign_up(self) -> None:
        """Through the form and the mail, until the practice money is there."""
        await self.ask_for_a_code()
        await self.page.get_by_label("Code").fill(await self.mailed_code())
        await self.page.wait_for_url("**/trade/BTC-USD")
        await expect(self.line("Available")).to_have_text("$10,000.00")

    async def mailed_code(self) -> str:
        async def arrived() -> str | None:
            mails = await self.ask("/dev/mailbox")
            codes = [CODE.search(mail["text"]) for mail in mails if mail["to"] == self.email]
            return next((code.group() for code in codes if code), None)

        code = await eventually(arrived, timeout_seconds=MAIL_SECONDS)
        assert code is not None
        return code

    async def ask(self, path: str) -> Any:
        """What the API itself answers to this browser's cookies."""
        reply = await self.context.request.get(path, headers={"Accept": "application/json"})
        assert reply.ok, await reply.text()
        return await reply.json()

    async def orders(self) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = (await self.ask("/api/v1/orders?limit=200"))["items"]
        return items

    def line(self, name: str) -> Locator:
        """The value beside a name in a list of facts, such as the ticket's."""
        return self.page.locator(f"dt:text-is('{name}') + dd").first

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    async def confirm(self) -> None:
        await self.button("Place order").click()

    async def let_an_order_rest(self) -> None:
        """A limit order to buy far below the market."""
        await self.page.get_by_role("radio", name="Limit").click()
        price = Decimal(await self.page.get_by_label("Limit price").get_attribute("placeholder") or "0")
        await self.page.get_by_label("Limit price").fill(str((price * Decimal("0.95")).quantize(Decimal("0.01"))))
        await self.page.get_by_label("Amount", exact=True).fill("0.01")
        await self.button("Buy BTC").click()
        await self.confirm()
        await expect(self.page.get_by_role("tab", name="Open orders (1)")).to_be_visible()

    async def is_live_again(self, restart: Callable[[], Awaitable[None]]) -> None:
        """Within two seconds of the gateway's being back. A busy machine may hold up one restart, not three."""
        for tries_left in reversed(range(RESTARTS_MAX)):
            await restart()
            try:
                await self.is_live(within_seconds=LIVE_AGAIN_SECONDS)
            except AssertionError:
                if not tries_left:
                    raise
                await self.is_live()
            else:
                return

    async def is_live(self, *, within_seconds: float = 30.0) -> None:
        await expect(self.page.locator("header").get_by_role("status")).to_have_text(
            "Live", timeout=within_seconds * 1000
        )


def figure(text: str) -> Decimal:
    """`$1,234.50` as a number."""
    return Decimal(MONEY.sub("", text))
