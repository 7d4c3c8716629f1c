import pytest
from chassis.errors import ErrorKind, ServiceError
from exchange_factory import COIN_USD, OPERATOR, UNIT, Bench, actor, units
from trading.domain.accounts import Posting
from trading.domain.commands import (
    Actor,
    ExpireTransfers,
    FreezeAsset,
    HoldTransfer,
    PostTransfer,
    SetMarket,
    Transfer,
    UnfreezeAsset,
    VoidTransfer,
)
from trading.domain.errors import InsufficientFunds, MarketCancelOnly, UnknownAsset
from trading.domain.events import AssetFrozen, HoldEnd, MarketSet, TransferHeld, TransferReleased, TransferSettled
from trading.domain.exchange import Exchange
from trading.domain.markets import MarketStatus
from trading.domain.orders import Side
from trading.domain.outcomes import Repeat
from trading.domain.queries import transfers_are_due
from trading.domain.snapshot import restore_snapshot, state_hash, take_snapshot
from trading.domain.state import Limits
from trading.domain.transfer_errors import (
    AssetIsFrozen,
    BusinessKeyReused,
    FreezeNotExplained,
    InvalidTransfer,
    TooManyPendingTransfers,
    TransferAlreadyPosted,
    TransferAlreadyVoided,
    TransferExpired,
    TransferNotFound,
)
from trading.domain.transfer_kinds import KINDS, Party

FEE = UNIT // 100
SERVICE = Actor("", "portfolio", "request-7")


@pytest.fixture
def bench() -> Bench:
    return Bench(limits=Limits(remembered_batches=3, pending_transfers_per_user=2, expiries_per_command=2))


def postings(*moves: tuple[str, str, int]) -> tuple[Posting, ...]:
    return tuple(Posting(*move) for move in moves)


def withdrawal(amount: int = UNIT, key: str = "w", user: str = "alice") -> HoldTransfer:
    moves = postings(
        (f"user:{user}", "COIN", -amount - FEE), ("external", "COIN", amount), ("fees", "COIN", FEE)
    )  # fmt: skip
    return HoldTransfer(actor(user), key, "withdrawal", moves)


def payment(key: str = "p", expires: int = 0, amount: int = UNIT) -> HoldTransfer:
    moves = postings(("user:alice", "USD", -amount), ("user:bob", "USD", amount))
    return HoldTransfer(actor("alice"), key, "user_transfer", moves, expires)


def post(hold_key: str = "w", key: str = "", part: tuple[Posting, ...] = ()) -> PostTransfer:
    return PostTransfer(SERVICE, key or f"{hold_key}:post", hold_key, part)


def void(hold_key: str = "w", key: str = "") -> VoidTransfer:
    return VoidTransfer(SERVICE, key or f"{hold_key}:void", hold_key, "the address was wrong")


def test_a_withdrawal_is_held_and_leaves_only_when_it_is_posted(bench: Bench) -> None:
    (held,) = bench.done(withdrawal())
    assert isinstance(held, TransferHeld)
    assert bench.money("alice", "COIN") == (units("98.99"), units("1.01"))
    bench.batch()
    (settled,) = bench.done(post())
    assert isinstance(settled, TransferSettled)
    assert settled.transfer_id == held.transfer_id
    assert bench.money("alice", "COIN") == (units("98.99"), 0)
    assert bench.exchange.state.owners["fees"].accounts["COIN"].available == FEE
    assert bench.exchange.state.pending_transfers == {}
    assert bench.exchange.state.owners["user:alice"].pending == {}


def test_a_part_may_be_posted_and_the_rest_is_available_again(bench: Bench) -> None:
    bench.done(withdrawal())
    half = postings(("user:alice", "COIN", -UNIT // 2), ("external", "COIN", UNIT // 2))
    bench.done(post(part=half))
    assert bench.money("alice", "COIN") == (units("99.5"), 0)
    with pytest.raises(TransferAlreadyPosted):
        bench.do(post(key="the-rest", part=half))


def test_whose_money_comes_back_has_an_event_though_nothing_of_it_moved(bench: Bench) -> None:
    moves = postings(("user:alice", "USD", -2), ("user:bob", "USD", -3), ("external", "USD", 5))
    bench.done(HoldTransfer(OPERATOR, "a", "adjustment", moves, 0, "a double deposit"))
    before = bench.exchange.state.owners["user:bob"].sequence
    part = postings(("user:alice", "USD", -2), ("external", "USD", 2))
    (settled,) = bench.done(post("a", part=part))
    assert isinstance(settled, TransferSettled)
    assert [user.user_id for user in settled.user_sequences] == ["alice", "bob"]
    assert bench.exchange.state.owners["user:bob"].sequence == before + 1
    assert bench.money("bob", "USD") == (units("10000"), 0)


def test_a_voided_withdrawal_gives_everything_back(bench: Bench) -> None:
    bench.done(withdrawal())
    (released,) = bench.done(void())
    assert isinstance(released, TransferReleased)
    assert (released.end, released.actor, released.reason) == (HoldEnd.VOIDED, SERVICE, "the address was wrong")
    assert bench.money("alice", "COIN") == (units("100"), 0)


@pytest.mark.parametrize("later", [0, 1])
def test_a_held_transfer_ends_once_and_says_how(bench: Bench, later: int) -> None:
    bench.done(withdrawal(key="posted"))
    bench.done(post("posted"))
    bench.done(withdrawal(key="voided"))
    bench.done(void("voided"))
    for _ in range(later):
        bench.batch()
    refusals = [
        (post("posted", "again"), TransferAlreadyPosted),
        (void("posted"), TransferAlreadyPosted),
        (post("voided"), TransferAlreadyVoided),
        (void("voided", "again"), TransferAlreadyVoided),
        (post("never"), TransferNotFound),
        (void("never"), TransferNotFound),
    ]
    for command, error in refusals:
        before = state_hash(bench.exchange.state)
        with pytest.raises(error) as caught:
            bench.do(command)
        assert caught.value.kind is (ErrorKind.NOT_FOUND if error is TransferNotFound else ErrorKind.CONFLICT)
        assert state_hash(bench.exchange.state) == before


def test_each_phase_happens_once_per_business_key(bench: Bench) -> None:
    (held,) = bench.done(withdrawal())
    assert isinstance(held, TransferHeld)
    first = bench.exchange.state.batch_number
    assert bench.do(withdrawal()) == Repeat(first, transfer_id=held.transfer_id)
    bench.batch()
    bench.done(post())
    repeat = Repeat(first + 1, transfer_id=held.transfer_id)
    assert [bench.do(post()) for _ in range(3)] == [repeat] * 3
    # The first phase's repeat still answers its own result, though the second is over.
    assert bench.do(withdrawal()) == Repeat(first, transfer_id=held.transfer_id)
    assert bench.money("alice", "COIN") == (units("98.99"), 0)


def test_a_business_key_with_other_contents_is_a_conflict(bench: Bench) -> None:
    bench.done(withdrawal())
    for command in (
        withdrawal(2 * UNIT),
        payment("w"),
        Transfer(OPERATOR, "w", "adjustment", withdrawal().postings, "why"),
        post(key="w"),
        void(key="w"),
    ):
        with pytest.raises(BusinessKeyReused):
            bench.do(command)
    bench.done(post(key="second"))
    part = postings(("user:alice", "COIN", -1), ("external", "COIN", 1))
    for command in (void(key="second"), post(key="second", part=part)):
        with pytest.raises(BusinessKeyReused):
            bench.do(command)


def test_held_money_is_nobody_elses(bench: Bench) -> None:
    bench.done(withdrawal(60 * UNIT))
    with pytest.raises(InsufficientFunds):
        bench.do(withdrawal(60 * UNIT, key="w2"))
    bench.reference("100")
    with pytest.raises(InsufficientFunds):
        bench.do(bench.limit("alice", Side.SELL, "50", "101"))
    bench.done(bench.limit("alice", Side.SELL, "38", "101"))
    # The order's hold and the transfer's are told apart: each ends by itself.
    bench.done(void())
    assert bench.money("alice", "COIN") == (units("62"), units("38"))


def test_what_is_posted_lies_within_what_was_held(bench: Bench) -> None:
    bench.done(withdrawal())
    for part in (
        postings(("user:alice", "COIN", -2 * UNIT), ("external", "COIN", 2 * UNIT)),
        postings(("user:bob", "COIN", -UNIT), ("external", "COIN", UNIT)),
        postings(("user:alice", "USD", -UNIT), ("external", "USD", UNIT)),
        postings(("external", "COIN", -UNIT), ("user:alice", "COIN", UNIT)),
        postings(("user:alice", "COIN", -UNIT), ("external", "COIN", UNIT - 1)),
        postings(("user:alice", "COIN", -UNIT)),
    ):
        with pytest.raises(InvalidTransfer):
            bench.do(post(part=part))
    assert bench.money("alice", "COIN") == (units("98.99"), units("1.01"))


def test_a_hold_expires_by_a_journaled_command_at_a_batch_time(bench: Bench) -> None:
    bench.done(payment(expires=bench.now + 100))
    assert not transfers_are_due(bench.exchange.state, bench.now)
    assert bench.done(ExpireTransfers()) == []
    bench.batch(100)
    assert transfers_are_due(bench.exchange.state, bench.now)
    # Its time is over, whether or not the command has come yet.
    for late in (post("p"), void("p")):
        with pytest.raises(TransferExpired):
            bench.do(late)
    (released,) = bench.done(ExpireTransfers())
    assert isinstance(released, TransferReleased)
    assert (released.end, released.actor, released.business_key) == (HoldEnd.EXPIRED, None, "")
    assert bench.money("alice", "USD") == (units("10000"), 0)
    for late in (post("p"), void("p")):
        with pytest.raises(TransferExpired):
            bench.do(late)
    assert not transfers_are_due(bench.exchange.state, bench.now)


def test_expiries_come_in_bounded_steps_the_oldest_first(bench: Bench) -> None:
    deposits = [
        HoldTransfer(
            SERVICE,
            f"d{index}",
            "deposit",
            postings(("external", "USD", -1), ("user:bob", "USD", 1)),
            bench.now + index,
        )
        for index in (3, 1, 2)
    ]
    for deposit in deposits:
        bench.done(deposit)
    bench.batch(10)
    steps = [bench.done(ExpireTransfers()) for _ in range(3)]
    ended = [[event.hold_key for event in step if isinstance(event, TransferReleased)] for step in steps]
    assert ended == [["d1", "d2"], ["d3"], []]


def test_a_withdrawals_hold_never_ends_by_itself(bench: Bench) -> None:
    with pytest.raises(InvalidTransfer, match="until somebody says"):
        bench.do(withdrawal()._replace(expires_milliseconds=bench.now + 100))
    with pytest.raises(InvalidTransfer, match="at once"):
        bench.do(payment(expires=bench.now))


def test_a_user_has_a_bounded_number_of_pending_transfers(bench: Bench) -> None:
    bench.done(withdrawal(key="1"))
    bench.done(withdrawal(key="2"))
    with pytest.raises(TooManyPendingTransfers):
        bench.do(withdrawal(key="3"))
    bench.done(withdrawal(key="3", user="bob"))
    bench.done(post("1"))
    bench.done(withdrawal(key="4"))


def kind_cases() -> list[tuple[str, str, str, bool, bool]]:
    """(kind, debit, credit, held first, allowed): every combination there is."""
    accounts = {Party.USER: "user:alice", **{party: party.value for party in Party if party is not Party.USER}}
    return [
        (
            kind.name, accounts[debit], "user:bob" if credit is Party.USER else accounts[credit], held,
            debit in kind.debits and credit in kind.credits and (kind.held_first if held else kind.at_once),
        )
        for kind in KINDS.values() for debit in Party for credit in Party for held in (True, False)
        if debit is not credit or debit is Party.USER
    ]  # fmt: skip


def test_a_kind_touches_its_own_accounts_in_its_own_phases_alone(bench: Bench) -> None:
    for owner in ("fees", "house", "rounding"):
        moves = postings(("external", "USD", -10 * UNIT), (owner, "USD", 10 * UNIT))
        bench.done(Transfer(OPERATOR, f"fund:{owner}", "adjustment", moves, "for the test"))
    done = 0
    for index, (kind, debit, credit, held, allowed) in enumerate(kind_cases()):
        moves = postings((debit, "USD", -1), (credit, "USD", 1))
        command: Transfer | HoldTransfer = Transfer(OPERATOR, f"{index}", kind, moves, "why")
        if held:
            command = HoldTransfer(OPERATOR, f"{index}", kind, moves, 0, "why")
        if allowed:
            bench.done(command)
            if held:
                bench.done(void(f"{index}"))
            done += 1
        else:
            with pytest.raises(InvalidTransfer):
                bench.do(command)
    assert done > 40


def test_an_adjustment_needs_a_person_and_a_reason_and_any_transfer_somebody_who_asked(bench: Bench) -> None:
    moves = postings(("external", "USD", -1), ("user:alice", "USD", 1))
    good = Transfer(OPERATOR, "a", "adjustment", moves, "a forgotten deposit")
    for bad, rule in (
        (good._replace(reason=""), "person_and_reason"),
        (good._replace(actor=SERVICE), "person_and_reason"),
        (good._replace(actor=OPERATOR._replace(credential_id="")), "actor"),
        (good._replace(actor=OPERATOR._replace(request_id="")), "actor"),
        (good._replace(kind="gift"), "kind"),
    ):
        with pytest.raises(InvalidTransfer) as caught:
            bench.do(bad)
        assert caught.value.details["rule"] == rule
    for command in (post(), void()):
        with pytest.raises(InvalidTransfer):
            bench.do(command._replace(actor=SERVICE._replace(request_id="")))
    bench.done(good)


def test_what_nobody_asked_for_is_found_in_the_history(bench: Bench) -> None:
    bench.reference("100")
    nobody = actor("alice")._replace(request_id="")
    bench.check = False
    bench.done(bench.limit("alice", Side.BUY, "1", "99")._replace(actor=nobody))
    (found,) = bench.history.compare(bench.exchange.state)
    assert (found.invariant, found.message) == ("M22", "nobody asked for it")


def test_replay_and_snapshots_know_pending_transfers_and_frozen_assets(bench: Bench) -> None:
    bench.done(withdrawal())
    bench.done(payment(expires=bench.now + 50))
    bench.done(withdrawal(key="gone", user="bob"))
    bench.done(void("gone"))
    bench.done(FreezeAsset(SERVICE, "DUST", "for the test"))
    restored = Exchange(restore_snapshot(take_snapshot(bench.exchange.state), bench.exchange.state.limits))
    folded = Exchange()
    for event in bench.events:
        folded.apply(event)
    assert state_hash(restored.state) == state_hash(folded.state) == state_hash(bench.exchange.state)
    bench.batch(50)
    for exchange in (restored, folded):
        exchange.apply(bench.events[-1])
    for command in (ExpireTransfers(), post(), post("gone"), withdrawal(), UnfreezeAsset(OPERATOR, "DUST", "seen")):
        outcomes = []
        for exchange in (restored, bench.exchange):
            try:
                outcomes.append(repr(exchange.execute(command)))
            except ServiceError as error:
                outcomes.append(error.reason)
        assert outcomes[0] == outcomes[1]
    assert state_hash(restored.state) == state_hash(bench.exchange.state)


def test_what_became_of_a_hold_leaves_memory_with_its_batch(bench: Bench) -> None:
    bench.done(withdrawal())
    bench.done(post())
    for _ in range(3):
        bench.batch()
    assert bench.exchange.state.keys.ended_hold == {}
    # Only the shell, which looks further back, may let such a command through; then the core knows of nothing.
    with pytest.raises(TransferNotFound):
        bench.do(void())


def test_a_frozen_asset_is_not_withdrawn_and_not_traded(bench: Bench) -> None:
    bench.reference("100")
    bench.done(withdrawal(key="before"))
    events = bench.done(FreezeAsset(SERVICE, "COIN", "M6: books do not add up"))
    assert [type(event) for event in events] == [AssetFrozen, MarketSet]
    assert bench.done(FreezeAsset(SERVICE, "COIN", "M6: still")) == []
    with pytest.raises(AssetIsFrozen):
        bench.do(withdrawal())
    with pytest.raises(MarketCancelOnly):
        bench.do(bench.limit("alice", Side.SELL, "1", "101"))
    with pytest.raises(AssetIsFrozen):
        bench.do(SetMarket(OPERATOR, COIN_USD, "reopen"))
    # What was under way is told as it ended, deposits still come in, and the other market goes on.
    bench.done(post("before"))
    bench.deposit("alice", "COIN", UNIT)
    assert bench.exchange.state.markets["DUST-USD"].market.status is MarketStatus.TRADING


def test_freezing_money_of_account_stops_every_market_of_it(bench: Bench) -> None:
    bench.done(FreezeAsset(SERVICE, "USD", "M1"))
    assert {state.market.status for state in bench.exchange.state.markets.values()} == {MarketStatus.CANCEL_ONLY}


def test_only_a_person_with_a_reason_unfreezes_and_markets_stay_closed(bench: Bench) -> None:
    bench.done(FreezeAsset(SERVICE, "COIN", "M1"))
    for bad in (UnfreezeAsset(SERVICE, "COIN", "by itself"), UnfreezeAsset(OPERATOR, "COIN", "")):
        with pytest.raises(FreezeNotExplained):
            bench.do(bad)
    with pytest.raises(UnknownAsset):
        bench.do(UnfreezeAsset(OPERATOR, "NONE", "why"))
    bench.done(UnfreezeAsset(OPERATOR, "COIN", "the projector had a bad memory module"))
    assert bench.done(UnfreezeAsset(OPERATOR, "COIN", "again")) == []
    bench.done(withdrawal())
    assert bench.exchange.state.markets["COIN-USD"].market.status is MarketStatus.CANCEL_ONLY
    bench.done(SetMarket(OPERATOR, COIN_USD, "reopen", reference_price=100 * UNIT))
