"""Lets a request in, or says why not: who is it, may cookies speak for it, does the session live, is allowance left."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chassis.clock import Clock
from chassis.errors import RemoteBugError, RemoteError

from gateway.admission.access_tokens import AccessToken, AccessTokens
from gateway.admission.cookies import ACCESS_COOKIE, read_cookies, submitted_csrf_token
from gateway.admission.csrf_tokens import CsrfTokens
from gateway.admission.gate import GateAnswer, GateClosed, LimitKey, Nonce, RedisGate
from gateway.admission.limits import LocalLimits, Verdict, rate_limited
from gateway.admission.policy import Access, LimitClass, Policy
from gateway.admission.revocations import AuthsRevocations, SeenRevocations, revocation_keys
from gateway.admission.signatures import (
    KEY_HEADER,
    SeenNonces,
    Signatures,
    SignedRequest,
    nonce_of,
    nonce_used,
    timestamp_out_of_window,
)
from gateway.edge.addresses import limited_address
from gateway.edge.facts import RequestFacts
from gateway.edge.metrics import GATE_FALLBACKS, RATE_LIMITED
from gateway.edge.origins import Origins
from gateway.errors import PublicError, forbidden, permission_missing, unauthenticated, unavailable
from gateway.settings import Allowance

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_BEARER = "bearer "
_LIMIT_KEY_PREFIX = "cryptovault:limit:"
_UNAUTHENTICATED = 401
_SESSIONS_PER_QUESTION = 256  # nearly always the answer is that none of them is over
_ASK_AGAIN_SECONDS = 0.1
_PATIENT_MAX = 128  # who waits takes a place among the requests in flight, which others need


@dataclass(frozen=True, slots=True)
class _Credentials:
    token: str
    from_cookie: bool


class Admission:
    def __init__(
        self,
        *,
        tokens: AccessTokens,
        signatures: Signatures,
        nonces: SeenNonces,
        gate: RedisGate,
        local_limits: LocalLimits,
        revocations: SeenRevocations,
        auths_revocations: AuthsRevocations,
        origins: Origins,
        csrf_tokens: CsrfTokens,
        allowances: Mapping[str, Allowance],
        clock: Clock,
        patience_seconds: float,
    ) -> None:
        self._tokens = tokens
        self._signatures = signatures
        self._nonces = nonces
        self._gate = gate
        self._local_limits = local_limits
        self._revocations = revocations
        self._auths_revocations = auths_revocations
        self._origins = origins
        self._csrf_tokens = csrf_tokens
        self._allowances = allowances
        self._clock = clock
        self._patience_seconds = patience_seconds
        self._patient = 0

    async def let_in(
        self, facts: RequestFacts, headers: Mapping[bytes, bytes], *, request: SignedRequest, policy: Policy
    ) -> AccessToken | None:
        """The token of the signed-in caller, if there is one. Notes user and limits in `facts`.

        `request` is what a signature would cover; its body need be there only where `is_signed` says so.

        PublicError 401, 403, 429 or 503 where the request may not run.
        """
        token: AccessToken | None = None
        refusal: PublicError | None = None
        if policy.access is not Access.PUBLIC:
            try:
                token = await self._authenticate(facts, headers, request)
            except PublicError as error:
                # Judged after the limits: guessing tokens is counted like any request.
                refusal = error
            if token is None and refusal is None and policy.access is Access.USER:
                refusal = unauthenticated("Please sign in.", reason="not_signed_in")
            if policy.access is Access.OPTIONAL and refusal is not None and refusal.status == _UNAUTHENTICATED:
                refusal = None
        if policy.limit is not None:
            alive = await self._check(facts, token, policy.limit, nonce_of(token))
            if not alive:
                refusal = _revoked(token) if policy.access is Access.USER else refusal
                token = None
        if refusal is not None:
            raise refusal
        if token is not None:
            _note(facts, token, policy)
        return token

    async def needs_body(self, facts: RequestFacts, headers: Mapping[bytes, bytes], policy: Policy) -> bool:
        """Whether the body is to be read for `let_in`: where a key signed it that we know.

        A stranger's request `let_in` counts and refuses without.
        """
        if policy.access is Access.PUBLIC or not is_signed(headers):
            return False
        return await self._signatures.is_worth_its_body(headers, facts.address)

    async def authenticate_socket(
        self, facts: RequestFacts, headers: Mapping[bytes, bytes], *, request: SignedRequest
    ) -> AccessToken | None:
        """Whoever opens a WebSocket, by signature, header or cookie; None for nobody. Counted like a read.

        PublicError 401, 403 (a cookie needs a right Origin), 429 or 503.
        """
        token: AccessToken | None = None
        refusal: PublicError | None = None
        claims_to_be_somebody = True
        try:
            credentials = None if is_signed(headers) else _credentials(headers)
            claims_to_be_somebody = is_signed(headers) or credentials is not None
            if credentials is not None and credentials.from_cookie and not self._origins.may_use_cookies(headers):
                raise _wrong_origin()
            token = await self._authenticate(facts, headers, request)
        except PublicError as error:
            refusal = error
        limit_class = LimitClass.ACCOUNT if claims_to_be_somebody else LimitClass.MARKET_DATA
        if not await self._check(facts, token, limit_class, nonce_of(token)):
            raise _revoked(token)
        if refusal is not None:
            raise refusal
        return token

    async def count_subscription(self, address: str, token: AccessToken | None, limit_class: LimitClass) -> None:
        """Begin with what one asks for over a WebSocket only where the same could be read: what is behind it costs as
        much. PublicError 401 or 429, errors as of a call to auth.
        """
        facts = RequestFacts(request_id="", address=address)  # no reply follows that would show limits
        if not await self._check(facts, token, limit_class):
            raise _revoked(token)

    async def check_token(self, token: str) -> AccessToken:
        """Verify a token sent inside a WebSocket. PublicError 401 where it is not valid or its session is over."""
        verified = await self._tokens.verify(token)
        await self.require_alive(verified)
        return verified

    async def require_alive(self, token: AccessToken) -> None:
        """For who was let in a while ago. PublicError 401 where the session has ended since."""
        if not await self.is_alive(token):
            raise _revoked(token)

    async def is_alive(self, token: AccessToken) -> bool:
        """Whether the session still is. Errors as of a call to auth, which is asked where Redis does not know."""
        if token.session_id in self._revocations or not self.may_go_on(token):
            return False
        keys = revocation_keys(token.session_id)
        try:
            answer = await self._gate.ask(keys, ())
        except GateClosed:
            return not await self._ended_by_auth([token.session_id])
        return not await self._is_over(token, answer)

    async def _is_over(self, token: AccessToken, answer: GateAnswer) -> bool:
        if answer.unsure:
            return bool(await self._ended_by_auth([token.session_id]))
        if answer.revoked:
            self._revocations.add(token.session_id)
        return answer.revoked

    def may_go_on(self, token: AccessToken) -> bool:
        """For who was let in a while ago: whether the key that signed the token is still good."""
        return self._tokens.may_go_on(token)

    async def ended_sessions(self, session_ids: Sequence[str]) -> set[str]:
        """Which of these sessions are over; those seen before, where neither Redis nor auth knows."""
        ended = {session_id for session_id in session_ids if session_id in self._revocations}
        rest = [session_id for session_id in session_ids if session_id not in ended]
        for start in range(0, len(rest), _SESSIONS_PER_QUESTION):
            group = rest[start : start + _SESSIONS_PER_QUESTION]
            try:
                answer = await self._gate.ask([key for one in group for key in revocation_keys(one)], ())
                unsure = answer.unsure
                if answer.revoked:
                    answers = await self._ask_one_by_one(group)
                    ended |= {one for one, its in answers.items() if its.revoked}
                    unsure = any(its.unsure for its in answers.values())
            except GateClosed:
                unsure = True
            if unsure:
                try:
                    ended |= await self._ended_by_auth(group)
                except (RemoteError, RemoteBugError):
                    break  # a socket that may be good is not closed for that
        for session_id in ended:
            self._revocations.add(session_id)
        return ended

    async def _ended_by_auth(self, session_ids: Sequence[str]) -> set[str]:
        ended = await self._auths_revocations.among(session_ids)
        for session_id in ended:
            self._revocations.add(session_id)
        return ended

    async def _ask_one_by_one(self, session_ids: Sequence[str]) -> dict[str, GateAnswer]:
        answers = await asyncio.gather(*(self._gate.ask(revocation_keys(one), ()) for one in session_ids))
        return dict(zip(session_ids, answers, strict=True))

    async def _authenticate(
        self, facts: RequestFacts, headers: Mapping[bytes, bytes], request: SignedRequest
    ) -> AccessToken | None:
        if is_signed(headers):
            return await self._signatures.verify(headers, request, facts.address)
        credentials = _credentials(headers)
        if credentials is None:
            return None
        token = await self._tokens.verify(credentials.token)
        if credentials.from_cookie and request.method not in _SAFE_METHODS:
            csrf_token = self._csrf_token(headers)
            if not self._csrf_tokens.is_of_session(csrf_token, token.session_id):
                raise _wrong_csrf_token()
        return token

    def check_refresh_cookie(self, headers: Mapping[bytes, bytes], refresh_token: str) -> None:
        """For what that cookie alone would authorize. PublicError 403 where another site may be behind it."""
        if not self._csrf_tokens.is_of_refresh_token(self._csrf_token(headers), refresh_token):
            raise _wrong_csrf_token()

    def _csrf_token(self, headers: Mapping[bytes, bytes]) -> str:
        """What header and cookie agree on; whose it is is for the caller to ask."""
        if not self._origins.may_use_cookies(headers):
            raise _wrong_origin()
        token = submitted_csrf_token(read_cookies(headers.get(b"cookie")), headers)
        if token is None:
            raise _wrong_csrf_token()
        return token

    def check_origin(self, headers: Mapping[bytes, bytes]) -> None:
        """For what sets cookies: a browser names its origin, and it must be one of ours."""
        if b"origin" in headers and not self._origins.may_use_cookies(headers):
            raise _wrong_origin()

    async def _check(
        self, facts: RequestFacts, token: AccessToken | None, limit_class: LimitClass, nonce: Nonce | None = None
    ) -> bool:
        """Spend one request of the allowance; False where the session is over. Where Redis does not know auth says so:
        errors as of a call to it.

        Then it counts against the address alone: whoever kept a token must not spend what its owner has.
        """
        alive = token is None or token.session_id not in self._revocations
        if not alive:
            token, nonce = None, None
        keys = self._limit_keys(facts, token, limit_class)
        revocations = revocation_keys(token.session_id) if token is not None else ()
        ask = self._ask_patiently if limit_class.fails_closed else self._gate.ask
        try:
            answer = await ask(revocations, keys, nonce)
        except GateClosed:
            if limit_class.fails_closed:
                raise unavailable("Sign-in is not available at the moment. Please try again.") from None
            GATE_FALLBACKS.inc()
            if token is not None and await self._ended_by_auth([token.session_id]):
                alive, nonce, keys = False, None, keys[:1]
            self._apply(facts, self._take_locally(keys), limit_class)
            if nonce is not None and not self._nonces.take(nonce.key):
                raise nonce_used() from None
            return alive
        if token is not None and await self._is_over(token, answer):
            self._apply(facts, list(answer.verdicts[:1]), limit_class)
            return False
        self._apply(facts, list(answer.verdicts), limit_class)
        if answer.outdated:
            raise timestamp_out_of_window()
        # Both are asked: the one outlives a flushed Redis, the other knows what other gateways took.
        if nonce is not None and (not self._nonces.take(nonce.key) or answer.replayed):
            raise nonce_used()
        return alive

    async def _ask_patiently(
        self, revocations: Sequence[str], keys: Sequence[LimitKey], nonce: Nonce | None
    ) -> GateAnswer:
        """For what cannot go on without Redis. Raises GateClosed where it stays away, or where too many wait for it."""
        if self._patient >= _PATIENT_MAX:
            return await self._gate.ask(revocations, keys, nonce)
        self._patient += 1
        try:
            async with asyncio.timeout(self._patience_seconds):
                while True:
                    with contextlib.suppress(GateClosed):
                        return await self._gate.ask(revocations, keys, nonce)
                    await asyncio.sleep(_ASK_AGAIN_SECONDS)
        except TimeoutError:
            raise GateClosed from None
        finally:
            self._patient -= 1

    def _limit_keys(self, facts: RequestFacts, token: AccessToken | None, limit_class: LimitClass) -> list[LimitKey]:
        allowance = self._allowances[limit_class]
        prefix = f"{_LIMIT_KEY_PREFIX}{limit_class}"
        # The address first: the gate counts that one alone where the session is over.
        keys = [LimitKey(f"{prefix}:address:{limited_address(facts.address)}", allowance.per_address)]
        if token is not None and allowance.per_user:
            keys.append(LimitKey(f"{prefix}:user:{token.user_id}", allowance.per_user))
        if token is not None and token.key is not None and allowance.per_key:
            keys.append(LimitKey(f"{prefix}:key:{token.session_id}", allowance.per_key))
        return keys

    def _take_locally(self, keys: Sequence[LimitKey]) -> list[Verdict]:
        """As the gate does: a refused request spends of no limit."""
        now = int(self._clock.monotonic() * 1_000_000)
        verdicts = [self._local_limits.take(key.key, limit=key.limit, now_microseconds=now) for key in keys]
        if not all(verdict.allowed for verdict in verdicts):
            for key, verdict in zip(keys, verdicts, strict=True):
                if verdict.allowed:
                    self._local_limits.give_back(key.key, limit=key.limit)
        return verdicts

    def _apply(self, facts: RequestFacts, verdicts: list[Verdict], limit_class: LimitClass) -> None:
        """Show the limit that is nearest to its end, and refuse where one is over."""
        nearest = min(verdicts, key=lambda one: (one.allowed, one.remaining))
        facts.reply_headers += limit_headers(nearest)
        if not nearest.allowed:
            RATE_LIMITED.labels(limit_class).inc()
            raise rate_limited(nearest)


def _note(facts: RequestFacts, token: AccessToken, policy: Policy) -> None:
    """Who it is; PublicError 403 where they may not do this."""
    facts.user_id, facts.permissions, facts.key = token.user_id, token.permissions, token.key
    facts.session_id = token.session_id if token.key is None else None
    if token.key is not None and policy.permission is None:
        raise forbidden("API keys may not do this.", reason="api_key_not_allowed")
    if policy.permission is not None and policy.permission not in token.permissions:
        raise permission_missing(policy.permission)
    if policy.by_key_only and token.key is None:
        raise forbidden("This request was not signed by an API key.", reason="not_an_api_key")


def is_signed(headers: Mapping[bytes, bytes]) -> bool:
    """Whether the request says that a key has signed it. Then that alone counts, whatever else it carries."""
    return KEY_HEADER in headers


def limit_headers(verdict: Verdict) -> list[tuple[bytes, bytes]]:
    return [
        (b"ratelimit-limit", b"%d" % verdict.limit),
        (b"ratelimit-remaining", b"%d" % verdict.remaining),
        (b"ratelimit-reset", b"%d" % verdict.reset_seconds),
    ]


def _credentials(headers: Mapping[bytes, bytes]) -> _Credentials | None:
    """The header goes before the cookie: who sets it means it."""
    authorization = headers.get(b"authorization", b"").decode("latin-1")
    if authorization[: len(_BEARER)].lower() == _BEARER:
        return _Credentials(token=authorization[len(_BEARER) :].strip(), from_cookie=False)
    if authorization:
        raise unauthenticated("The Authorization header must say Bearer and a token.", reason="invalid_token")
    if ACCESS_COOKIE.encode() not in headers.get(b"cookie", b""):
        return None
    token = read_cookies(headers[b"cookie"]).get(ACCESS_COOKIE)
    return _Credentials(token=token, from_cookie=True) if token else None


def _revoked(token: AccessToken | None) -> PublicError:
    if token is not None and token.key is not None:
        return unauthenticated("The API key has ended.", reason="api_key_revoked")
    return unauthenticated("The session has ended. Please sign in again.", reason="session_revoked")


def _wrong_csrf_token() -> PublicError:
    return forbidden(
        "The X-CSRF-Token header must repeat the CSRF cookie of this session.", reason="csrf_token_mismatch"
    )


def _wrong_origin() -> PublicError:
    return forbidden("This origin may not act for a signed-in user.", reason="origin_not_allowed")
