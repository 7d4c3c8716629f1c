"""What the runner and the nursery say to each other, as JSON, one datagram each."""

from typing import TypedDict

MESSAGE_BYTES_MAX = 262_144  # an environment is a few kilobytes


class Birth(TypedDict):
    """To the nursery, with the descriptor that its output goes to."""

    module: list[str]  # with its arguments
    environment: dict[str, str]
    folder: str


class Born(TypedDict):
    """The answer, in the order of the births."""

    born: int


class Died(TypedDict):
    """The code is negative where a signal ended it."""

    died: int
    code: int
