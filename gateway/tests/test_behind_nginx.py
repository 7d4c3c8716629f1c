"""A real nginx with the configuration of the containers in front: nobody can tell the two apart."""

import asyncio
import gzip
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
import websockets
from chassis.embedded.ports import free_port_block
from gateway.edge import bodies, door_limits, http_protocol
from gateway.schemas.errors import ErrorReply
from gateway.websocket.connection import CloseReason
from local_stack.nginx import CONFIGURATION, SOURCE_ADDRESS, NginxServer
from replies import checked

if TYPE_CHECKING:
    from conftest import Running, Start

pytestmark = pytest.mark.usefixtures("nginx_is_here")

PAGE = b"<!doctype html><title>CryptoVault</title>"
SCRIPT = b"export const answer = 42;\n" * 40
NAVIGATION = {"accept": "text/html,application/xhtml+xml", "sec-fetch-mode": "navigate"}
# What the two write in ways of their own, and what changes from one request to the next.
OWN_HEADERS = {
    "accept-ranges", "connection", "date", "etag", "last-modified", "ratelimit-remaining", "ratelimit-reset", "server",
    "x-request-id",
}  # fmt: skip
_SECONDS = 15.0


@dataclass
class Pair:
    """The gateway itself, and nginx in front of it."""

    gateway: "Running"
    nginx: NginxServer
    client: httpx.AsyncClient


@asynccontextmanager
async def pair(start: "Start", folder: Path, web_root: Path, **settings: object) -> AsyncIterator[Pair]:
    async with start(web_root=web_root, trusted_proxies=f"{SOURCE_ADDRESS}/32", **settings) as up:
        nginx = NginxServer(
            port=free_port_block(), folder=folder / "nginx", gateway=f"{up.host}:{up.port}", web_root=web_root
        )
        with nginx:
            async with httpx.AsyncClient(base_url=nginx.url, timeout=_SECONDS) as client:
                yield Pair(up, nginx, client)


def alone(folder: Path, web_root: Path) -> NginxServer:
    """nginx whose gateway does not run."""
    port = free_port_block()
    return NginxServer(port=port, folder=folder / "nginx", gateway=f"127.0.0.1:{port + 1}", web_root=web_root)


@pytest.fixture
def web_root(tmp_path: Path) -> Path:
    """A small app, built as the real one is."""
    root = tmp_path / "web"
    for name, content in (
        ("index.html", PAGE),
        ("offline.html", PAGE),
        ("offline.css", b"body { margin: 0 }"),
        ("favicon.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
        ("favicon.ico", b"\x00\x00\x01\x00\x00\x00"),
        ("robots.txt", b"User-agent: *\n"),
        ("assets/index-abc.js", SCRIPT),
        ("assets/index-abc.js.gz", gzip.compress(SCRIPT)),
        (".vite/manifest.json", b"{}"),
    ):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


async def test_every_file_and_page_comes_as_the_gateway_would_send_it(
    start: "Start", tmp_path: Path, web_root: Path
) -> None:
    async with pair(start, tmp_path, web_root) as both:
        for method, path, headers in (
            ("GET", "/", NAVIGATION),
            ("GET", "/", {}),
            ("GET", "/trade/BTC-USD", NAVIGATION),
            ("GET", "/trade/BTC-USD", {"accept": "text/html"}),
            ("GET", "/trade/BTC-USD", {"accept": "text/html", "sec-fetch-mode": "cors"}),
            ("POST", "/trade/BTC-USD", NAVIGATION),
            ("HEAD", "/markets", NAVIGATION),
            ("GET", "/index.html", {}),
            ("POST", "/index.html", {}),
            ("GET", "/offline.css", {}),
            ("GET", "/favicon.svg", {}),
            ("GET", "/favicon.ico", {}),
            ("GET", "/robots.txt", {}),
            ("GET", "/assets/index-abc.js", {}),
            ("HEAD", "/assets/index-abc.js", {}),
            ("GET", "/assets/index-abc.js.gz", {}),
            ("GET", "/assets/gone.js", NAVIGATION),
            ("GET", "/assets", NAVIGATION),
            ("GET", "/assets/", NAVIGATION),
            ("GET", "/.vite/manifest.json", {}),
            ("GET", "/.well-known/jwks.json", {}),
            ("GET", "/health/live", NAVIGATION),
            ("GET", "/health/nothing", NAVIGATION),
            ("GET", "/docs", {}),
            ("GET", "/api/v1/markets", {}),
            ("GET", "/api/v1/nothing", NAVIGATION),
            ("GET", "/ws", {}),
            ("GET", "/errors/unreadable", {}),
        ):
            for encoding in ("gzip", "identity"):
                asked = headers | {"accept-encoding": encoding}
                direct = await both.gateway.client.request(method, path, headers=asked)
                through = await both.client.request(method, path, headers=asked)
                assert _appearance(through) == _appearance(direct), f"{method} {path} {asked}"
                assert through.headers["x-request-id"]
                if "etag" in direct.headers:
                    unchanged = await both.gateway.client.get(path, headers=_unless_changed(asked, direct))
                    assert unchanged.status_code == httpx.codes.NOT_MODIFIED
                    still = await both.client.get(path, headers=_unless_changed(asked, through))
                    assert _appearance(still) == _appearance(unchanged), f"unchanged: {path} {asked}"


async def test_hashed_files_are_kept_for_ever_and_the_page_is_asked_for_each_time(
    start: "Start", tmp_path: Path, web_root: Path
) -> None:
    async with pair(start, tmp_path, web_root) as both:
        script = await both.client.get("/assets/index-abc.js", headers={"accept-encoding": "gzip"})
        assert script.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert script.headers["content-encoding"] == "gzip"
        assert int(script.headers["content-length"]) < len(SCRIPT)
        page = await both.client.get("/", headers=NAVIGATION)
        assert page.headers["cache-control"] == "no-cache"
        assert "unsafe" not in page.headers["content-security-policy"]


async def test_the_real_client_is_the_one_whose_requests_are_counted(
    start: "Start", tmp_path: Path, web_root: Path
) -> None:
    resend = ("/api/v1/auth/resend-code", {"email": "a@b.c"})
    async with pair(start, tmp_path, web_root, limit_auth_per_address=1, limit_factor=1) as both:
        for address, status in (("127.0.0.8", 202), ("127.0.0.8", 429), ("127.0.0.9", 202)):
            transport = httpx.AsyncHTTPTransport(local_address=address)
            async with httpx.AsyncClient(base_url=both.nginx.url, transport=transport) as client:
                # What a client says of itself counts for nothing.
                lie = {"X-Forwarded-For": "6.6.6.6"}
                assert (await client.post(resend[0], json=resend[1], headers=lie)).status_code == status
        assert {caller.address for caller in both.gateway.platform.auth.callers} == {"127.0.0.8", "127.0.0.9"}
        # Nor is anybody believed who does not come from nginx.
        await both.gateway.client.post(resend[0], json=resend[1], headers={"X-Forwarded-For": "6.6.6.6"})
        assert both.gateway.platform.auth.callers[-1].address == "127.0.0.1"


async def test_sockets_go_through_and_know_their_own_page(start: "Start", tmp_path: Path, web_root: Path) -> None:
    async with pair(start, tmp_path, web_root) as both:
        address = f"127.0.0.1:{both.nginx.port}"
        cookie = {"Cookie": f"__Host-cv_access={both.gateway.token()}"}
        own, other = {"Origin": f"http://{address}"}, {"Origin": "http://elsewhere.example"}
        async with asyncio.timeout(_SECONDS):
            async with websockets.connect(f"ws://{address}/ws", additional_headers=cookie | own) as socket:
                await socket.send(json.dumps({"op": "subscribe", "channel": "balances"}))
                snapshot = json.loads(await socket.recv())
                assert (snapshot["channel"], snapshot["type"]) == ("balances", "snapshot")
            async with websockets.connect(f"ws://{address}/ws", additional_headers=cookie | other) as socket:
                assert "origin" in str(await socket.recv())
                await socket.wait_closed()
                assert socket.close_code == CloseReason.FORBIDDEN.code


async def test_a_body_that_is_too_large_is_refused_and_one_of_the_allowed_size_goes_through(
    start: "Start", tmp_path: Path, web_root: Path
) -> None:
    async with pair(start, tmp_path, web_root) as both:
        for size, refused in ((door_limits.BODY_BYTES_MAX, False), (door_limits.BODY_BYTES_MAX + 1, True)):
            reply = await both.client.post("/api/v1/auth/login", content=b" " * size)
            direct = await both.gateway.client.post("/api/v1/auth/login", content=b" " * size)
            assert reply.status_code == direct.status_code
            assert reply.json()["error"]["details"] == direct.json()["error"]["details"]
            assert (reply.status_code == httpx.codes.REQUEST_ENTITY_TOO_LARGE) == refused


async def test_a_body_that_trickles_is_refused_by_the_gateways_clock(
    start: "Start", tmp_path: Path, web_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "BODY_SECONDS_MAX", 0.3)
    monkeypatch.setattr(http_protocol, "REST_SECONDS_MAX", 0.3)
    async with pair(start, tmp_path, web_root) as both:
        head = b"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        answer = await _raw(both.nginx, head + b"Content-Length: 100\r\n\r\n{")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'"rule":"timely"' in answer


async def test_what_cannot_be_read_gets_an_error_of_our_shape(tmp_path: Path, web_root: Path) -> None:
    with alone(tmp_path, web_root) as nginx:
        for text in (
            b"nonsense\r\n\r\n",
            b"GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET /" + b"x" * 40_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\nX-Filler: " + b"x" * 40_000 + b"\r\n\r\n",
        ):
            head, _, body = (await _raw(nginx, text)).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 400 ")
            assert ErrorReply.model_validate_json(body).error.code == "VALIDATION_ERROR"
            assert b"X-Content-Type-Options: nosniff" in head


async def test_while_the_gateway_is_away_the_app_still_comes_and_the_api_says_what_is_known(
    tmp_path: Path, web_root: Path
) -> None:
    with alone(tmp_path, web_root) as nginx:
        async with httpx.AsyncClient(base_url=nginx.url, timeout=_SECONDS) as client:
            assert (await client.get("/trade/BTC-USD", headers=NAVIGATION)).content == PAGE
            for method, reason in (("GET", "unavailable"), ("POST", "outcome_unknown"), ("DELETE", "outcome_unknown")):
                reply = await client.request(method, "/api/v1/orders", headers={"X-Request-ID": "mine-1"})
                assert checked(reply, 503, "SERVICE_UNAVAILABLE") == {"reason": reason}
                assert reply.headers["retry-after"] == "1"
                assert reply.headers["x-request-id"] == "mine-1"
                assert reply.headers["cache-control"] == "no-store"


def test_nginx_is_no_more_patient_than_the_gateway() -> None:
    configuration = CONFIGURATION.read_text(encoding="utf-8")

    def seconds(name: str) -> int:
        """The longest that is said."""
        return max(int(text) for text in re.findall(rf"^ *{name} ([0-9]+)s;$", configuration, re.MULTILINE))

    assert f"client_max_body_size {door_limits.BODY_BYTES_MAX // 1024}k;" in configuration
    assert seconds("client_header_timeout") <= door_limits.HEAD_SECONDS_MAX
    assert seconds("client_body_timeout") <= door_limits.BODY_SECONDS_MAX
    # Of browsers and, inside the upstream, of the gateway, which must not be the first to close a connection.
    assert seconds("keepalive_timeout") < door_limits.KEEP_ALIVE_SECONDS


def _unless_changed(headers: dict[str, str], known: httpx.Response) -> dict[str, str]:
    return headers | {"if-none-match": known.headers["etag"]}


def _appearance(reply: httpx.Response) -> tuple[object, ...]:
    """All of a reply that a client acts on."""
    headers = {name: value for name, value in reply.headers.multi_items() if name not in OWN_HEADERS}
    assert len(headers) == len([name for name, _ in reply.headers.multi_items() if name not in OWN_HEADERS]), headers
    # nginx says that a form depends on the encoding only where there is more than one form.
    headers.pop("vary", None)
    document = reply.json()["error"] if headers.get("content-type") == "application/json" and reply.is_error else None
    body = reply.content if document is None else (document["code"], document["message"], document["details"])
    if document is not None:
        headers.pop("content-length")
    return reply.status_code, headers, body


async def _raw(nginx: NginxServer, text: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", nginx.port)
    try:
        writer.write(text)
        await writer.drain()
        async with asyncio.timeout(_SECONDS):
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: (\d+)", head)
            assert length is not None
            return head + await reader.readexactly(int(length.group(1)))
    finally:
        writer.close()
