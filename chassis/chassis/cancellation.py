"""A loop around database calls must look for its own cancellation.

Python 3.11's `asyncio.wait_for`, which PyMongo sends with, drops a cancellation that comes in the very moment the send
completes: the call then returns as if nothing had been asked, and a loop would go on for ever.
"""

import asyncio


def end_if_cancelled() -> None:
    """Raises `CancelledError` where the running task was asked to end."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
