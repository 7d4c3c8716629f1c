from local_stack.backoff import Backoff


def test_the_wait_doubles_from_death_to_death_up_to_the_cap() -> None:
    backoff = Backoff(first_seconds=0.5, cap_seconds=3.0, stable_seconds=30.0)
    assert [backoff.after_death(lived_seconds=1.0) for _ in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]


def test_a_long_life_is_forgiven_what_was_before() -> None:
    backoff = Backoff(first_seconds=0.5, cap_seconds=3.0, stable_seconds=30.0)
    for _ in range(4):
        backoff.after_death(lived_seconds=1.0)
    assert backoff.after_death(lived_seconds=30.0) == 0.5


def test_a_thousand_deaths_still_wait_the_cap() -> None:
    backoff = Backoff()
    assert [backoff.after_death(lived_seconds=0.0) for _ in range(1_000)][-1] == backoff.cap_seconds
