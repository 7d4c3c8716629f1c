"""A table of more than a hundred forged and damaged tokens: none opens anything, and all hear the same."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from auth_stand_in import Minter
from facts import ORDER, SESSION, USER
from gateway.admission.policy import Access
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from paths import path_of
from replies import checked

if TYPE_CHECKING:
    from conftest import Running

Token = tuple[str, str]
ME = "/api/v1/auth/me"


def encoded(part: Any) -> str:
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def macked(header: Any, claims: Any, secret: bytes) -> str:
    text = f"{encoded(header)}.{encoded(claims)}"
    return f"{text}.{encoded(hmac.new(secret, text.encode(), hashlib.sha256).digest())}"


def ed25519(header: Any, claims: Any, key: OKPKey) -> str:
    """Signed whatever the header says: libraries refuse to make such tokens, forgers do not."""
    text = f"{encoded(header)}.{encoded(claims)}"
    return f"{text}.{encoded(key.get_op_key('sign').sign(text.encode()))}"


def other_algorithms(minter: Minter, claims: dict[str, Any]) -> Iterator[Token]:
    """The claims are right; how they are signed is not."""
    for algorithm in (
        "none",
        "None",
        "NONE",
        "nOnE",
        "",
        "HS256",
        "HS384",
        "HS512",
        "RS256",
        "ES256",
        "EdDSA",
        "Ed448",
    ):
        header = {"alg": algorithm, "typ": "JWT", "kid": minter.key_id}
        yield f"{algorithm!r} without a signature", f"{encoded(header)}.{encoded(claims)}."
        yield f"{algorithm!r} with an empty key", macked(header, claims, b"")
    public = minter.key.as_dict(private=False)
    confusions = {
        "PEM": minter.key.as_pem(private=False),
        "JWK": json.dumps(public).encode(),
        "x": str(public["x"]).encode(),
        "raw x": base64.urlsafe_b64decode(str(public["x"]) + "=="),
    }
    for name, secret in confusions.items():
        for algorithm in ("HS256", "Ed25519", "EdDSA"):
            header = {"alg": algorithm, "typ": "JWT", "kid": minter.key_id}
            yield f"{algorithm} by the public key as {name}", macked(header, claims, secret)
    for algorithm, key in (
        ("HS256", OctKey.import_key("s" * 32)),
        ("ES256", ECKey.generate_key("P-256")),
        ("RS256", RSAKey.generate_key(2048)),
    ):
        header = {"alg": algorithm, "kid": minter.key_id}
        yield algorithm, jwt.encode(header, claims, key, algorithms=[algorithm])


def other_headers(minter: Minter, claims: dict[str, Any]) -> Iterator[Token]:
    """Headers that would make the forger's key ours, or ours something else."""
    stranger = OKPKey.generate_key("Ed25519")
    additions: dict[str, Any] = {
        "jwk": stranger.as_dict(private=False), "jku": "https://evil.example/jwks.json",
        "x5u": "https://evil.example/key.pem", "x5c": ["MII="], "x5t": "abc", "crit": ["exp"], "b64": True,
        "zip": "DEF", "cty": "JWT", "enc": "A128GCM",
    }  # fmt: skip
    for name, value in additions.items():
        header = {"alg": "Ed25519", "kid": minter.key_id, name: value}
        yield f"header {name}, signed by a stranger", ed25519(header, claims, stranger)
        yield f"header {name}, signed by us", ed25519(header, claims, minter.key)
    for key_id in (None, "", 5, [], {}, "../../dev/null", "' or 1=1 --", stranger.thumbprint(), minter.key_id + " "):
        yield f"kid {key_id!r}", ed25519({"alg": "Ed25519", "typ": "JWT", "kid": key_id}, claims, minter.key)


def other_claims(minter: Minter, now: int) -> Iterator[Token]:
    """Signed by us, but not an access token for this platform at this time."""
    wrong: dict[str, list[Any]] = {
        "exp": [None, 1, now - 1, 0, -1, "never", [], {}],
        "iat": [None, now + 3_600, "now", [], {}],
        "nbf": [now + 3_600, "later"],
        "iss": [None, "", "https://evil.example", 5, [], "http://127.0.0.1:18000/", ["http://127.0.0.1:18000"]],
        "aud": [None, "", "another", [], ["another"], 5],
        "sub": [None, "", 5, [], {"$gt": ""}],
        "sid": [None, "", 5, [], {"$ne": 1}],
        "jti": [None, "", 5, []],
        "type": [None, "", "refresh", "id", 5, ["access"]],
        "scope": [None, ["orders:read"], 5, {}],
    }
    header = {"alg": "Ed25519", "typ": "JWT", "kid": minter.key_id}
    for claim, values in wrong.items():
        for value in values:
            yield f"{claim} {value!r}", ed25519(header, minter.claims(now, **{claim: value}), minter.key)


def damaged(good: str, claims: dict[str, Any]) -> Iterator[Token]:
    head, body, signature = good.split(".")
    yield "no signature", f"{head}.{body}."
    yield "two parts", f"{head}.{body}"
    yield "one part", head
    yield "four parts", f"{good}.{signature}"
    yield "five parts, like an encrypted one", f"{good}..{signature}"
    yield "one dot", "."
    yield "two dots", ".."
    yield "many dots", "." * 5_000
    yield "longer", good + "AAAA"
    yield "too long", good + "A" * 5_000
    yield "shorter", good[:-4]
    yield "another user", f"{head}.{encoded({**claims, 'sub': ORDER})}.{signature}"
    yield "more scope", f"{head}.{encoded({**claims, 'scope': 'markets:write'})}.{signature}"
    yield "a header that is a list", f"{encoded([])}.{body}.{signature}"
    yield "a header that is null", f"{encoded(None)}.{body}.{signature}"
    yield "a deep header", f"{encoded(b'[' * 3_000)}.{body}.{signature}"
    yield "a body that is a list", f"{head}.{encoded([])}.{signature}"
    yield "not base64", f"{head}.{body}.!!!"
    yield "of two alphabets", f"{head}.{body}.{signature[:-4]}+/+/"
    for at in (0, len(signature) // 2, len(signature) - 4):
        changed = "A" if signature[at] != "A" else "B"
        yield f"a change in the signature at {at}", f"{head}.{body}.{signature[:at]}{changed}{signature[at + 1 :]}"
    yield "the parts exchanged", f"{body}.{head}.{signature}"
    yield "the session's id", SESSION
    yield "the user's id", USER


def forgeries(up: "Running") -> list[Token]:
    minter, now = up.platform.minter, up.now()
    claims = minter.claims(now)
    return [
        *other_algorithms(minter, claims),
        *other_headers(minter, claims),
        *other_claims(minter, now),
        *damaged(minter.token(now), claims),
        ("by a stranger's key", Minter().token(now)),
    ]


async def test_no_forged_token_opens_a_door_and_all_hear_the_same(start: Any) -> None:
    async with start(limit_factor=100_000) as up:
        table = forgeries(up)
        assert len({token for _, token in table}) >= 100
        for name, token in table:
            bearer = {"Authorization": f"Bearer {token}".encode()}
            for headers, place in ((bearer, "/api/v1/orders"), ({"Cookie": f"__Host-cv_access={token}"}, ME)):
                reply = await up.client.get(place, headers=headers)
                assert reply.status_code == 401, name
                details = checked(reply, 401, "AUTHENTICATION_ERROR")
                assert details["reason"] in {"invalid_token", "token_expired"}, name
                assert reply.headers["www-authenticate"] == "Bearer"
        assert up.platform.auth.callers == []
        assert up.platform.queries.callers == []
        assert (await up.client.get(ME, headers=up.bearer())).status_code == 200


@pytest.mark.long
async def test_every_forged_token_is_refused_on_every_protected_route(start: Any) -> None:
    async with start(limit_factor=100_000) as up:
        routes = [endpoint for endpoint in up.gateway.application.endpoints if endpoint.access is Access.USER]
        for _, token in forgeries(up):
            headers = {"Authorization": f"Bearer {token}".encode()}
            for route in routes:
                reply = await up.client.request(route.method, path_of(route), headers=headers)
                checked(reply, 401, "AUTHENTICATION_ERROR")
        assert up.platform.auth.callers == []
        assert up.platform.trading.commands == []
