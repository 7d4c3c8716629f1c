"""Postings as the public sees them, as JSON and as lines of CSV."""

import csv
import io
from collections.abc import Iterable
from typing import Any

from cryptovault.trading.v1 import trading_pb2 as pb

from gateway.views.times import time_text

CSV_COLUMNS = (
    "time", "sequence", "asset", "amount", "balance_after", "kind", "counterparties", "trade_id", "order_id",
    "transfer_id",
)  # fmt: skip


def posting_view(posting: pb.LedgerPosting) -> dict[str, Any]:
    return {
        "id": f"{posting.sequence}.{posting.index}",
        "sequence": posting.sequence,
        "time": time_text(posting.time),
        "asset": posting.asset,
        "amount": posting.amount,
        "balance_after": posting.balance_after,
        "kind": posting.kind,
        "counterparties": list(posting.counterparties),
        "trade_id": posting.trade_id or None,
        "order_id": posting.order_id or None,
        "transfer_id": posting.transfer_id or None,
    }


def csv_lines(rows: Iterable[Iterable[object]]) -> bytes:
    """RFC 4180: commas, CRLF, quotes where they are needed."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode()


def posting_row(posting: pb.LedgerPosting) -> list[object]:
    view = posting_view(posting)
    view["counterparties"] = " ".join(posting.counterparties)
    return [view[column] for column in CSV_COLUMNS]
