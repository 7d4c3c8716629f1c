"""The web app as the gateway serves it."""

import gzip
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from gateway.web_app.files import WebFile, read_files
from replies import checked

if TYPE_CHECKING:
    from conftest import Start

PAGE = b"<!doctype html><title>CryptoVault</title>"
SCRIPT = b"export const answer = 42;\n" * 20
NAVIGATION = {"accept": "text/html,application/xhtml+xml", "sec-fetch-mode": "navigate"}


@pytest.fixture
def web_root(tmp_path: Path) -> Path:
    (tmp_path / "assets").mkdir()
    (tmp_path / ".vite").mkdir()
    (tmp_path / ".vite" / "manifest.json").write_bytes(b"{}")
    (tmp_path / "index.html").write_bytes(PAGE)
    (tmp_path / "assets" / "index-abc.js").write_bytes(SCRIPT)
    (tmp_path / "assets" / "index-abc.js.gz").write_bytes(gzip.compress(SCRIPT))
    return tmp_path


@pytest.mark.parametrize("path", ["/", "/markets", "/trade/BTC-USD", "/nothing/here"])
async def test_whoever_opens_a_page_gets_the_app(start: "Start", web_root: Path, path: str) -> None:
    async with start(web_root=web_root) as up:
        page = await up.client.get(path, headers=NAVIGATION)
    assert (page.status_code, page.content) == (200, PAGE)
    assert page.headers["cache-control"] == "no-cache"
    policy = page.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert page.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/api/v1/nothing", "/assets/gone.js", "/.well-known/nothing", "/health/nothing"])
async def test_what_belongs_to_the_api_is_never_answered_by_a_page(start: "Start", web_root: Path, path: str) -> None:
    async with start(web_root=web_root) as up:
        checked(await up.client.get(path, headers=NAVIGATION), 404, "NOT_FOUND")


async def test_a_program_that_asks_for_an_unknown_address_gets_an_error(start: "Start", web_root: Path) -> None:
    async with start(web_root=web_root) as up:
        checked(await up.client.get("/markets", headers={"accept": "application/json"}), 404, "NOT_FOUND")
        checked(await up.client.post("/markets", headers=NAVIGATION), 404, "NOT_FOUND")


async def test_hashed_files_are_compressed_and_kept_for_ever(start: "Start", web_root: Path) -> None:
    async with start(web_root=web_root) as up:
        url = "/assets/index-abc.js"
        small = await up.client.get(url, headers={"accept-encoding": "gzip"})
        plain = await up.client.get(url, headers={"accept-encoding": "identity"})
        again = await up.client.get(url, headers={"if-none-match": small.headers["etag"]})
        head = await up.client.head(url, headers={"accept-encoding": "identity"})
    assert small.headers["content-encoding"] == "gzip"
    assert int(small.headers["content-length"]) < len(SCRIPT)
    assert small.content == plain.content == SCRIPT
    assert small.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert small.headers["content-type"].startswith("text/javascript")
    assert (again.status_code, again.content) == (304, b"")
    assert (head.headers["content-length"], head.content) == (str(len(SCRIPT)), b"")


async def test_files_that_begin_with_a_dot_are_nobodys(start: "Start", web_root: Path) -> None:
    async with start(web_root=web_root) as up:
        checked(await up.client.get("/.vite/manifest.json"), 404, "NOT_FOUND")
        checked(await up.client.get("/assets/../../../etc/passwd"), 404, "NOT_FOUND")


async def test_without_a_build_there_is_the_api_alone(start: "Start", tmp_path: Path) -> None:
    async with start(web_root=tmp_path / "missing") as up:
        checked(await up.client.get("/", headers=NAVIGATION), 404, "NOT_FOUND")
        assert (await up.client.get("/health/live")).status_code == httpx.codes.OK


def test_the_better_encoding_wins_unless_it_is_refused(web_root: Path) -> None:
    (web_root / "assets" / "index-abc.js.br").write_bytes(b"brotli")
    files = read_files(web_root)
    assert files is not None
    file: WebFile = files["/assets/index-abc.js"]
    assert file.best_for(b"gzip, deflate, br")[0] == b"br"
    assert file.best_for(b"gzip, br;q=0")[0] == b"gzip"
    assert file.best_for(b"")[0] == b"identity"
