"""The bytes that are hashed, and the rules by which a fault shows."""

import hashlib
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from auth.domain.audit import AuditAction, AuditEntry
from auth.domain.audit_chain import GENESIS, SealedEntry, StreamHead, canonical_bytes, seal
from auth.domain.audit_checkpoints import (
    ENTRIES_BETWEEN,
    INTERVAL,
    Checkpoint,
    NoCheckpoint,
    checkpoint_of_text,
    checkpoint_text,
    is_due,
)
from auth.domain.audit_findings import ChainVerifier, Fault, Finding
from hypothesis import given
from hypothesis import strategies as st

NOW = datetime(2026, 11, 29, 8, 0, 0, 123_456, tzinfo=UTC)
USER = UUID("01900000-0000-7000-8000-000000000001")
ENTRY = AuditEntry(
    id=UUID("01900000-0000-7000-8000-00000000000a"),
    user_id=USER,
    actor=f"user:{USER}",
    action=AuditAction.API_KEY_CREATED,
    resource="api-key:é",
    address="203.0.113.7",
    session_id=None,
    request_id="request-1",
    timestamp=NOW,
    details={"scopes": "read trade", "networks": ""},
)


def entries(count: int) -> list[AuditEntry]:
    return [replace(ENTRY, id=UUID(int=number), request_id=f"request-{number}") for number in range(1, count + 1)]


def findings(
    trail: list[SealedEntry], *, head: StreamHead | None = None, marks: dict[int, bytes] | None = None
) -> list[Finding]:
    chain = ChainVerifier("auth", marks=marks or {}, head=head)
    for one in trail:
        chain.take(one)
    chain.finish(head)
    return chain.findings


def test_the_bytes_of_an_entry_never_change() -> None:
    """What was written years ago must verify today: other bytes are another format, with a number of its own."""
    (sealed,) = seal(StreamHead("auth"), [ENTRY])
    assert canonical_bytes(sealed.entry, stream="auth", sequence=1, previous_hash=GENESIS) == (
        b"cryptovault/audit-entry/1\n"
        b'["auth",1,"' + b"0" * 64 + b'","01900000-0000-7000-8000-00000000000a",'
        b'"01900000-0000-7000-8000-000000000001","user:01900000-0000-7000-8000-000000000001","api_key_created",'
        b'"api-key:\\u00e9","203.0.113.7",null,"request-1",1795939200123,'
        b'[["networks",""],["scopes","read trade"]]]'
    )
    assert sealed.hash.hex() == "dca310b5149c383aa0bc7ff67310e4554f635e61ecb99066b7b76e0efee76f37"


def test_the_bytes_of_a_checkpoint_never_change() -> None:
    checkpoint = Checkpoint(
        number=7, taken_at=NOW, heads=(StreamHead("trading", 9, b"t" * 32), StreamHead("auth", 3, b"a" * 32)),
        previous_hash=b"p" * 32, public_key=b"k" * 32,
    )  # fmt: skip
    assert checkpoint.signed_bytes == (
        b"cryptovault/audit-checkpoint/1\n"
        b'[7,1795939200123,[["auth",3,"' + b"61" * 32 + b'"],["trading",9,"' + b"74" * 32 + b'"]],"'
        + b"70" * 32 + b'","' + b"6b" * 32 + b'"]'
    )  # fmt: skip
    assert checkpoint.hash == hashlib.sha256(checkpoint.signed_bytes).digest()


def test_entries_count_without_gap_and_each_names_the_one_before() -> None:
    first = seal(StreamHead("auth"), entries(3))
    more = seal(first[-1].head, entries(2))
    trail = [*first, *more]
    assert [one.sequence for one in trail] == [1, 2, 3, 4, 5]
    assert [one.previous_hash for one in trail] == [GENESIS, *(one.hash for one in trail[:-1])]
    assert all(one.entry.timestamp.microsecond == 123_000 for one in trail)
    assert findings(trail, head=trail[-1].head, marks={3: trail[2].hash}) == []


CHANGES: dict[str, Any] = {
    "id": UUID(int=99),
    "user_id": UUID(int=98),
    "actor": "operator:eve",
    "action": "password_changed",
    "resource": None,
    "address": "198.51.100.1",
    "session_id": "another",
    "request_id": "another",
    "timestamp": NOW - timedelta(days=1),
    "details": {"scopes": "read trade withdraw", "networks": ""},
}


def test_every_field_of_an_entry_is_hashed() -> None:
    assert CHANGES.keys() == {field.name for field in fields(AuditEntry)}
    trail = list(seal(StreamHead("auth"), entries(3)))
    for name, value in CHANGES.items():
        edited = replace(trail[1], entry=replace(trail[1].entry, **{name: value}))
        assert findings([trail[0], edited, trail[2]], head=trail[2].head) == [Finding("auth", Fault.EDITED, 2)], name


def test_an_entry_that_was_edited_and_hashed_anew_is_betrayed_by_its_successor() -> None:
    trail = list(seal(StreamHead("auth"), entries(3)))
    (forged,) = seal(trail[0].head, [replace(trail[1].entry, actor="operator:eve")])
    assert findings([trail[0], forged, trail[2]], head=trail[2].head) == [Finding("auth", Fault.EDITED, 2)]


@given(
    count=st.integers(1, 12),
    position=st.integers(1, 12),
    mark=st.integers(1, 12),
)
def test_a_chain_computed_anew_from_anywhere_contradicts_each_later_mark(count: int, position: int, mark: int) -> None:
    position, mark = min(position, count), min(mark, count)
    trail = list(seal(StreamHead("auth"), entries(count)))
    before = trail[: position - 1]
    start = before[-1].head if before else StreamHead("auth")
    rest = [replace(trail[position - 1].entry, actor="operator:eve"), *(one.entry for one in trail[position:])]
    forged = [*before, *seal(start, rest)]
    found = findings(forged, head=forged[-1].head, marks={mark: trail[mark - 1].hash})
    # A mark before the first changed entry still agrees: nothing that was signed is contradicted.
    assert found == ([] if mark < position else [Finding("auth", Fault.RESTAMPED, 1, mark)])


def test_a_restamped_range_begins_after_the_last_mark_that_agrees() -> None:
    trail = list(seal(StreamHead("auth"), entries(9)))
    forged = [*trail[:5], *seal(trail[4].head, [replace(one.entry, actor="operator:eve") for one in trail[5:]])]
    marks = {number: trail[number - 1].hash for number in (2, 4, 7, 9)}
    assert findings(forged, head=forged[-1].head, marks=marks) == [Finding("auth", Fault.RESTAMPED, 5, 7)]


def test_two_rows_of_one_number_and_rows_beyond_the_end_are_foreign() -> None:
    trail = list(seal(StreamHead("auth"), entries(3)))
    assert findings([*trail, trail[2]], head=trail[2].head) == [Finding("auth", Fault.FOREIGN, 3)]
    assert findings(trail, head=trail[1].head) == [Finding("auth", Fault.FOREIGN, 3, 3)]
    assert findings(trail) == [Finding("auth", Fault.FOREIGN, 1, 3)]


def test_a_checkpoint_is_due_by_count_or_by_time_and_never_for_nothing() -> None:
    def taken(count: int) -> Checkpoint:
        return Checkpoint(
            number=1, taken_at=NOW, heads=(StreamHead("auth", count),), previous_hash=GENESIS, public_key=b""
        )

    def due(newest: Checkpoint | None, count: int, later: timedelta) -> bool:
        return is_due(newest, [StreamHead("auth", count), StreamHead("trading")], NOW + later)

    assert not due(None, 0, timedelta(days=1))
    assert due(None, 1, timedelta())
    assert not due(taken(5), 5, timedelta(days=365))
    assert not due(taken(5), 6, INTERVAL - timedelta(milliseconds=1))
    assert due(taken(5), 6, INTERVAL)
    assert due(taken(5), 6, -timedelta(milliseconds=1))  # the clock was set back
    assert not due(taken(5), 5 + ENTRIES_BETWEEN - 1, timedelta())
    assert due(taken(5), 5 + ENTRIES_BETWEEN, timedelta())


def test_a_checkpoint_survives_its_line_of_text() -> None:
    whole = NOW.replace(microsecond=123_000)
    checkpoint = Checkpoint(
        number=7, taken_at=whole, heads=(StreamHead("auth", 3, b"h" * 32),), previous_hash=b"p" * 32,
        public_key=b"k" * 32, signature=b"s" * 64,
    )  # fmt: skip
    assert checkpoint_of_text(checkpoint_text(checkpoint)) == checkpoint


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "null", '{"number":"x"}', '{"number":1,"taken_at":1e400}', "[" * 50_000]
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(NoCheckpoint):
        checkpoint_of_text(text)
