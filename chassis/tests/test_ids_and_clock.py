from datetime import UTC, datetime, timedelta

from chassis.clock import SystemClock
from chassis.ids import RandomIds, uuid7
from chassis.testing import FixedClock, SequentialIds


def test_ids_are_version_seven_of_the_time_they_were_made_at() -> None:
    made = RandomIds(lambda: 1_700_000_000_123_456_789).new()
    assert made.version == 7
    assert made.variant == "specified in RFC 4122"
    assert made.int >> 80 == 1_700_000_000_123


def test_ids_grow_within_one_millisecond_beyond_the_counter() -> None:
    ids = RandomIds(lambda: 1_700_000_000_000_000_000)
    made = [ids.new() for _ in range(10_000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_ids_grow_when_the_wall_clock_steps_back() -> None:
    times = iter([5_000_000_000, 1_000_000_000, 1_000_000_000])
    ids = RandomIds(lambda: next(times))
    first, second, third = ids.new(), ids.new(), ids.new()
    assert first < second < third


def test_the_layout_is_that_of_the_standard() -> None:
    # RFC 9562, appendix A.6.
    example = uuid7(milliseconds=0x017F22E279B0, counter=0xCC3, tail=0x18C4DC0C0C07398F)
    assert str(example) == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"


def test_sequential_ids_repeat_from_run_to_run() -> None:
    assert [str(SequentialIds().new()) for _ in range(2)] == ["00000000-0000-7000-8000-000000000001"] * 2


def test_a_fixed_clock_moves_only_when_told() -> None:
    clock = FixedClock(datetime(2026, 1, 1, tzinfo=UTC))
    before = clock.monotonic()
    clock.advance(1.5)
    assert clock.now() == datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=1.5)
    assert clock.monotonic() - before == 1.5


def test_the_system_clock_is_aware() -> None:
    assert SystemClock().now().tzinfo is UTC
