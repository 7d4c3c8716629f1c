"""For the loops around the journal, which must look for their own cancellation."""

from chassis.cancellation import end_if_cancelled

__all__ = ["end_if_cancelled"]
