"""Five hundred damaged bodies over all routes that take one: errors of the one shape, never a 500, nothing repeated."""

import json
import random
from typing import TYPE_CHECKING

import pytest
from gateway.schemas.errors import ErrorReply
from paths import path_of

if TYPE_CHECKING:
    from conftest import Running

COUNT = 500
# In a field's value: too long to be shown, so wherever it comes back it was repeated without being looked at.
CANARY = "canary" * 16
SPLINTERS = [
    b'"', b"\\", b"{", b"}", b"[", b"]", b":", b",", b"\0", b"\xff", b"\xed\xa0\x80", b"\xc0\xaf", b"\\ud800",
    b"\\u0000",
    b"NaN", b"-Infinity", b"1e400", b"-0", b"9" * 400, b"//", b"/**/", b"'", b"\xef\xbb\xbf", b"\x1b[31m", b"<script>",
    b'":"', b'","', b"null", b"true", b'{"$gt":""}', b"${jndi:x}", b"{{7*7}}", b"\r\n", b"\t", b"\xe2\x80\xae",
]  # fmt: skip


def damaged(body: bytes, random_: random.Random) -> bytes:
    """Cut, doubled, spliced or splintered in up to three places."""
    for _ in range(random_.randint(1, 3)):
        at, to = sorted(random_.randrange(len(body) + 1) for _ in range(2))
        body = random_.choice(
            [
                body[:at] + random_.choice(SPLINTERS) + body[at:],
                body[:at] + random_.choice(SPLINTERS) + body[to:],
                body[:at] + body[to:],
                body[:to] + body[at:],
                body[:at],
            ]
        )
    return body


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 12))])
async def test_five_hundred_damaged_bodies_are_refused_or_taken_and_never_a_bug(up: "Running", seed: int) -> None:
    random_ = random.Random(seed)
    endpoints = [one for one in up.gateway.application.endpoints if one.body_example]
    permissions = " ".join(one.permission for one in endpoints if one.permission)
    assert len(endpoints) >= 15
    refused = 0
    for number in range(COUNT):
        endpoint = endpoints[number % len(endpoints)]
        example = {name: CANARY if isinstance(value, str) else value for name, value in endpoint.body_example.items()}
        content = damaged(json.dumps(random_.choice([endpoint.body_example, example])).encode(), random_)
        headers = {**up.bearer(scope=permissions, sid=f"session-{number}"), "Content-Type": "application/json"}
        reply = await up.client.request(endpoint.method, path_of(endpoint), content=content, headers=headers)
        assert reply.status_code < 500, (endpoint.operation_id, content)
        if reply.is_error:
            # What is taken may be told back: a damaged name can be a good name.
            assert CANARY not in reply.text, (endpoint.operation_id, content)
            refused += 1
            ErrorReply.model_validate_json(reply.content)
    assert refused > COUNT * 0.9
