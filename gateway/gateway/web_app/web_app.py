"""The web app in front of the routes: its files, and its one page for every address that a person opens."""

from collections.abc import Mapping

from gateway.edge.door import Application, Receive, Scope, Send
from gateway.edge.facts import facts_in
from gateway.web_app.files import INDEX, WebFile

_METHODS = frozenset({"GET", "HEAD"})
# These are the API's: what is not found there is an error of the API, never a page.
_NOT_OURS = ("/api", "/assets", "/dev", "/docs", "/health", "/ws", "/.well-known")
_ROUTE = "web-app"  # in metrics and logs: one name for all files


class WebApp:
    """ASGI, behind the door. What is neither a file nor somebody opening a page goes on to `routes`."""

    def __init__(self, files: Mapping[str, WebFile], routes: Application) -> None:
        self._files = files
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        file = self._find(scope["path"], headers) if scope["method"] in _METHODS else None
        if file is None:
            await self._routes(scope, receive, send)
            return
        facts_in(scope).route = _ROUTE
        await _answer(file, headers, send, with_body=scope["method"] == "GET")

    def _find(self, path: str, headers: Mapping[bytes, bytes]) -> WebFile | None:
        file = self._files.get(path)
        if file is not None:
            return file
        if path != "/" and (_is_below(path, _NOT_OURS) or not _opens_a_page(headers)):
            return None
        return self._files[INDEX]


async def _answer(file: WebFile, headers: Mapping[bytes, bytes], send: Send, *, with_body: bool) -> None:
    if file.etag in headers.get(b"if-none-match", b""):
        kept = [pair for pair in file.headers if pair[0] != b"content-type"]
        await send({"type": "http.response.start", "status": 304, "headers": [*kept, (b"etag", file.etag)]})
        await send({"type": "http.response.body", "body": b""})
        return
    encoding, body = file.best_for(headers.get(b"accept-encoding", b""))
    reply_headers = [*file.headers, (b"etag", file.etag), (b"content-length", str(len(body)).encode())]
    if encoding != b"identity":
        reply_headers.append((b"content-encoding", encoding))
    await send({"type": "http.response.start", "status": 200, "headers": reply_headers})
    await send({"type": "http.response.body", "body": body if with_body else b""})


def _opens_a_page(headers: Mapping[bytes, bytes]) -> bool:
    mode = headers.get(b"sec-fetch-mode")
    return mode == b"navigate" if mode is not None else b"text/html" in headers.get(b"accept", b"")


def _is_below(path: str, prefixes: tuple[str, ...]) -> bool:
    return any(path == prefix or path.startswith(f"{prefix}/") for prefix in prefixes)
