"""A journal with every event of the ledger, as it was first written, still means the same."""

from pathlib import Path

from trading.domain.exchange import Exchange
from trading.domain.history import History
from trading.domain.invariants import check_all
from trading.domain.markets import MarketStatus
from trading.journal.codec import decode_body

GOLDEN = Path(__file__).parent / "golden" / "ledger_v1.jsonl"


def test_the_first_transfers_in_two_phases_still_fold_to_the_same_balances() -> None:
    exchange, history = Exchange(), History()
    kinds = set()
    for line in GOLDEN.read_bytes().splitlines():
        for event in decode_body(line).events:
            exchange.apply(event)
            history.feed(event)
            kinds.add(type(event).__name__)
    state = exchange.state
    assert {
        "TransferPosted", "TransferHeld", "TransferSettled", "TransferReleased", "AssetFrozen", "AssetUnfrozen",
    } <= kinds  # fmt: skip
    assert check_all(state) == []
    assert history.compare(state) == []
    accounts = {name: owner.accounts["USD"] for name, owner in state.owners.items()}
    assert {name: (account.available, account.held) for name, account in accounts.items()} == {
        "external": (-199_100_000_000, 0),
        "user:ann": (91_099_999_998, 3_000_000_001),
        "user:bob": (105_000_000_000, 0),
        "fees": (1, 0),
    }
    assert list(state.pending_transfers) == ["w3"]
    assert {key: ended.fingerprint for (_, key), ended in state.keys.ended_hold.items()} == {
        "w1": "posted", "w2": "voided", "p1": "expired", "p2": "posted",
    }  # fmt: skip
    assert state.frozen_assets == {"BTC": "M1 BTC"}
    assert state.markets["BTC-USD"].market.status is MarketStatus.CANCEL_ONLY
    assert state.owners["user:ann"].sequence == 10
