"""Every field of an operator's change that holds a number: no trick passes for a decimal or for a whole number."""

import json
import time
from typing import Any

import pytest
from chassis.testing.number_literals import NOT_DECIMALS
from gateway.edge.bodies import read_body
from gateway.errors import PublicError
from gateway.schemas.admin import AddAsset, AddMarket, ChangeMarket, SetUserFees
from gateway.schemas.fields import RequestBody
from number_bodies import NO_TEXTS, body_with
from starlette.requests import Request

CPU_SECONDS_MAX = 0.010
MARKET: dict[str, Any] = {
    "base_asset": "TRX", "quote_asset": "USD", "reason": "asked for",
    "tick": "0.00001", "lot": "0.1", "min_notional": "1", "max_quantity": "1000000",
}  # fmt: skip
CHANGE: dict[str, Any] = {"version": 3, "reason": "asked for", "status": "halted"}
ASSET: dict[str, Any] = {"code": "TRX", "name": "TRON", "scale": 6, "reason": "asked for"}
RATES: dict[str, Any] = {"maker_fee_basis_points": 1, "taker_fee_basis_points": 1}
FEES: dict[str, Any] = {**RATES, "reason": "asked for"}
AMOUNTS = ("tick", "lot", "min_notional", "max_quantity")
COUNTS = (
    *RATES, "max_open_orders", "price_band_basis_points", "slippage_cap_basis_points", "silence_limit_seconds",
)  # fmt: skip
# Rules within rules, and whether there is a list of them.
HOUSE: dict[str, Any] = {
    "levels": 1, "half_spread_basis_points": 1, "step_basis_points": 1,
    "level_quantity": "1", "inventory_limit": "1", "refill_per_second": "1",
}  # fmt: skip
TIER: dict[str, Any] = {"volume_from": "1", **RATES}
BREAKER: dict[str, Any] = {"move_basis_points": 1, "window_seconds": 1, "pause_seconds": 1}
SOURCE: dict[str, Any] = {"name": "simulator", "maximum_age_seconds": 3, "extra_half_spread_basis_points": 0}
PARTS = (
    ("house", HOUSE, False),
    ("fee_tiers", TIER, True),
    ("circuit_breaker", BREAKER, False),
    ("sources", SOURCE, True),
)
# A whole number that JSON may write in another way too; zero where that is allowed.
WHOLE = ("0", "1", "-0")


def within(part: str, rules: dict[str, Any], name: str, raw: str, *, listed: bool) -> tuple[str, str]:
    """(field, its JSON): the part, with `raw` as one of its rules."""
    text = body_with(rules, name, raw).decode()
    return part, f"[{text}]" if listed else text


def bodies(raw: str, *, amounts: bool) -> list[tuple[type[RequestBody], str, bytes]]:
    """(model, field, body) for each field that holds an amount, or else for each that holds a whole number."""
    found: list[tuple[type[RequestBody], str, bytes]] = []
    if not amounts:
        found.append((ChangeMarket, "version", body_with(CHANGE, "version", raw)))
        found.append((AddAsset, "scale", body_with(ASSET, "scale", raw)))
        found += [(SetUserFees, name, body_with(FEES, name, raw)) for name in RATES]
    for model, body in ((AddMarket, MARKET), (ChangeMarket, CHANGE)):
        found += [(model, name, body_with(body, name, raw)) for name in (AMOUNTS if amounts else COUNTS)]
        for part, rules, listed in PARTS:
            found += [
                (model, name, body_with(body, *within(part, rules, name, raw, listed=listed)))
                for name, value in rules.items()
                if name != "name" and isinstance(value, str) is amounts
            ]
    return found


async def read(model: type[RequestBody], body: bytes) -> RequestBody:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    head = {"type": "http", "method": "POST", "headers": [(b"content-type", b"application/json")]}
    return await read_body(Request(head, receive), model)


@pytest.mark.parametrize("amounts", [True, False])
async def test_no_trick_passes_for_a_number_of_an_operators(*, amounts: bool) -> None:
    tried, slow = 0, []
    refused = [*(json.dumps(text) for text in NOT_DECIMALS), *NO_TEXTS]
    if not amounts:
        refused = [*(raw for raw in refused if raw not in WHOLE), '"1"', "1.0", "1e0", str(2**63), str(10**30)]
    assert len(refused) >= 200
    for raw in refused:
        for model, field, body in bodies(raw, amounts=amounts):
            started = time.process_time()
            with pytest.raises(PublicError) as refusal:
                await read(model, body)
            slow.append(time.process_time() - started)
            assert (refusal.value.status, refusal.value.code) == (400, "VALIDATION_ERROR"), (field, raw)
            said = refusal.value.details["field"]
            assert said == "body" or said.split(".")[-1] == field, (field, raw)
            tried += 1
    assert tried > 200 * (16 if amounts else 30)
    # A single one may have met the garbage collector.
    assert sorted(slow)[len(slow) * 99 // 100] < CPU_SECONDS_MAX


async def test_what_is_a_number_is_taken_to_the_letter() -> None:
    for raw in ('"0"', '"1"', '"1.0"', '"0.000000000000000001"', '"999999999999999999.999999999999999999"'):
        for model, field, body in bodies(raw, amounts=True):
            taken = (await read(model, body)).model_dump_json()
            assert f'"{field}":{raw}' in taken, (field, raw)
    for model, field, body in bodies("1", amounts=False):
        assert f'"{field}":1' in (await read(model, body)).model_dump_json(), field
