"""Argon2id away from the event loop: few threads, low priority, a short queue. So are imported hashes verified."""

import asyncio
import contextlib
import os
import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from prometheus_client import Counter, Gauge
from pwdlib import PasswordHash
from pwdlib.exceptions import UnknownHashError
from pwdlib.hashers.argon2 import Argon2Hasher

from auth.crypto.imported_hashes import ImportedBcrypt
from auth.domain.errors import TooBusy
from auth.use_cases.crypto_ports import PasswordCheck

T = TypeVar("T")

NICENESS = 19  # a thread at 19 gets a seventieth of what one at 0 gets, where both want the processor
NEWEST_WEIGHT = 0.3  # of the newest hash in how long one takes

WAITING = Gauge("cryptovault_password_hashes_waiting", "Password hashes that wait or run")
REFUSED = Counter("cryptovault_password_hashes_refused", "Password hashes refused because too many waited")


class PasswordPool:
    """Hashes with the given cost. One lane per hash (parallelism 1), so that `threads` is what is used at most.

    The threads run at low priority, so that a flood of sign-ins slows sign-ins and nothing else. argon2 releases
    the interpreter's lock. Close it when done.
    """

    def __init__(
        self,
        *,
        threads: int,
        waiting_max: int,
        wait_seconds_max: float,
        memory_kibibytes: int,
        passes: int,
        pace_seconds: float = 0.0,
    ) -> None:
        """Refused is who would come after `waiting_max` others, or waits longer than so many seconds. From the start of
        one hash to the next in its thread, at least `pace_seconds`.
        """
        argon2 = Argon2Hasher(memory_cost=memory_kibibytes, time_cost=passes, parallelism=1)
        self._hasher = PasswordHash([argon2, ImportedBcrypt()])
        self._threads = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="password", initializer=_step_back)
        self._waiting = 0
        self._waiting_max = waiting_max
        self._wait_seconds_max = wait_seconds_max
        self._thread_count = threads
        self._pace_seconds = pace_seconds
        self._lane = threading.local()
        begun = time.monotonic()
        # Verified against where there is no hash, so that an unknown address costs what a known one does.
        self._nobodys_hash = self._hasher.hash(secrets.token_hex())
        # Of late: where others want the processor, a hash takes many times what it takes alone.
        self._seconds_per_hash = time.monotonic() - begun

    async def hash(self, password: str) -> str:
        return await self._run(lambda: self._hasher.hash(password))

    async def verify(self, password: str, password_hash: str | None) -> PasswordCheck:
        return await self._run(lambda: self._verify(password, password_hash))

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _verify(self, password: str, password_hash: str | None) -> PasswordCheck:
        if password_hash:
            # A form that this version does not know is like no password: wrong, at the same cost.
            with contextlib.suppress(UnknownHashError):
                return PasswordCheck(*self._hasher.verify_and_update(password, password_hash))
        self._hasher.verify(password, self._nobodys_hash)
        return PasswordCheck(right=False)

    def make_sure_of_room(self) -> None:
        wait_seconds = self._waiting * self._seconds_per_hash / self._thread_count
        if self._waiting >= self._waiting_max or wait_seconds > self._wait_seconds_max:
            REFUSED.inc()
            raise TooBusy

    async def _run(self, work: Callable[[], T]) -> T:
        self.make_sure_of_room()
        self._waiting += 1
        WAITING.set(self._waiting)
        try:
            # A caller who gives up takes its work out of the queue.
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, self._in_time, work, time.monotonic())
        finally:
            self._waiting -= 1
            WAITING.set(self._waiting)

    def _in_time(self, work: Callable[[], T], joined: float) -> T:
        begun = time.monotonic()
        time.sleep(max(0.0, getattr(self._lane, "next", begun) - begun))
        now = time.monotonic()
        # Callers have a deadline. Where hashes slow down the line outlasts it, and each would be hashed for in vain.
        if now - joined > self._wait_seconds_max:
            REFUSED.inc()
            raise TooBusy
        self._lane.next = now + self._pace_seconds
        try:
            return work()
        finally:
            self._seconds_per_hash += NEWEST_WEIGHT * (time.monotonic() - begun - self._seconds_per_hash)


def _step_back() -> None:
    # On Linux a priority belongs to a thread, and this one needs no right to lower its own.
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
