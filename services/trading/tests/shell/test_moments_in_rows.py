"""A moment comes back from the rows as it was, to the millisecond, whatever its year."""

from datetime import UTC, datetime

import bson
from chassis.mongo import CODEC_OPTIONS
from hypothesis import example, given
from hypothesis import strategies as st
from trading.domain.moments import MOMENT_MAX, milliseconds_of, moment_text, time_of


@given(st.integers(1, MOMENT_MAX))
@example(milliseconds_of(datetime(2300, 1, 1, 0, 0, 0, 1_000, tzinfo=UTC)))
@example(MOMENT_MAX)
def test_a_stored_moment_is_the_one_that_was_given(milliseconds: int) -> None:
    stored = bson.decode(bson.encode({"time": time_of(milliseconds)}), CODEC_OPTIONS)["time"]
    assert milliseconds_of(stored) == milliseconds
    assert stored.isoformat(timespec="milliseconds").replace("+00:00", "Z") == moment_text(milliseconds)
