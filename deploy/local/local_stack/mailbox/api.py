"""SendGrid's door, as the production client knocks at it, and a list of what came in."""

import hmac
import uuid
from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local_stack.mailbox.mail import Mail
from local_stack.mailbox.store import Message, MessageStore

BODY_BYTES_MAX = 1_048_576  # our mails are a few kilobytes; SendGrid takes 30 MB
PROBLEMS_MAX = 20  # named in one answer


def build_mailbox(*, store: MessageStore, api_key: str, now: Callable[[], datetime]) -> Starlette:
    """Answers as SendGrid: 202 with `X-Message-Id`; 400, 401 and 413 with `{"errors": [{message, field, help}]}`."""
    mailbox = _Mailbox(store=store, api_key=api_key, now=now)
    return Starlette(
        routes=[
            Route("/v3/mail/send", mailbox.send, methods=["POST"]),
            Route("/messages", mailbox.messages, methods=["GET"]),
            Route("/health/ready", mailbox.ready, methods=["GET"]),
        ]
    )


class _Mailbox:
    def __init__(self, *, store: MessageStore, api_key: str, now: Callable[[], datetime]) -> None:
        self._store = store
        self._authorization = f"Bearer {api_key}".encode()
        self._now = now

    async def send(self, request: Request) -> Response:
        if not hmac.compare_digest(request.headers.get("authorization", "").encode(), self._authorization):
            message = "The provided authorization grant is invalid, expired, or revoked"
            return _errors(HTTPStatus.UNAUTHORIZED, [{"message": message, "field": None, "help": None}])
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > BODY_BYTES_MAX:
                message = f"The body is larger than {BODY_BYTES_MAX} bytes"
                return _errors(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, [{"message": message, "field": None, "help": None}])
        try:
            mail = Mail.model_validate_json(bytes(body))
        except ValidationError as error:
            return _errors(HTTPStatus.BAD_REQUEST, [_problem(detail) for detail in error.errors()[:PROBLEMS_MAX]])
        self._store.add(self._as_messages(mail))
        return Response(status_code=HTTPStatus.ACCEPTED, headers={"X-Message-Id": uuid.uuid4().hex})

    async def messages(self, _request: Request) -> Response:
        return JSONResponse(self._store.newest_first())

    async def ready(self, _request: Request) -> Response:
        return JSONResponse({"status": "ready"})

    def _as_messages(self, mail: Mail) -> list[Message]:
        sent_at = self._now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        text, html = mail.body("text/plain"), mail.body("text/html")
        return [
            Message(to=address, subject=subject, text=text, html=html, sent_at=sent_at)
            for address, subject in mail.deliveries()
        ]


def _problem(detail: ErrorDetails) -> dict[str, str | None]:
    field = ".".join(str(part) for part in detail["loc"]) or None
    return {"message": detail["msg"], "field": field, "help": None}


def _errors(status: HTTPStatus, problems: list[dict[str, str | None]]) -> Response:
    return JSONResponse({"errors": problems}, status_code=status)
