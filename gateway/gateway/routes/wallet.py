"""A user's part of the ledger: balances of now and of then, every posting."""

from collections.abc import AsyncIterator
from datetime import UTC, timedelta
from typing import TYPE_CHECKING

from chassis.clock import Clock
from chassis.identity import Caller, current_caller, use_caller
from cryptovault.trading.v1 import trading_pb2 as pb
from google.protobuf.timestamp_pb2 import Timestamp
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from gateway.admission.policy import Access, LimitClass
from gateway.clients.freshness import Freshness
from gateway.edge.media_types import CSV, wants_csv
from gateway.edge.moments import read_moment
from gateway.edge.queries import read_query
from gateway.edge.replies import json_reply
from gateway.errors import invalid
from gateway.routes.endpoint import API, Endpoint
from gateway.schemas import queries, wallet
from gateway.schemas.fields import PAGE_SIZE_MAX
from gateway.views.times import datetime_text, time_text
from gateway.views.trading import balance_view
from gateway.views.wallet import CSV_COLUMNS, csv_lines, posting_row, posting_view

if TYPE_CHECKING:
    from cryptovault.trading.v1.trading_pb2_grpc import (  # exist for type checkers only
        TradingQueryServiceAsyncStub,
        TradingServiceAsyncStub,
    )

# The journal is read behind it, not a row: half a second on a busy machine is no reason to give up.
LEDGER_DEADLINE_SECONDS = 5.0
# Of one table: some 15 MB and a minute. Years of a person's trading; a bot asks for a month at a time.
TABLE_EVENTS_MAX = 100_000
CLOCK_SKEW_MAX = timedelta(seconds=5)  # between the clock that gave an event its time, the caller's and ours
_END_OF_TIME = Timestamp(seconds=253_402_300_799)  # 9999-12-31T23:59:59Z, the last that a message can name
_ONE_FORM = (b"vary", b"Accept, Origin")


class WalletRoutes:
    def __init__(
        self,
        *,
        trading: "TradingServiceAsyncStub",
        trading_queries: "TradingQueryServiceAsyncStub",
        freshness: Freshness,
        clock: Clock,
    ) -> None:
        self._trading = trading
        self._queries = trading_queries
        self._freshness = freshness
        self._clock = clock

    def endpoints(self) -> list[Endpoint]:
        return [
            Endpoint(
                method="GET", path=f"{API}/wallet/balances", handler=self.list_balances, access=Access.USER,
                limit=LimitClass.ACCOUNT, permission="wallet:read", operation_id="listBalances", tag="wallet",
                summary="Your balances in the ledger, now or at any past moment",
                query=queries.BalancesQuery, reply=wallet.BalancePage, errors=(404,), may_lag=True,
            ),
            Endpoint(
                method="GET", path=f"{API}/wallet/ledger", handler=self.list_postings, access=Access.USER,
                limit=LimitClass.ACCOUNT, permission="wallet:read", operation_id="listPostings", tag="wallet",
                summary="Every posting of your accounts, newest first",
                description="With `Accept: text/csv` all of them at once, as a table with a header; then without "
                f"`limit` and `cursor`, and over at most {TABLE_EVENTS_MAX:,} of your events (orders, fills, "
                "transfers): beyond, name `from` and `to`.",
                query=queries.LedgerQuery, reply=wallet.PostingPage, also_as=(CSV,), errors=(404,), may_lag=True,
            ),
        ]  # fmt: skip

    async def list_balances(self, request: Request) -> Response:
        query = read_query(request, queries.BalancesQuery)
        if query.as_of is not None:
            return await self._balances_as_of(request, query.as_of)
        answer = await self._trading.GetBalances(pb.GetBalancesRequest())
        items = [balance_view(balance) for balance in answer.balances]
        return json_reply({"items": items, "last_event": None, "next_cursor": None})

    async def list_postings(self, request: Request) -> Response:
        query = read_query(request, queries.LedgerQuery)
        asked = pb.ListPostingsRequest(
            asset=query.asset or "",
            kind=query.kind or "",
            from_time=None if query.from_time is None else read_moment(query.from_time, field="from"),
            to_time=None if query.to_time is None else read_moment(query.to_time, field="to"),
            at_least_batch=await self._freshness.needed(request),
        )
        if wants_csv(request):
            return await self._csv(request, query, asked)
        asked.limit = query.page_size
        asked.cursor = query.cursor or ""
        answer = await self._queries.ListPostings(asked, timeout=LEDGER_DEADLINE_SECONDS)
        self._freshness.report(request, behind=answer.behind)
        reply = json_reply(
            {"items": [posting_view(one) for one in answer.postings], "next_cursor": answer.next_cursor or None}
        )
        reply.raw_headers.append(_ONE_FORM)
        return reply

    async def _balances_as_of(self, request: Request, as_of: str) -> Response:
        asked = pb.GetBalancesAsOfRequest()
        if as_of.isdigit():
            asked.sequence = int(as_of)
        else:
            asked.time.CopyFrom(self._past(as_of))
        asked.at_least_batch = await self._freshness.needed(request)
        with self._freshness.not_found_only_if_known(request):
            answer = await self._queries.GetBalancesAsOf(asked, timeout=LEDGER_DEADLINE_SECONDS)
        self._freshness.report(request, behind=answer.behind)
        last = {"sequence": answer.sequence, "time": time_text(answer.time)} if answer.sequence else None
        items = [balance_view(balance) for balance in answer.balances]
        return json_reply({"items": items, "last_event": last, "next_cursor": None})

    def _past(self, as_of: str) -> Timestamp:
        """The exchange answers what has not been yet with what is, which a table relies on. Whoever names a time wants
        what was then, and would take today's balances for it.
        """
        moment = read_moment(as_of, field="as_of")
        now = self._clock.now()
        if moment.ToDatetime(UTC) - now > CLOCK_SKEW_MAX:
            raise invalid(
                "as_of has not been yet.",
                field="as_of", rule="past", limit=datetime_text(now), given=as_of, value=as_of,
            )  # fmt: skip
        return moment

    async def _csv(self, request: Request, query: queries.LedgerQuery, asked: pb.ListPostingsRequest) -> Response:
        for field in ("limit", "cursor"):
            if field in query.model_fields_set:
                raise invalid("A table has all postings.", field=field, rule="not_for_csv")
        await self._check_length(asked)
        asked.limit = PAGE_SIZE_MAX
        # The first page comes before the reply begins: what is refused is refused with its status.
        first = await self._queries.ListPostings(asked, timeout=LEDGER_DEADLINE_SECONDS)
        self._freshness.report(request, behind=first.behind)
        reply = StreamingResponse(
            self._table(asked, first, current_caller()),
            media_type=f"{CSV}; charset=utf-8; header=present",
            headers={"Content-Disposition": 'attachment; filename="ledger.csv"'},
        )
        reply.raw_headers.append(_ONE_FORM)
        return reply

    async def _check_length(self, asked: pb.ListPostingsRequest) -> None:
        """By the numbers of the first and the last event: what a table costs is the events that are read for it."""
        newest = await self._event_at(asked, asked.to_time if asked.HasField("to_time") else _END_OF_TIME)
        oldest = await self._event_at(asked, asked.from_time) if asked.HasField("from_time") else 0
        if newest - oldest > TABLE_EVENTS_MAX:
            raise invalid(
                "There is too much for one table: ask for shorter times, one after the other.",
                field="from", rule="maximum", limit=str(TABLE_EVENTS_MAX), given=str(newest - oldest),
            )  # fmt: skip

    async def _event_at(self, asked: pb.ListPostingsRequest, time: Timestamp) -> int:
        moment = pb.GetBalancesAsOfRequest(time=time, at_least_batch=asked.at_least_batch)
        return (await self._queries.GetBalancesAsOf(moment, timeout=LEDGER_DEADLINE_SECONDS)).sequence

    async def _table(
        self, asked: pb.ListPostingsRequest, first: pb.ListPostingsResponse, caller: Caller
    ) -> AsyncIterator[bytes]:
        """Page by page, as fast as the client takes them. An error on the way ends the connection, not the table."""
        yield csv_lines([CSV_COLUMNS])
        page = first
        while True:
            if page.postings:
                yield csv_lines(posting_row(posting) for posting in page.postings)
            if not page.next_cursor:
                return
            asked.cursor = page.next_cursor
            # The handler is over by now, and with it the name in which it asked.
            with use_caller(caller):
                page = await self._queries.ListPostings(asked, timeout=LEDGER_DEADLINE_SECONDS)
