"""Who did what: on one's own account, and, for who looks after accounts, on everybody's."""

from typing import TYPE_CHECKING

from cryptovault.auth.v1 import auth_pb2 as pb
from starlette.requests import Request
from starlette.responses import Response

from gateway.admission.policy import Access, LimitClass
from gateway.edge.moments import read_moment
from gateway.edge.queries import read_query
from gateway.edge.replies import json_reply
from gateway.routes.endpoint import API, Endpoint
from gateway.schemas import audit as schemas
from gateway.schemas import queries
from gateway.views.audit import entry_view, own_entry_view

if TYPE_CHECKING:
    from cryptovault.auth.v1.auth_pb2_grpc import AuthServiceAsyncStub  # exists for type checkers only


class AuditRoutes:
    def __init__(self, *, auth: "AuthServiceAsyncStub") -> None:
        self._auth = auth

    def endpoints(self) -> list[Endpoint]:
        return [
            Endpoint(
                method="GET", path=f"{API}/audit", handler=self.list_own, access=Access.USER,
                limit=LimitClass.ACCOUNT, permission="audit:read", operation_id="listAuditEntries", tag="identity",
                summary="What was done on your account, newest first",
                description="Security changes, orders placed, amended and cancelled, every movement of money: by whom, "
                "from where, in which session or with which API key. What is done at the exchange shows in seconds.",
                query=queries.AuditQuery, reply=schemas.OwnAuditPage,
            ),
            Endpoint(
                method="GET", path=f"{API}/admin/audit-logs", handler=self.search, access=Access.USER,
                limit=LimitClass.ADMIN, permission="audit-logs:read", operation_id="searchAuditLogs", tag="admin",
                summary="The audit trail, newest first", description="As it was written, with each entry's place in "
                "its stream's chain of hashes.",
                query=queries.AuditSearchQuery, reply=schemas.AuditPage,
            ),
        ]  # fmt: skip

    async def list_own(self, request: Request) -> Response:
        query = read_query(request, queries.AuditQuery)
        answer = await self._auth.ListAuditEntries(
            pb.ListAuditEntriesRequest(filter=_filter(query), limit=query.page_size, cursor=query.cursor or "")
        )
        return json_reply(
            {"items": [own_entry_view(one) for one in answer.entries], "next_cursor": answer.next_cursor or None}
        )

    async def search(self, request: Request) -> Response:
        query = read_query(request, queries.AuditSearchQuery)
        wanted = _filter(query)
        wanted.user_id = query.user_id or ""
        answer = await self._auth.SearchAuditTrail(
            pb.SearchAuditTrailRequest(filter=wanted, limit=query.page_size, cursor=query.cursor or "")
        )
        return json_reply(
            {"items": [entry_view(one) for one in answer.entries], "next_cursor": answer.next_cursor or None}
        )


def _filter(query: queries.AuditQuery) -> pb.AuditFilter:
    return pb.AuditFilter(
        action=query.action or "",
        from_time=None if query.from_time is None else read_moment(query.from_time, field="from"),
        to_time=None if query.to_time is None else read_moment(query.to_time, field="to"),
    )
