"""Private reads: what their user did is in them, and nothing of anybody else's."""

from typing import TYPE_CHECKING

import pytest
from chassis.errors import ErrorKind, RemoteError
from chassis.testing import eventually
from facts import ORDER, OTHER_USER, USER
from gateway.schemas import trading as schemas
from gateway.schemas import wallet
from replies import checked
from trading_stand_in import event, order

if TYPE_CHECKING:
    from pydantic import BaseModel

    from conftest import Running

BODY = {"market": "BTC-USD", "side": "buy", "type": "limit", "quantity": "0.5", "price": "50000"}


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/api/v1/orders", schemas.OrderPage),
        (f"/api/v1/orders/{ORDER}", schemas.OrderWithFills),
        ("/api/v1/orders/by-client-id/mine", schemas.OrderWithFills),
        ("/api/v1/fills", schemas.FillPage),
        ("/api/v1/events", schemas.EventPage),
        ("/api/v1/portfolio", schemas.Portfolio),
        ("/api/v1/wallet/balances", wallet.BalancePage),
    ],
)
async def test_replies_are_exactly_what_the_document_says(up: "Running", path: str, model: "type[BaseModel]") -> None:
    up.platform.queries.events = [event(1, order=order()), event(2)]
    reply = await up.client.get(path, headers=up.bearer())
    assert reply.status_code == 200, reply.text
    model.model_validate_json(reply.content)
    assert reply.headers["cache-control"] == "no-store"
    assert "x-data-behind" not in reply.headers
    checked(await up.client.get(path), 401, "AUTHENTICATION_ERROR")


async def test_filters_and_pages_travel_on(up: "Running") -> None:
    path = "/api/v1/orders?market=BTC-USD&status=open&limit=7&cursor=abc"
    assert (await up.client.get(path, headers=up.bearer())).json()["next_cursor"] == "next"
    request = up.platform.queries.requests[-1]
    assert (request.market, request.status, request.limit, request.cursor) == ("BTC-USD", "open", 7, "abc")
    await up.client.get(f"/api/v1/fills?order_id={ORDER}&limit=200", headers=up.bearer())
    assert (up.platform.queries.requests[-1].order_id, up.platform.queries.requests[-1].limit) == (ORDER, 200)


async def test_events_are_read_on_from_the_cursor_given(up: "Running") -> None:
    up.platform.queries.events = [event(number) for number in range(1, 6)]
    first = (await up.client.get("/api/v1/events?limit=3", headers=up.bearer())).json()
    assert ([one["sequence"] for one in first["items"]], first["next_cursor"]) == ([1, 2, 3], "3")
    rest = (await up.client.get("/api/v1/events?limit=3&after=3", headers=up.bearer())).json()
    assert ([one["sequence"] for one in rest["items"]], rest["next_cursor"]) == ([4, 5], None)


async def test_anothers_order_does_not_exist(up: "Running") -> None:
    headers = up.bearer(sub=OTHER_USER, sid="s-2")
    checked(await up.client.get(f"/api/v1/orders/{ORDER}", headers=headers), 404, "NOT_FOUND")


async def test_a_read_asks_for_what_its_user_did_through_this_gateway(fresh: "Running") -> None:
    await eventually(lambda: fresh.platform.trading.watchers)
    fresh.platform.trading.publish(event(1, user_id="somebody", batch=3))
    placed = 0

    async def remembered() -> bool:
        """From the first message on, the batch of an order's reply is enough."""
        nonlocal placed
        await fresh.client.post("/api/v1/orders", json=BODY, headers=fresh.bearer())
        placed = fresh.platform.trading.batch
        asked = fresh.platform.trading.balance_requests
        await fresh.client.get("/api/v1/orders", headers=fresh.bearer())
        assert fresh.platform.queries.requests[-1].at_least_batch == placed
        return fresh.platform.trading.balance_requests == asked

    await eventually(remembered)


async def test_a_read_asks_for_what_its_user_did_elsewhere(fresh: "Running") -> None:
    await eventually(lambda: fresh.platform.trading.watchers)
    fresh.platform.trading.publish(event(1, batch=90))
    fresh.platform.trading.batch = 0

    async def seen() -> bool:
        await fresh.client.get("/api/v1/fills", headers=fresh.bearer())
        return bool(fresh.platform.queries.requests[-1].at_least_batch == 90)

    await eventually(seen)


async def test_a_user_nobody_has_seen_is_asked_for_at_the_exchange(fresh: "Running") -> None:
    fresh.platform.trading.batch = 55
    await fresh.client.get("/api/v1/orders", headers=fresh.bearer())
    assert fresh.platform.queries.requests[-1].at_least_batch == 55


async def test_after_a_break_of_the_event_stream_the_exchange_is_asked_again(fresh: "Running") -> None:
    await eventually(lambda: fresh.platform.trading.watchers)
    fresh.platform.trading.publish(event(1, batch=5))
    fresh.platform.trading.break_watchers()
    await eventually(lambda: not fresh.platform.trading.watchers)
    fresh.platform.trading.batch = 77
    await eventually(lambda: fresh.platform.trading.watchers)
    fresh.platform.trading.publish(event(1, user_id="somebody", batch=78))

    async def asked() -> bool:
        await fresh.client.get("/api/v1/orders", headers=fresh.bearer())
        return bool(fresh.platform.queries.requests[-1].at_least_batch == 77)

    await eventually(asked)


async def test_a_read_that_is_behind_says_so(up: "Running") -> None:
    up.platform.queries.behind = True
    up.platform.portfolio.behind = True
    for path in ("/api/v1/orders", "/api/v1/fills", f"/api/v1/orders/{ORDER}", "/api/v1/portfolio"):
        assert (await up.client.get(path, headers=up.bearer())).headers["x-data-behind"] == "true"


async def test_a_portfolio_older_than_its_user_says_so(up: "Running") -> None:
    up.platform.portfolio.batch = 1
    up.platform.trading.batch = 2_000_000
    reply = await up.client.get("/api/v1/portfolio", headers=up.bearer(sub=USER))
    assert reply.headers.get("x-data-behind") == "true"


async def test_without_the_exchange_history_is_still_read_and_says_that_it_may_lag(fresh: "Running") -> None:
    await fresh.platform.take_away("trading")
    reply = await fresh.client.get("/api/v1/orders", headers=fresh.bearer())
    assert reply.status_code == 200
    assert reply.headers["x-data-behind"] == "true"


async def test_a_refused_read_keeps_its_reason(up: "Running") -> None:
    up.platform.queries.error = RemoteError(kind=ErrorKind.INVALID, reason="bad_cursor", message="No such cursor.")
    reply = await up.client.get("/api/v1/orders?cursor=abc", headers=up.bearer())
    assert checked(reply, 400, "VALIDATION_ERROR")["reason"] == "bad_cursor"
