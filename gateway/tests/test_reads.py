"""Private reads: what their user did is in them, and nothing of anybody else's."""

import asyncio
from typing import TYPE_CHECKING

import pytest
from chassis.errors import ErrorKind, RemoteError
from chassis.testing import eventually
from facts import ORDER, OTHER_USER
from gateway.schemas import trading as schemas
from gateway.schemas import wallet
from replies import checked
from trading_stand_in import event, order

if TYPE_CHECKING:
    from pydantic import BaseModel

    from conftest import Running

BODY = {"market": "BTC-USD", "side": "buy", "type": "limit", "quantity": "0.5", "price": "50000"}
PRIVATE = (
    "/api/v1/orders",
    f"/api/v1/orders/{ORDER}",
    "/api/v1/orders/by-client-id/mine",
    "/api/v1/fills",
    "/api/v1/events",
    "/api/v1/wallet/ledger",
    "/api/v1/wallet/balances?as_of=1",
)


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
    up.platform.trading.sequence = 5
    first = (await up.client.get("/api/v1/events?limit=3", headers=up.bearer())).json()
    assert ([one["sequence"] for one in first["items"]], first["next_cursor"]) == ([1, 2, 3], "3")
    rest = (await up.client.get("/api/v1/events?limit=3&after=3", headers=up.bearer())).json()
    assert ([one["sequence"] for one in rest["items"]], rest["next_cursor"]) == ([4, 5], None)


async def test_an_event_that_there_is_not_yet_is_not_waited_for(up: "Running") -> None:
    up.platform.queries.events = [event(number) for number in range(1, 3)]
    up.platform.trading.sequence = 5  # the records end before what the leader has told of
    for after in (2, 4, 5):
        told = await up.client.get(f"/api/v1/events?after={after}", headers=up.bearer())
        assert (told.status_code, told.json()["items"]) == (200, [])
    refused = await up.client.get("/api/v1/events?after=6", headers=up.bearer())
    details = checked(refused, 400, "VALIDATION_ERROR")
    assert [details[name] for name in ("reason", "field", "rule", "maximum")] == [
        "invalid_argument",
        "after",
        "maximum",
        "5",
    ]


async def test_anothers_order_does_not_exist(up: "Running") -> None:
    headers = up.bearer(sub=OTHER_USER, sid="s-2")
    checked(await up.client.get(f"/api/v1/orders/{ORDER}", headers=headers), 404, "NOT_FOUND")


async def test_a_read_asks_for_what_its_user_did_through_another_gateway(fresh: "Running") -> None:
    await eventually(lambda: fresh.platform.trading.watchers)
    fresh.platform.trading.publish(event(1, batch=5))
    await fresh.client.post("/api/v1/orders", json=BODY, headers=fresh.bearer())
    await fresh.client.get("/api/v1/orders", headers=fresh.bearer())
    # The answer has left by the other gateway, the announcement to this one is still to come.
    fresh.platform.trading.batch = 55
    for path in PRIVATE:
        await fresh.client.get(path, headers=fresh.bearer())
        assert fresh.platform.queries.requests[-1].at_least_batch == 55, path


async def test_while_a_command_is_under_way_its_user_is_told_nothing_final(fresh: "Running") -> None:
    await fresh.client.post("/api/v1/orders", json=BODY, headers=fresh.bearer())
    await eventually(lambda: fresh.platform.trading.watchers)
    fresh.platform.trading.publish(event(1, batch=fresh.platform.trading.batch))
    fresh.platform.trading.silent = 1
    body = {**BODY, "client_order_id": "mine"}
    unanswered = asyncio.create_task(fresh.client.post("/api/v1/orders", json=body, headers=fresh.bearer()))
    await eventually(lambda: len(fresh.platform.trading.commands) == 2)
    fresh.platform.trading.batch = 56
    await fresh.client.get("/api/v1/orders", headers=fresh.bearer())
    assert fresh.platform.queries.requests[-1].at_least_batch == 56
    fresh.platform.queries.error = RemoteError(kind=ErrorKind.NOT_FOUND, reason="order_not_found", message="None.")
    asked = await fresh.client.get("/api/v1/orders/by-client-id/mine", headers=fresh.bearer())
    assert checked(asked, 503, "SERVICE_UNAVAILABLE")["reason"] == "history_behind"
    for path, headers in (
        ("/api/v1/orders/by-client-id/another", fresh.bearer()),
        ("/api/v1/orders/by-client-id/mine", fresh.bearer(sub=OTHER_USER, sid="s-2")),
    ):
        checked(await fresh.client.get(path, headers=headers), 404, "NOT_FOUND")
    unanswered.cancel()
    await asyncio.gather(unanswered, return_exceptions=True)


async def test_a_read_that_is_behind_says_so(up: "Running") -> None:
    up.platform.queries.behind = True
    up.platform.portfolio.behind = True
    for path in (*PRIVATE, "/api/v1/portfolio"):
        assert (await up.client.get(path, headers=up.bearer())).headers["x-data-behind"] == "true"


async def test_without_the_exchange_history_is_still_read_and_says_that_it_may_lag(fresh: "Running") -> None:
    await fresh.platform.take_away("trading")
    reply = await fresh.client.get("/api/v1/orders", headers=fresh.bearer())
    assert reply.status_code == 200
    assert reply.headers["x-data-behind"] == "true"


async def test_a_refused_read_keeps_its_reason(up: "Running") -> None:
    up.platform.queries.error = RemoteError(kind=ErrorKind.INVALID, reason="bad_cursor", message="No such cursor.")
    reply = await up.client.get("/api/v1/orders?cursor=abc", headers=up.bearer())
    assert checked(reply, 400, "VALIDATION_ERROR")["reason"] == "bad_cursor"
