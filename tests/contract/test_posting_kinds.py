"""Trading names the kinds of postings, the gateway's document lists them for those who ask: both must be the same."""

from typing import get_args

from gateway.schemas.wallet import PostingKind
from trading.journal.postings import POSTING_KINDS


def test_every_kind_of_posting_that_there_is_can_be_asked_for() -> None:
    assert get_args(PostingKind) == POSTING_KINDS
