"""SendGrid's Web API v3, as far as we send mails with it: https://docs.sendgrid.com/api-reference/mail-send."""

import asyncio
from http import HTTPStatus
from typing import Any

import httpx
from chassis.clock import Clock

from notifications.domain.mails import Content
from notifications.use_cases.ports import MailRefused, ProviderBusy

# It answers in well under a second; past this it hangs. Of a whole request: httpx counts each step, and each piece of
# an answer, anew, and one mail that outlasts its task would have the others of its portion sent again.
SECONDS_MAX = 10.0
CONNECT_SECONDS_MAX = 3.0
CONNECTIONS_MAX = 50  # the worker has up to 44 mails under way: four portions of ten, and four codes
WAIT_SECONDS_MAX = 3600.0  # the most we let its headers make us wait
PROBLEM_LENGTH_MAX = 300  # of its error text in our records


class SendGrid:
    """Sends one mail per call."""

    def __init__(
        self,
        *,
        base_url: str,
        api_key: str,
        sender: str,
        sender_name: str,
        clock: Clock,
        seconds_max: float = SECONDS_MAX,
    ) -> None:
        self._seconds_max = seconds_max
        self._sender = {"email": sender, "name": sender_name}
        self._clock = clock
        self._client = httpx.AsyncClient(
            base_url=base_url,
            headers={"Authorization": f"Bearer {api_key}"},
            timeout=httpx.Timeout(seconds_max, connect=CONNECT_SECONDS_MAX),
            limits=httpx.Limits(max_connections=CONNECTIONS_MAX),
            # Its answers are never redirects; following one would carry the key elsewhere.
            follow_redirects=False,
            # A proxy from the environment is not part of our settings.
            trust_env=False,
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def send(self, *, mail_id: str, recipient: str, name: str, content: Content) -> str:
        """SendGrid's message id.

        Raises:
            ProviderBusy: 429, 5xx, no answer, or our key is refused: the mail is not at fault.
            MailRefused: any other 4xx; carries SendGrid's own words.
        """
        body = self._body(mail_id=mail_id, recipient=recipient, name=name, content=content)
        try:
            async with asyncio.timeout(self._seconds_max):
                response = await self._client.post("/v3/mail/send", json=body)
        except (httpx.HTTPError, TimeoutError) as error:
            raise ProviderBusy(f"no answer: {type(error).__name__}") from error
        status = response.status_code
        if status == HTTPStatus.ACCEPTED:
            return str(response.headers.get("X-Message-Id", ""))
        problem = f"{status}: {_words(response)}"
        if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise ProviderBusy(problem, retry_after_seconds=self._wait_seconds(response))
        if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            # A wrong or revoked key must not throw away everybody's mails; whoever watches the failures mends it.
            raise ProviderBusy(problem)
        raise MailRefused(problem)

    def _body(self, *, mail_id: str, recipient: str, name: str, content: Content) -> dict[str, Any]:
        person = {"email": recipient, "name": name} if name else {"email": recipient}
        return {
            # Comes back in its event webhook, which knows nothing else of us.
            "personalizations": [{"to": [person], "custom_args": {"mail_id": mail_id}}],
            "from": self._sender,
            "subject": content.subject,
            # The plain text first, as its reference demands.
            "content": [
                {"type": "text/plain", "value": content.text},
                {"type": "text/html", "value": content.html},
            ],
        }

    def _wait_seconds(self, response: httpx.Response) -> float | None:
        """`X-RateLimit-Reset` is a Unix time, `Retry-After` a number of seconds."""
        reset, after = response.headers.get("X-RateLimit-Reset", ""), response.headers.get("Retry-After", "")
        if reset.isascii() and reset.isdigit():
            wait = float(reset) - self._clock.now().timestamp()
        elif after.isascii() and after.isdigit():
            wait = float(after)
        else:
            return None
        return min(max(wait, 0.0), WAIT_SECONDS_MAX)


def _words(response: httpx.Response) -> str:
    try:
        errors = response.json()["errors"]
        words = "; ".join(f"{error.get('field') or '-'}: {error['message']}" for error in errors)
    except (ValueError, KeyError, TypeError, AttributeError):
        words = "no reason given"
    return words[:PROBLEM_LENGTH_MAX]
