"""The built web app, read once: a megabyte in memory answers faster than a disk, and cannot change under a reader."""

import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

INDEX = "/index.html"
_HASHED_PREFIX = "/assets/"  # the build puts a hash of the contents into these names
_FOREVER = b"public, max-age=31536000, immutable"
_ASK_EACH_TIME = b"no-cache"
_COMPRESSED_SUFFIXES = {".br": b"br", ".gz": b"gzip"}  # the better one first
_ETAG_BYTES = 8
_FILE_BYTES_MAX = 8 * 1024 * 1024  # ten times the largest that the budget allows

# Everything comes from us, and nothing is written into the page itself. `connect-src` allows the WebSocket too.
CONTENT_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
    b"worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


@dataclass(frozen=True, slots=True)
class WebFile:
    """`bodies` by content encoding; `identity` is always there."""

    bodies: Mapping[bytes, bytes]
    etag: bytes
    headers: tuple[tuple[bytes, bytes], ...]

    def best_for(self, accept_encoding: bytes) -> tuple[bytes, bytes]:
        """The smallest form that the client takes, and its encoding."""
        accepted = {part.split(b";")[0].strip() for part in accept_encoding.lower().split(b",") if b"q=0" not in part}
        for encoding in _COMPRESSED_SUFFIXES.values():
            if encoding in accepted and encoding in self.bodies:
                return encoding, self.bodies[encoding]
        return b"identity", self.bodies[b"identity"]


def read_files(root: Path) -> dict[str, WebFile] | None:
    """By path of the URL. None where there is no built app; files that begin with a dot are not for the public."""
    if not (root / INDEX.lstrip("/")).is_file():
        return None
    files: dict[str, WebFile] = {}
    for path in sorted(root.rglob("*")):
        relative = path.relative_to(root)
        hidden = any(part.startswith(".") for part in relative.parts)
        if hidden or not path.is_file() or path.is_symlink() or path.suffix in _COMPRESSED_SUFFIXES:
            continue
        if path.stat().st_size <= _FILE_BYTES_MAX:
            files[f"/{relative.as_posix()}"] = _read(path, f"/{relative.as_posix()}")
    return files


def _read(path: Path, url_path: str) -> WebFile:
    bodies = {b"identity": path.read_bytes()}
    for suffix, encoding in _COMPRESSED_SUFFIXES.items():
        compressed = path.with_name(path.name + suffix)
        if compressed.is_file():
            bodies[encoding] = compressed.read_bytes()
    digest = blake2b(bodies[b"identity"], digest_size=_ETAG_BYTES).hexdigest()
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    # What mimetypes says of scripts depends on the machine.
    kind = "text/javascript" if path.suffix in {".js", ".mjs"} else kind
    charset = "; charset=utf-8" if kind.startswith("text/") else ""
    headers = [
        (b"content-type", f"{kind}{charset}".encode()),
        (b"cache-control", _FOREVER if url_path.startswith(_HASHED_PREFIX) else _ASK_EACH_TIME),
        (b"vary", b"Accept-Encoding"),
    ]
    if kind in {"text/html", "text/javascript"}:
        headers.append((b"content-security-policy", CONTENT_POLICY))
    return WebFile(bodies=bodies, etag=f'"{digest}"'.encode(), headers=tuple(headers))
