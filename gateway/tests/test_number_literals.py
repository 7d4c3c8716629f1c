"""Every field of an order that holds a number, every way in: what is no plain decimal goes no further than the door."""

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from chassis.testing.number_literals import NOT_DECIMALS
from facts import ORDER
from number_bodies import NO_TEXTS, body_with
from replies import checked

if TYPE_CHECKING:
    from conftest import Running

PATH = "/api/v1/orders"
CPU_SECONDS_MAX = 0.010
ACCEPTED = ("0", "1", "1.0", "0.5", "0.000000000000000001", "999999999999999999.999999999999999999")
BODY: dict[str, Any] = {"market": "BTC-USD", "side": "buy", "type": "limit", "quantity": "0.5", "price": "50000"}
WAYS = (
    *(("POST", PATH, BODY, field) for field in ("quantity", "quote_quantity", "price", "stop_price")),
    *(("POST", f"{PATH}/preview", BODY, field) for field in ("quantity", "quote_quantity", "price", "stop_price")),
    *(("PATCH", f"{PATH}/{ORDER}", {}, field) for field in ("price", "quantity")),
)


@pytest.mark.parametrize(("method", "path", "body", "field"), WAYS)
async def test_no_trick_passes_for_a_number(
    up: "Running", *, method: str, path: str, body: dict[str, Any], field: str
) -> None:
    headers = {**up.bearer(), "Content-Type": "application/json"}
    times = []
    for raw in (*(json.dumps(text) for text in NOT_DECIMALS), *NO_TEXTS):
        started = time.process_time()
        reply = await up.client.request(method, path, content=body_with(body, field, raw), headers=headers)
        times.append(time.process_time() - started)
        details = checked(reply, 400, "VALIDATION_ERROR")
        assert details["field"] in {field, "body"}, raw
        assert details["rule"] in {"decimal_string", "string", "json"}, raw
    assert up.platform.trading.commands == []
    assert up.platform.trading.previews == []
    # Client and server together; a single one may have met the garbage collector.
    assert sorted(times)[len(times) * 9 // 10] < CPU_SECONDS_MAX


@pytest.mark.parametrize(("method", "path", "body", "field"), WAYS)
async def test_a_plain_decimal_reaches_the_exchange_to_the_letter(
    up: "Running", *, method: str, path: str, body: dict[str, Any], field: str
) -> None:
    for text in ACCEPTED:
        reply = await up.client.request(method, path, json={**body, field: text}, headers=up.bearer())
        assert reply.is_success, reply.text
        if path.endswith("preview"):
            sent: Any = up.platform.trading.previews[-1]
        else:
            command = up.platform.trading.commands[-1]
            sent = command.amend_order if method == "PATCH" else command.place_order
        assert getattr(sent, field) == text
