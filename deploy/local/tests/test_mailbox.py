import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from local_stack.mailbox.api import BODY_BYTES_MAX, build_mailbox
from local_stack.mailbox.store import Message, MessageStore

KEY = "SG.local.test"


def mail(**changes: Any) -> dict[str, Any]:
    return {
        "personalizations": [{"to": [{"email": "ada@example.com"}], "custom_args": {"message_id": "1"}}],
        "from": {"email": "no-reply@cryptovault.example", "name": "CryptoVault"},
        "subject": "Your code",
        "content": [
            {"type": "text/plain", "value": "Your code is 123456"},
            {"type": "text/html", "value": "<p>Your code is 123456</p>"},
        ],
        **changes,
    }


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    application = build_mailbox(
        store=MessageStore(tmp_path / "mailbox.jsonl"),
        api_key=KEY,
        now=lambda: datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC),
    )
    transport = httpx.ASGITransport(application)
    headers = {"Authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://mailbox", headers=headers) as client:
        yield client


async def test_a_mail_is_accepted_with_an_id_and_listed(client: httpx.AsyncClient) -> None:
    reply = await client.post("/v3/mail/send", json=mail())
    assert reply.status_code == 202
    assert reply.headers["X-Message-Id"]
    assert (await client.get("/messages")).json() == [
        {
            "to": "ada@example.com",
            "subject": "Your code",
            "text": "Your code is 123456",
            "html": "<p>Your code is 123456</p>",
            "sent_at": "2026-01-02T03:04:05.678Z",
        }
    ]


async def test_the_newest_mail_comes_first_and_each_recipient_has_one(client: httpx.AsyncClient) -> None:
    await client.post("/v3/mail/send", json=mail(subject="first"))
    both = [{"to": [{"email": "bob@example.com"}, {"email": "eve@example.com"}], "subject": "second"}]
    await client.post("/v3/mail/send", json=mail(personalizations=both))
    listed = (await client.get("/messages")).json()
    assert [(message["to"], message["subject"]) for message in listed] == [
        ("eve@example.com", "second"),
        ("bob@example.com", "second"),
        ("ada@example.com", "first"),
    ]


@pytest.mark.parametrize("authorization", ["", "Bearer wrong", KEY, "Bearer größer"])
async def test_a_wrong_key_is_refused(client: httpx.AsyncClient, authorization: str) -> None:
    reply = await client.post("/v3/mail/send", json=mail(), headers={"Authorization": authorization.encode()})
    assert reply.status_code == 401
    assert reply.json()["errors"][0]["message"]
    assert (await client.get("/messages")).json() == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (mail(personalizations=[]), "personalizations"),
        (mail(personalizations=[{"to": []}]), "personalizations.0.to"),
        (mail(personalizations=[{"to": [{"email": "nobody"}]}]), "personalizations.0.to.0.email"),
        (mail(subject=None), None),
        (mail(content=[]), "content"),
        (mail(content=[{"type": "text/plain", "value": ""}]), "content.0.value"),
        ({key: value for key, value in mail().items() if key != "from"}, "from"),
    ],
)
async def test_a_mail_that_sendgrid_would_refuse_is_refused(
    client: httpx.AsyncClient, body: dict[str, Any], field: str | None
) -> None:
    reply = await client.post("/v3/mail/send", json=body)
    assert reply.status_code == 400
    assert [error["field"] for error in reply.json()["errors"]] == [field]
    assert (await client.get("/messages")).json() == []


async def test_what_is_no_json_or_too_large_is_refused(client: httpx.AsyncClient) -> None:
    assert (await client.post("/v3/mail/send", content=b"{")).status_code == 400
    assert (await client.post("/v3/mail/send", content=b" " * (BODY_BYTES_MAX + 1))).status_code == 413


def message(number: int) -> Message:
    return Message(to=f"{number}@example.com", subject="s", text=None, html=None, sent_at="2026-01-01T00:00:00.000Z")


def test_mails_outlive_a_restart_and_only_the_newest_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "mailbox.jsonl"
    store = MessageStore(path, messages_max=3, file_lines_max=5)
    for number in range(8):
        store.add([message(number)])
    assert MessageStore(path, messages_max=3).newest_first() == [message(7), message(6), message(5)]
    assert len(path.read_text().splitlines()) <= 5


def test_a_line_torn_by_a_crash_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "mailbox.jsonl"
    path.write_text(json.dumps(message(1)) + '\n{"to": "2@exa')
    store = MessageStore(path)
    store.add([message(3)])
    assert MessageStore(path).newest_first() == [message(3), message(1)]
