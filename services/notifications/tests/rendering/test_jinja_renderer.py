from dataclasses import replace
from datetime import UTC, datetime

import pytest
from jinja2 import UndefinedError
from notifications.domain.mails import NOTICE_EVENTS, MailKind
from notifications.rendering.jinja_renderer import JinjaRenderer
from notifications.use_cases.ports import Secret

SECRET = Secret(code="736251", name="Ann", expires_at=datetime(2026, 1, 1, 12, 34, tzinfo=UTC))
FILL = {
    "order_id": "o1",
    "market": "BTC-USD",
    "side": "sell",
    "quantity": "0.5",
    "notional": "25000.00",
    "average_price": "50000.00",
    "fees": "25.00",
}
OTHER = FILL | {"order_id": "o2", "market": "ETH-EUR", "side": "buy", "quantity": "3"}
FILLED = FILL | {"orders": [FILL], "unlisted_orders": False}
NOTICE = {
    "event": "new_device",
    "time": "2026-01-01 12:30 UTC",
    "address": "203.0.113.7",
    "device": "Firefox <on> Linux",
    "subject": "",
    "link": "https://vault.example/freeze",
}


@pytest.fixture
def renderer() -> JinjaRenderer:
    return JinjaRenderer()


@pytest.mark.parametrize("kind", [MailKind.VERIFY_EMAIL, MailKind.RESET_PASSWORD])
def test_a_code_stands_in_both_bodies_with_its_end_and_never_in_the_subject(
    renderer: JinjaRenderer, kind: MailKind
) -> None:
    content = renderer.render(kind, name="Ann", facts={}, secret=SECRET)
    for body in (content.text, content.html):
        assert "736251" in body
        assert "12:34 UTC" in body
        assert "Hello Ann," in body
    assert "736251" not in content.subject


def test_every_kind_of_mail_has_its_templates(renderer: JinjaRenderer) -> None:
    for kind in MailKind:
        content = renderer.render(kind, name="", facts=FILLED | NOTICE, secret=SECRET)
        assert content.subject
        assert "\n" not in content.subject
        assert content.text.startswith("Hello,")
        assert content.html.startswith("<!doctype html>")
        assert content.html.rstrip().endswith("</html>")


def test_html_is_escaped_and_plain_text_is_not(renderer: JinjaRenderer) -> None:
    content = renderer.render(MailKind.ALREADY_REGISTERED, name="<b>Ann & Bo</b>", facts={}, secret=None)
    assert "<b>Ann" not in content.html
    assert "&lt;b&gt;Ann &amp; Bo" in content.html
    assert "<b>Ann & Bo</b>" in content.text


def test_a_fill_is_told_with_its_amounts(renderer: JinjaRenderer) -> None:
    content = renderer.render(MailKind.ORDER_FILLED, name="Ann", facts=FILLED, secret=None)
    assert content.subject == "Sold 0.5 BTC"
    for fact in ("50000.00 USD", "25000.00 USD", "25.00 USD", "o1"):
        assert fact in content.text
        assert fact in content.html


def test_several_fills_are_told_each_with_its_amounts(renderer: JinjaRenderer) -> None:
    facts = FILLED | {"orders": [FILL, OTHER]}
    content = renderer.render(MailKind.ORDER_FILLED, name="Ann", facts=facts, secret=None)
    assert content.subject == "2 orders filled"
    for fact in ("Sold", "0.5 BTC", "Bought", "3 ETH", "50000.00 USD", "25.00 EUR", "o1", "o2", "these orders"):
        assert fact in " ".join(content.text.split())
        assert fact in content.html
    more = renderer.render(MailKind.ORDER_FILLED, name="Ann", facts=facts | {"unlisted_orders": True}, secret=None)
    assert more.subject == "More than 2 orders filled"
    for body in (more.text, more.html):
        assert "more than 2 of your orders are filled" in body
        assert "All of them are in your orders" in body


def test_a_missing_fact_is_an_error_and_not_a_blank(renderer: JinjaRenderer) -> None:
    with pytest.raises(UndefinedError):
        renderer.render(
            MailKind.ORDER_FILLED, name="Ann", facts={"orders": [{}], "unlisted_orders": False}, secret=None
        )


@pytest.mark.parametrize("event", sorted(NOTICE_EVENTS))
def test_every_notice_says_what_happened_when_and_where(renderer: JinjaRenderer, event: str) -> None:
    facts = NOTICE | {"event": event, "subject": "bot-1"}
    content = renderer.render(MailKind.SECURITY_NOTICE, name="Ann", facts=facts, secret=replace(SECRET, code=""))
    assert "CryptoVault" in content.subject or "Two-factor" in content.subject
    for fact in ("bot-1", "12:30 UTC", "203.0.113.7"):
        assert fact in content.text
        assert fact in content.html
    assert "Firefox <on> Linux" in content.text
    assert "Firefox &lt;on&gt; Linux" in content.html
    assert "freeze" not in content.text.replace("frozen", "")
    assert "set a new password" in content.text


def test_a_notice_with_a_code_links_to_where_the_account_is_frozen(renderer: JinjaRenderer) -> None:
    content = renderer.render(MailKind.SECURITY_NOTICE, name="Ann", facts=NOTICE, secret=SECRET)
    for body in (content.text, content.html):
        assert "https://vault.example/freeze#736251" in body
