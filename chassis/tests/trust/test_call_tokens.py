"""What a token proves, and how little of it may be changed."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from chassis.errors import ErrorKind
from chassis.identity import ADDRESS_KEY, PERMISSIONS_KEY, REQUEST_KEY, SERVICE_KEY, SESSION_KEY, USER_KEY
from chassis.testing import FixedClock
from chassis.testing.services import key_settings, private_key_of
from chassis.trust import call_tokens
from chassis.trust.call_tokens import (
    LIFETIME_SECONDS,
    TOKEN_KEY,
    AnotherProcess,
    CallNotTrusted,
    CallSigner,
    CallVerifier,
)
from chassis.trust.service_keys import ServiceKeys, UnknownService, read_private_keys, read_public_keys
from hypothesis import given
from hypothesis import strategies as st

METHOD = "/cryptovault.trading.v1.TradingService/GetBalances"
METADATA = {
    SERVICE_KEY: "gateway",
    USER_KEY: "user-1",
    SESSION_KEY: "session-1",
    PERMISSIONS_KEY: "orders:read wallet:read",
    REQUEST_KEY: "request-1",
    ADDRESS_KEY: "203.0.113.7",
}
NAMES = ("auth", "gateway", "portfolio", "trading")


class JumpingClock(FixedClock):
    """Its wall time can be set; its monotonic time cannot."""

    jumped = timedelta()

    def now(self) -> datetime:
        return super().now() + self.jumped


def keys_of(service: str, *, own: tuple[str, ...] = ()) -> ServiceKeys:
    public = {name: [private_key_of(name).public_key()] for name in NAMES}
    return ServiceKeys(own=[private_key_of(name) for name in own or (service,)], public=public)


def signed(
    *, by: str = "gateway", to: str = "trading", method: str = METHOD, clock: FixedClock | None = None
) -> dict[str, str]:
    """METADATA with a token made with the key of `by`."""
    signer = CallSigner(keys_of(by).secret_for(to), clock or FixedClock())
    return dict([*METADATA.items(), signer.token(method, METADATA.items())])


def refused(metadata: dict[str, str], *, method: str = METHOD, at: str = "trading") -> CallNotTrusted:
    with pytest.raises(CallNotTrusted) as refusal:
        CallVerifier(keys_of(at), FixedClock()).verify(method, metadata, b"", once=False)
    return refusal.value


def test_what_the_named_service_signed_for_us_is_trusted() -> None:
    CallVerifier(keys_of("trading"), FixedClock()).verify(METHOD, signed(), None, once=True)


@pytest.mark.parametrize(
    "damage",
    [
        lambda m: m.pop(TOKEN_KEY),
        lambda m: m.update({TOKEN_KEY: ""}),
        lambda m: m.update({TOKEN_KEY: m[TOKEN_KEY][:-1]}),
        lambda m: m.update({TOKEN_KEY: m[TOKEN_KEY] + "0"}),
        lambda m: m.update({TOKEN_KEY: m[TOKEN_KEY].upper()}),
        lambda m: m.update({TOKEN_KEY: m[TOKEN_KEY].partition(".")[2]}),
        lambda m: m.update({TOKEN_KEY: "." + m[TOKEN_KEY].partition(".")[2]}),
        lambda m: m.update({TOKEN_KEY: "-1." + m[TOKEN_KEY].partition(".")[2]}),
        lambda m: m.update({TOKEN_KEY: "9" * 5_000 + "." + m[TOKEN_KEY].partition(".")[2]}),
        lambda m: m.update({TOKEN_KEY: m[TOKEN_KEY].rpartition(".")[0] + "." + "0" * 64}),
        lambda m: m.update({TOKEN_KEY: m[TOKEN_KEY].rpartition(".")[0] + "." + "é" * 64}),
        lambda m: m.update({TOKEN_KEY: m[TOKEN_KEY].rpartition(".")[0]}),
        lambda m: m.update({TOKEN_KEY: m[TOKEN_KEY] + ".0"}),
        lambda m: m.update({TOKEN_KEY: m[TOKEN_KEY].replace(".", "..", 1)}),
        lambda m: m.update({TOKEN_KEY: "0.".join(m[TOKEN_KEY].rsplit(".", 1))}),
    ],
)
def test_a_token_that_is_missing_cut_or_made_up_is_refused(damage: Callable[[dict[str, str]], object]) -> None:
    metadata = signed()
    damage(metadata)
    assert refused(metadata).kind is ErrorKind.UNAUTHENTICATED


@pytest.mark.parametrize("key", METADATA)
@pytest.mark.parametrize("value", ["portfolio", "user-2", "", None])
def test_no_word_of_the_identity_can_be_changed_under_a_token(key: str, value: str | None) -> None:
    metadata = signed()
    if value is None:
        del metadata[key]
    else:
        metadata[key] = value
    refused(metadata)


def test_words_cannot_move_from_one_field_into_the_next() -> None:
    metadata = signed()
    metadata[USER_KEY], metadata[SESSION_KEY] = "user-1session-1", ""
    refused(metadata)


def test_a_token_for_one_method_is_no_token_for_another() -> None:
    refused(signed(), method="/cryptovault.trading.v1.TradingService/Transfer")


def test_a_token_sent_on_to_another_service_is_refused() -> None:
    refused(signed(to="trading"), at="portfolio")


def test_a_service_cannot_speak_with_anothers_name() -> None:
    refused(signed(by="portfolio"))


def test_the_called_cannot_turn_a_token_around() -> None:
    """Trading, which shares the secret with the gateway, cannot pass off the gateway's token as a call of its own."""
    metadata = signed() | {SERVICE_KEY: "trading"}
    refused(metadata, at="gateway")


def test_a_service_that_nobody_has_heard_of_is_refused() -> None:
    refused(signed() | {SERVICE_KEY: "mallory"})


@pytest.mark.parametrize("seconds", [-LIFETIME_SECONDS, LIFETIME_SECONDS])
def test_a_token_is_good_for_a_minute_on_clocks_that_differ(seconds: float) -> None:
    clock = FixedClock()
    metadata = signed(clock=FixedClock(clock.now() - timedelta(seconds=seconds)))
    CallVerifier(keys_of("trading"), clock).verify(METHOD, metadata, b"", once=False)


@pytest.mark.parametrize("seconds", [-LIFETIME_SECONDS - 1, LIFETIME_SECONDS + 1, 86_400])
def test_an_expired_token_and_one_from_the_future_are_refused(seconds: float) -> None:
    refused(signed(clock=FixedClock(FixedClock().now() - timedelta(seconds=seconds))))


def test_the_time_in_a_token_cannot_be_moved() -> None:
    metadata = signed(clock=FixedClock(FixedClock().now() - timedelta(days=1)))
    fresh = int(FixedClock().now().timestamp())
    metadata[TOKEN_KEY] = f"{fresh}.{metadata[TOKEN_KEY].partition('.')[2]}"
    refused(metadata)


@given(token=st.text(alphabet=st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=200))
def test_no_text_is_a_token(token: str) -> None:
    refused(METADATA | {TOKEN_KEY: token})


def test_a_new_key_is_introduced_without_a_moment_in_which_calls_fail() -> None:
    """As docs/security.md says; at each step one end may have taken it and the other not yet."""
    old, new = private_key_of("trading"), private_key_of("trading, later")
    gateway = private_key_of("gateway")
    lists = [[old], [old, new], [new, old], [new]]  # what the others say of trading
    holds = [[old], [new, old], [new]]
    for listed, held in ((0, 0), (1, 0), (1, 1), (2, 1), (3, 1), (3, 2)):
        others = ServiceKeys(own=[gateway], public={"trading": [key.public_key() for key in lists[listed]]})
        trading = ServiceKeys(own=holds[held], public={"gateway": [gateway.public_key()]})
        for caller, called, name, to in (
            (others, trading, "gateway", "trading"),
            (trading, others, "trading", "gateway"),
        ):
            metadata = METADATA | {SERVICE_KEY: name}
            token = CallSigner(caller.secret_for(to), FixedClock()).token(METHOD, metadata.items())
            CallVerifier(called, FixedClock()).verify(METHOD, dict([*metadata.items(), token]), None, once=True)


def test_the_secret_of_two_services_is_known_to_whoever_holds_one_of_their_private_keys_and_to_nobody_else() -> None:
    """The bytes themselves: replicas of two versions must understand each other, and public keys alone give nothing."""
    secret = keys_of("gateway").secret_for("trading")
    assert secret.hex() == "8d5730c510765b8058d2d6ebb307cafbdc113b0ab0c36cb115004af5f9eaa147"
    assert keys_of("trading").secrets_of("gateway") == (secret,)
    assert keys_of("gateway").secrets_of("trading") != (secret,)


def test_without_a_public_key_there_is_no_way_to_call() -> None:
    with pytest.raises(UnknownService, match="mallory"):
        keys_of("gateway").secret_for("mallory")


def test_the_token_of_a_command_is_good_once_and_that_of_a_read_for_its_minute() -> None:
    clock = FixedClock()
    verifier = CallVerifier(keys_of("trading"), clock)
    signer = CallSigner(keys_of("gateway").secret_for("trading"), clock)
    first, second = (dict([*METADATA.items(), signer.token(METHOD, METADATA.items())]) for _ in range(2))
    verifier.verify(METHOD, first, b"", once=False)
    verifier.verify(METHOD, first, b"", once=False)
    verifier.verify(METHOD, first, None, once=True)
    # The same words in the same second are another call, unless it is the same token.
    verifier.verify(METHOD, second, None, once=True)
    for seconds in (0, LIFETIME_SECONDS):
        clock.advance(seconds)
        for repeated in (first, second):
            with pytest.raises(CallNotTrusted):
                verifier.verify(METHOD, repeated, None, once=True)


def test_a_token_covers_the_request_and_names_the_process() -> None:
    verifier, signer = (
        CallVerifier(keys_of("trading"), FixedClock()),
        CallSigner(keys_of("gateway").secret_for("trading"), FixedClock()),
    )
    items = METADATA.items()
    with pytest.raises(AnotherProcess) as elsewhere:
        verifier.verify(METHOD, dict([*items, signer.token(METHOD, items, b"10 USD")]), b"10 USD", once=True)
    signer.process = elsewhere.value.details["process"]
    metadata = dict([*items, signer.token(METHOD, items, b"10 USD")])
    for changed in (b"1000 USD", b"", b"10 USD "):
        with pytest.raises(CallNotTrusted):
            verifier.verify(METHOD, metadata, changed, once=True)
    verifier.verify(METHOD, metadata, b"10 USD", once=True)
    another = CallVerifier(keys_of("trading"), FixedClock())
    with pytest.raises(AnotherProcess):
        another.verify(METHOD, metadata, b"10 USD", once=True)
    moved = metadata | {TOKEN_KEY: metadata[TOKEN_KEY].replace(verifier.process, another.process)}
    with pytest.raises(CallNotTrusted):
        another.verify(METHOD, moved, b"10 USD", once=True)


def test_spent_tokens_are_remembered_for_as_long_as_they_could_be_repeated() -> None:
    """Made by a clock that is a minute ahead, one is good for two."""
    clock = FixedClock()
    verifier = CallVerifier(keys_of("trading"), clock)
    ahead = signed(clock=FixedClock(clock.now() + timedelta(seconds=LIFETIME_SECONDS)))
    verifier.verify(METHOD, ahead, None, once=True)
    for _ in range(2 * LIFETIME_SECONDS - 1):
        clock.advance(1)
        verifier.verify(METHOD, signed(clock=clock), None, once=True)
        with pytest.raises(CallNotTrusted):
            verifier.verify(METHOD, ahead, None, once=True)


@pytest.mark.parametrize("jump_seconds", [600, -600])
def test_a_clock_that_jumps_away_and_back_makes_no_spent_token_good_again(jump_seconds: float) -> None:
    clock = JumpingClock()
    verifier = CallVerifier(keys_of("trading"), clock)
    spent = signed(clock=clock)
    verifier.verify(METHOD, spent, None, once=True)
    clock.jumped = timedelta(seconds=jump_seconds)
    # Where it went forward, this is what forgot.
    verifier.verify(METHOD, signed(clock=clock), None, once=True)
    clock.advance(30)
    clock.jumped = timedelta()
    with pytest.raises(CallNotTrusted):
        verifier.verify(METHOD, spent, None, once=True)


def test_the_memory_of_spent_tokens_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_tokens, "_SPENT_MAX", 10)
    clock = FixedClock()
    verifier = CallVerifier(keys_of("trading"), clock)
    tokens = [signed(clock=clock) for _ in range(30)]
    for token in tokens:
        verifier.verify(METHOD, token, None, once=True)
    assert len(verifier._spent) <= 10
    with pytest.raises(CallNotTrusted):
        verifier.verify(METHOD, tokens[-1], None, once=True)


def test_keys_are_read_from_settings() -> None:
    settings = key_settings("trading")
    (own,) = read_private_keys(settings["service_key"])
    assert own.private_bytes_raw() == private_key_of("trading").private_bytes_raw()
    public = read_public_keys(settings["service_public_keys"])
    assert public["gateway"][0].public_bytes_raw() == private_key_of("gateway").public_key().public_bytes_raw()


@pytest.mark.parametrize("text", ["", "auth", "auth:", "auth:AAAA", "auth:!!!", f"auth:{'A' * 44}"])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        read_public_keys(text)
