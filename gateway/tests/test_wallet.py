"""The ledger as its owner reads it: postings as pages and as a table, balances of then."""

import csv
import io
from datetime import UTC, datetime
from typing import TYPE_CHECKING, get_args

import httpx
import pytest
from chassis.clock import SystemClock
from chassis.errors import ErrorKind, RemoteError
from cryptovault.trading.v1.trading_pb2 import ListPostingsRequest
from facts import ORDER, USER
from gateway.schemas import wallet
from replies import checked
from trading_stand_in import posting

if TYPE_CHECKING:
    from conftest import Running, Start

LEDGER = "/api/v1/wallet/ledger"
BALANCES = "/api/v1/wallet/balances"
NOT_FOUND = RemoteError(kind=ErrorKind.NOT_FOUND, reason="no_such_event", message="There is no such event yet.")


async def table(up: "Running", path: str = LEDGER) -> httpx.Response:
    return await up.client.get(path, headers=up.bearer() | {"Accept": "text/csv"})


async def test_postings_are_what_the_document_says(up: "Running") -> None:
    transferred = posting(
        1, kind="deposit", trade_id="", order_id="", transfer_id="transfer-1", counterparties=["external"]
    )
    up.platform.queries.postings = [posting(2, index=1), transferred]
    reply = await up.client.get(LEDGER, headers=up.bearer())
    page = wallet.PostingPage.model_validate_json(reply.content)
    assert [(one.id, one.order_id, one.transfer_id) for one in page.items] == [
        ("2.1", ORDER, None),
        ("1.0", None, "transfer-1"),
    ]
    assert reply.headers["vary"] == "Accept, Origin"
    checked(await up.client.get(LEDGER), 401, "AUTHENTICATION_ERROR")


async def test_filters_travel_on(up: "Running") -> None:
    path = f"{LEDGER}?asset=BTC&kind=deposit&from=2026-01-01T00:00:00Z&to=2026-02-01T00:00:00.5Z&limit=7&cursor=0"
    assert (await up.client.get(path, headers=up.bearer())).status_code == 200
    request = up.platform.queries.requests[-1]
    assert (request.asset, request.kind, request.limit, request.cursor) == ("BTC", "deposit", 7, "0")
    assert (request.from_time.seconds, request.to_time.ToMilliseconds()) == (1_767_225_600, 1_769_904_000_500)


async def test_a_table_has_every_posting_of_every_page(up: "Running") -> None:
    up.platform.queries.postings = [posting(number) for number in range(120, 0, -1)]
    reply = await table(up, f"{LEDGER}?asset=USD")
    assert reply.headers["content-type"].startswith("text/csv")
    assert reply.headers["vary"] == "Accept, Origin"
    assert "ledger.csv" in reply.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(reply.text)))
    assert [int(row["sequence"]) for row in rows] == list(range(120, 0, -1))
    assert (rows[0]["amount"], rows[0]["counterparties"], rows[0]["transfer_id"]) == ("-25.5", "house fees", "")
    pages = [request for request in up.platform.queries.requests if isinstance(request, ListPostingsRequest)]
    assert {request.asset for request in pages} == {"USD"}
    assert {caller.user_id for caller in up.platform.queries.callers} == {USER}
    assert len(pages) == 3


async def test_a_table_that_would_be_too_long_is_refused_and_a_shorter_time_is_not(up: "Running") -> None:
    up.platform.queries.postings = [posting(1)]
    january, february, end = 1_767_225_600, 1_769_904_000, 253_402_300_799
    up.platform.queries.events_by = {january: 50_000, february: 150_000, end: 150_001}
    refused = checked(await table(up), 400, "VALIDATION_ERROR")
    assert (refused["field"], refused["rule"], refused["limit"]) == ("from", "maximum", "100000")
    assert refused["given"] == "150001"
    since = f"{LEDGER}?from=2026-01-01T00:00:00Z"
    assert checked(await table(up, since), 400, "VALIDATION_ERROR")["given"] == "100001"
    # As many as there may be, to the last.
    reply = await table(up, f"{since}&to=2026-02-01T00:00:00Z")
    assert (reply.status_code, len(reply.text.splitlines())) == (200, 2)
    assert (await up.client.get(LEDGER, headers=up.bearer())).status_code == 200


async def test_an_empty_ledger_is_a_table_with_a_header(up: "Running") -> None:
    assert (await table(up)).text.splitlines() == [
        "time,sequence,asset,amount,balance_after,kind,counterparties,trade_id,order_id,transfer_id"
    ]


async def test_a_table_that_cannot_be_finished_is_not_taken_for_a_whole_one(up: "Running") -> None:
    up.platform.queries.postings = [posting(number) for number in range(120, 0, -1)]
    up.platform.queries.fail_after = 2  # its length, its first page
    with pytest.raises(httpx.RemoteProtocolError):
        await table(up)


async def test_a_table_that_is_refused_is_refused_with_its_reason(up: "Running") -> None:
    up.platform.queries.error = RemoteError(
        kind=ErrorKind.NOT_FOUND, reason="unknown_asset", message="There is no such asset."
    )
    assert checked(await table(up, f"{LEDGER}?asset=NONE"), 404, "NOT_FOUND")["reason"] == "unknown_asset"


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("*/*", "application/json"),
        ("text/csv", "text/csv"),
        ("TEXT/CSV;q=1", "text/csv"),
        ("application/json, text/csv", "application/json"),
        ("text/csv, application/json", "text/csv"),
        ("text/html", "application/json"),
        ("", "application/json"),
    ],
)
async def test_the_first_form_that_is_named_is_the_one_that_comes(up: "Running", accept: str, form: str) -> None:
    reply = await up.client.get(LEDGER, headers=up.bearer() | {"Accept": accept})
    assert reply.headers["content-type"].split(";")[0] == form


async def test_balances_are_read_as_of_a_time_or_an_event(up: "Running") -> None:
    reply = await up.client.get(f"{BALANCES}?as_of=12", headers=up.bearer())
    page = wallet.BalancePage.model_validate_json(reply.content)
    assert page.last_event is not None
    assert (page.items[0].available, page.last_event.sequence) == ("7", 12)
    assert up.platform.queries.requests[-1].sequence == 12
    reply = await up.client.get(f"{BALANCES}?as_of=2026-01-01T00:00:00.250Z", headers=up.bearer())
    assert up.platform.queries.requests[-1].time.ToMilliseconds() == 1_767_225_600_250
    # The stand-in answers with event 0: nothing had happened yet.
    assert reply.json()["last_event"] is None
    now = wallet.BalancePage.model_validate_json((await up.client.get(BALANCES, headers=up.bearer())).content)
    assert now.last_event is None
    up.platform.queries.error = NOT_FOUND
    refused = await up.client.get(f"{BALANCES}?as_of=9", headers=up.bearer())
    assert checked(refused, 404, "NOT_FOUND")["reason"] == "no_such_event"


async def test_balances_of_a_time_that_has_not_been_are_refused(start: "Start") -> None:
    """Today's would be taken for what will be then. A little ahead is but another clock."""
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    async with start(clock=_Stopped(now)) as up:
        bearer = {"Authorization": f"Bearer {up.platform.minter.token(int(now.timestamp()))}"}
        for text in ("2026-03-01T12:00:05.001Z", "9999-12-31T23:59:59Z"):
            reply = await up.client.get(f"{BALANCES}?as_of={text}", headers=bearer)
            assert checked(reply, 400, "VALIDATION_ERROR") == {
                "reason": "invalid_argument", "field": "as_of", "rule": "past", "limit": "2026-03-01T12:00:00.000Z",
                "given": text, "value": text,
            }  # fmt: skip
        assert up.platform.queries.requests == []
        reply = await up.client.get(f"{BALANCES}?as_of=2026-03-01T12:00:05Z", headers=bearer)
        assert reply.status_code == 200
        # Up to which time a table reaches is a filter, no moment whose balances anybody reads.
        reply = await up.client.get(f"{LEDGER}?to=2030-01-01T00:00:00Z", headers=bearer | {"Accept": "text/csv"})
        assert reply.status_code == 200


class _Stopped(SystemClock):
    """Its wall time stands still; what waits and times out goes on."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now


async def test_a_kind_of_posting_that_there_is_not_is_refused_with_those_that_there_are(up: "Running") -> None:
    details = checked(await up.client.get(f"{LEDGER}?kind=trades", headers=up.bearer()), 400, "VALIDATION_ERROR")
    assert (details["field"], details["rule"], details["value"]) == ("kind", "one_of", "trades")
    assert all(f"'{kind}'" in details["one_of"] for kind in get_args(wallet.PostingKind))
    assert checked(await table(up, f"{LEDGER}?kind=trades"), 400, "VALIDATION_ERROR")["rule"] == "one_of"
    assert up.platform.queries.requests == []


async def test_what_is_behind_says_so(up: "Running") -> None:
    up.platform.queries.behind = True
    for path in (LEDGER, f"{BALANCES}?as_of=1"):
        assert (await up.client.get(path, headers=up.bearer())).headers["x-data-behind"] == "true"
    assert (await table(up)).headers["x-data-behind"] == "true"


@pytest.mark.parametrize(
    "query",
    [
        "ledger?asset=btc", "ledger?asset=", "ledger?kind=TRADE", "ledger?limit=201", "ledger?limit=0",
        "ledger?limit=x",
        "ledger?from=2026-01-01", "ledger?from=2026-13-01T00:00:00Z", "ledger?to=1", "ledger?form=2026-01-01T00:00:00Z",
        "ledger?from_time=2026-01-01T00:00:00Z", "ledger?asset=BTC&asset=ETH", "ledger?cursor=", "ledger?cursor=%00",
        "balances?as_of=-1", "balances?as_of=1e3", "balances?as_of=01", "balances?as_of=", "balances?as_of=%D9%A1",
        "balances?as_of=2026-02-30T00:00:00Z", "balances?as_of=99999999999999999", "balances?at=1",
        "balances?as_of=2026-01-01T00:00:00%2B01:00",
    ],
)  # fmt: skip
async def test_a_query_that_is_not_exactly_right_is_refused(up: "Running", query: str) -> None:
    reply = await up.client.get(f"/api/v1/wallet/{query}", headers=up.bearer())
    checked(reply, 400, "VALIDATION_ERROR")
    assert up.platform.queries.requests == []


@pytest.mark.parametrize("query", ["limit=10", "cursor=5"])
async def test_a_table_takes_no_page(up: "Running", query: str) -> None:
    assert checked(await table(up, f"{LEDGER}?{query}"), 400, "VALIDATION_ERROR")["rule"] == "not_for_csv"
