"""A journal with an asset and a market that an operator added, as first written, still means the same."""

from pathlib import Path

from trading.domain.commands import AddAsset, AddMarket
from trading.domain.exchange import Exchange
from trading.domain.invariants import check_all
from trading.domain.markets import MarketStatus
from trading.domain.snapshot import state_hash
from trading.journal.codec import decode_body

GOLDEN = Path(__file__).parent / "golden" / "listing_v1.jsonl"


def test_what_operators_added_first_is_still_there_with_its_rules_and_keys() -> None:
    exchange = Exchange()
    commands = []
    for line in GOLDEN.read_bytes().splitlines():
        for entry in decode_body(line).entries:
            commands.append(entry.command)
            for event in entry.events:
                exchange.apply(event)
    added = [command for command in commands if isinstance(command, AddAsset | AddMarket)]
    assert [(type(command), command.idempotency_key) for command in added] == [
        (AddAsset, "asset-key"), (AddMarket, "market-key"),
    ]  # fmt: skip
    state = exchange.state
    assert check_all(state) == []
    assert (state.assets["TRX"].name, state.assets["TRX"].scale) == ("TRON", 6)
    market = state.markets["TRX-USD"]
    assert (market.version, market.market.status) == (2, MarketStatus.TRADING)
    assert (market.market.tick, market.market.lot, market.market.maximum_quantity) == (1_000, 100_000, 10**12)
    assert {key for _, key in state.keys.idempotency} == {"asset-key", "market-key"}
    (order,) = state.orders.values()
    assert (order.market, order.quantity, order.filled_quantity, order.price) == (
        "TRX-USD", 10_000_000, 4_000_000, 25_000_000,
    )  # fmt: skip
    assert state_hash(state) == "734c39b009ae1e224d2d0e5a7b62033c9783370ffbb58a43134e018d179f95ee"
