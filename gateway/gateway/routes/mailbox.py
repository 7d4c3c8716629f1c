"""The mails that would have been sent: for developers, on their own machines."""

from html import escape
from typing import Any

import httpx
from starlette.requests import Request
from starlette.responses import Response

from gateway.admission.policy import Access
from gateway.edge.replies import json_reply
from gateway.edge.security_headers import PAGE_CONTENT_POLICY
from gateway.errors import unavailable
from gateway.routes.endpoint import Endpoint

_FIELDS = ("to", "subject", "text", "html", "sent_at")


class MailboxRoutes:
    """Composed in the local, bench and test profiles only."""

    def __init__(self, client: httpx.AsyncClient, url: str) -> None:
        self._client = client
        self._url = f"{url.rstrip('/')}/messages"

    def endpoints(self) -> list[Endpoint]:
        return [
            Endpoint(
                method="GET", path="/dev/mailbox", handler=self.list_mails, access=Access.PUBLIC, limit=None,
                operation_id="listMails", summary="The mails sent, newest first", tag="development", documented=False,
            )
        ]  # fmt: skip

    async def list_mails(self, request: Request) -> Response:
        try:
            answer = await self._client.get(self._url)
            answer.raise_for_status()
            mails: list[dict[str, Any]] = [{name: mail.get(name) for name in _FIELDS} for mail in answer.json()]
        except (httpx.HTTPError, ValueError) as error:
            raise unavailable("The mailbox does not answer at the moment.") from error
        if "text/html" in request.headers.get("accept", ""):
            return _page(mails)
        return json_reply(mails)


def _page(mails: list[dict[str, Any]]) -> Response:
    """The text of the mails: their HTML is somebody's input, and this page runs on our origin."""
    entries = "".join(
        f"<article><h2>{escape(str(mail['subject']))}</h2>"
        f"<p class='facts'>to {escape(str(mail['to']))} at {escape(str(mail['sent_at']))}</p>"
        f"<pre>{escape(str(mail['text'] or ''))}</pre></article>"
        for mail in mails
    )
    body = (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'><title>Mailbox - CryptoVault</title>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        "<link rel='stylesheet' href='/docs/style.css'></head><body><main><h1>Mailbox</h1>"
        f"{entries or '<p>No mail yet.</p>'}</main></body></html>"
    )
    return Response(body, media_type="text/html", headers={"content-security-policy": PAGE_CONTENT_POLICY})
