import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from chassis.embedded.ports import free_port_block
from chassis.testing import FixedClock
from notifications.clients.sendgrid import SECONDS_MAX, SendGrid
from notifications.domain.mails import Content
from notifications.use_cases.ports import MailRefused, ProviderBusy
from werkzeug import Response

CONTENT = Content(subject="Your code", text="736251", html="<p>736251</p>")
API_KEY = "SG.a-key-for-tests"


def make_client(url: str, clock: FixedClock, key: str = API_KEY, seconds_max: float = SECONDS_MAX) -> SendGrid:
    return SendGrid(
        base_url=url, api_key=key, sender="no-reply@example.org", sender_name="CryptoVault", clock=clock,
        seconds_max=seconds_max,
    )  # fmt: skip


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
async def client(provider: Any, clock: FixedClock) -> AsyncIterator[SendGrid]:
    client = make_client(provider.url, clock)
    yield client
    await client.close()


async def send(client: SendGrid, name: str = "Ann") -> str:
    return await client.send(mail_id="m1", recipient="ann@example.org", name=name, content=CONTENT)


async def test_a_mail_is_sent_as_sendgrid_wants_it(client: SendGrid, provider: Any) -> None:
    assert await send(client) == "provider-1"
    assert provider.mails == [
        {
            "personalizations": [
                {"to": [{"email": "ann@example.org", "name": "Ann"}], "custom_args": {"mail_id": "m1"}}
            ],
            "from": {"email": "no-reply@example.org", "name": "CryptoVault"},
            "subject": "Your code",
            "content": [
                {"type": "text/plain", "value": "736251"},
                {"type": "text/html", "value": "<p>736251</p>"},
            ],
        }
    ]


async def test_without_a_name_none_is_sent(client: SendGrid, provider: Any) -> None:
    await send(client, name="")
    assert provider.mails[0]["personalizations"][0]["to"] == [{"email": "ann@example.org"}]


async def test_too_many_requests_wait_until_the_reset(client: SendGrid, provider: Any, clock: FixedClock) -> None:
    reset = int((clock.now() + timedelta(seconds=42)).timestamp())
    provider.answers.append(Response(status=429, headers={"X-RateLimit-Reset": str(reset)}))
    with pytest.raises(ProviderBusy) as busy:
        await send(client)
    assert busy.value.retry_after_seconds == pytest.approx(42, abs=1)


@pytest.mark.parametrize("header", ["nonsense", "-1", "4²", ""])
async def test_a_reset_that_is_no_time_is_ignored(client: SendGrid, provider: Any, header: str) -> None:
    provider.answers.append(Response(status=429, headers={"X-RateLimit-Reset": header}))
    with pytest.raises(ProviderBusy) as busy:
        await send(client)
    assert busy.value.retry_after_seconds is None


async def test_a_server_error_is_busy(client: SendGrid, provider: Any) -> None:
    provider.answers.append(Response(status=503, headers={"Retry-After": "7"}))
    with pytest.raises(ProviderBusy, match="503") as busy:
        await send(client)
    assert busy.value.retry_after_seconds == 7


async def test_a_refused_mail_carries_sendgrids_words(client: SendGrid, provider: Any) -> None:
    body = '{"errors": [{"message": "Does not contain a valid address.", "field": "personalizations.0.to.0.email"}]}'
    provider.answers.append(Response(body, status=400))
    with pytest.raises(MailRefused, match=r"400: personalizations.0.to.0.email: Does not contain a valid address."):
        await send(client)


@pytest.mark.parametrize("body", ["", "<html>", "[]", '{"errors": 3}', '{"errors": [3]}'])
async def test_a_refusal_without_sense_is_still_a_refusal(client: SendGrid, provider: Any, body: str) -> None:
    provider.answers.append(Response(body, status=413))
    with pytest.raises(MailRefused, match="413: no reason given"):
        await send(client)


async def test_a_refused_key_is_not_the_mails_fault(provider: Any, clock: FixedClock) -> None:
    client = make_client(provider.url, clock, key="another")
    with pytest.raises(ProviderBusy, match="401"):
        await send(client)
    await client.close()


async def test_a_provider_that_is_not_there_is_busy(clock: FixedClock) -> None:
    client = make_client(f"http://127.0.0.1:{free_port_block()}", clock)
    with pytest.raises(ProviderBusy, match="no answer"):
        await send(client)
    await client.close()


async def test_a_provider_whose_answer_never_ends_is_busy(clock: FixedClock) -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 202 Accepted\r\nX-Slow: ")
        with contextlib.suppress(ConnectionError):
            while not writer.is_closing():
                writer.write(b"z")
                await writer.drain()
                await asyncio.sleep(0.02)

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        client = make_client(f"http://127.0.0.1:{port}", clock, seconds_max=0.2)
        async with asyncio.timeout(20):
            with pytest.raises(ProviderBusy, match="no answer"):
                await send(client)
        await client.close()


async def test_a_redirect_is_not_followed(client: SendGrid, provider: Any) -> None:
    provider.answers.append(Response(status=302, headers={"Location": "http://127.0.0.1:1/"}))
    with pytest.raises(MailRefused, match="302"):
        await send(client)
