"""Opens after failures in a row, lets one call try after a while, closes when somebody answers."""

import pytest
from chassis.circuit_breaker import FAILURES_MAX, OPEN_SECONDS, CircuitBreaker, CircuitOpen
from chassis.errors import ErrorKind
from chassis.retry_budget import BURST, RATIO, RetryBudget
from chassis.testing import FixedClock


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def breaker(clock: FixedClock) -> CircuitBreaker:
    return CircuitBreaker("trading", clock)


def fail(breaker: CircuitBreaker, times: int = FAILURES_MAX) -> None:
    for _ in range(times):
        breaker.admit()
        breaker.failed()


def is_open(breaker: CircuitBreaker) -> bool:
    try:
        breaker.admit()
    except CircuitOpen:
        return True
    breaker.abandoned()
    return False


def test_it_opens_after_failures_in_a_row_and_says_when_to_come_back(breaker: CircuitBreaker) -> None:
    fail(breaker, FAILURES_MAX - 1)
    assert not is_open(breaker)
    fail(breaker, 1)
    with pytest.raises(CircuitOpen) as refusal:
        breaker.admit()
    assert (refusal.value.kind, refusal.value.details) == (ErrorKind.UNAVAILABLE, {"retry_after_seconds": "1"})


def test_one_answer_among_failures_keeps_it_closed(breaker: CircuitBreaker) -> None:
    for _ in range(3):
        fail(breaker, FAILURES_MAX - 1)
        breaker.admit()
        breaker.answered()
    assert not is_open(breaker)


def test_half_open_lets_one_call_try_and_its_answer_closes(breaker: CircuitBreaker, clock: FixedClock) -> None:
    fail(breaker)
    clock.advance(OPEN_SECONDS)
    breaker.admit()
    assert is_open(breaker)
    breaker.answered()
    fail(breaker, FAILURES_MAX - 1)
    assert not is_open(breaker)


def test_a_try_that_fails_opens_it_for_as_long_again(breaker: CircuitBreaker, clock: FixedClock) -> None:
    fail(breaker)
    for _ in range(3):
        clock.advance(OPEN_SECONDS)
        fail(breaker, 1)
        assert is_open(breaker)
        clock.advance(OPEN_SECONDS * 0.9)
        assert is_open(breaker)
        clock.advance(OPEN_SECONDS * 0.1)
        assert not is_open(breaker)


def test_a_try_that_is_given_up_leaves_the_next_one_to_try(breaker: CircuitBreaker, clock: FixedClock) -> None:
    fail(breaker)
    clock.advance(OPEN_SECONDS)
    breaker.admit()
    breaker.abandoned()
    assert not is_open(breaker)


def test_the_budget_bounds_repeats_to_a_tenth_of_the_calls() -> None:
    budget = RetryBudget()
    repeats = 0
    for _ in range(10_000):
        budget.earn()
        repeats += budget.spend()
    assert 10_000 * RATIO <= repeats <= 10_000 * RATIO + BURST


def test_quiet_times_do_not_pile_up_a_budget_for_a_storm() -> None:
    budget = RetryBudget()
    for _ in range(10_000):
        budget.earn()
    assert sum(budget.spend() for _ in range(1_000)) == BURST
