"""The OpenAPI document and a page that shows it, with assets of our own."""

import importlib.resources

from starlette.requests import Request
from starlette.responses import Response

from gateway.admission.policy import Access
from gateway.edge.replies import ready_reply
from gateway.edge.security_headers import PAGE_CONTENT_POLICY
from gateway.openapi import DOCUMENT_PATH
from gateway.routes.endpoint import Endpoint

_CACHE = "public, max-age=300"


class DocumentRoutes:
    """`publish` gives the finished document and page, which need all routes, these among them."""

    def __init__(self) -> None:
        self._document = b""
        self._page = ""
        self._style = importlib.resources.files("gateway.docs_page").joinpath("style.css").read_bytes()

    def publish(self, *, document: bytes, page: str) -> None:
        self._document = document
        self._page = page

    def endpoints(self) -> list[Endpoint]:
        return [
            Endpoint(
                method="GET", path=DOCUMENT_PATH, handler=self.get_document, access=Access.PUBLIC, limit=None,
                operation_id="getOpenApi", summary="This document", tag="documents", documented=False,
            ),
            Endpoint(
                method="GET", path="/docs", handler=self.get_page, access=Access.PUBLIC, limit=None,
                operation_id="getDocs", summary="The API for people", tag="documents", documented=False,
            ),
            Endpoint(
                method="GET", path="/docs/style.css", handler=self.get_style, access=Access.PUBLIC, limit=None,
                operation_id="getDocsStyle", summary="How it looks", tag="documents", documented=False,
            ),
        ]  # fmt: skip

    async def get_document(self, _request: Request) -> Response:
        response = ready_reply(self._document)
        response.headers["cache-control"] = _CACHE
        return response

    async def get_page(self, _request: Request) -> Response:
        headers = {"content-security-policy": PAGE_CONTENT_POLICY, "cache-control": _CACHE}
        return Response(self._page, media_type="text/html", headers=headers)

    async def get_style(self, _request: Request) -> Response:
        return Response(self._style, media_type="text/css", headers={"cache-control": _CACHE})
