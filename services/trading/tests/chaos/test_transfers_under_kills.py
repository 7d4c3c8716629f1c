"""Withdrawals in two phases while their leader dies again and again: each is held once and ends once, as told."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from chassis.errors import RemoteBugError, RemoteError
from chassis.mongo import MongoConnection
from cryptovault.trading.v1 import trading_pb2
from exchange_processes import USERS, Processes, advances, pay_everybody, trading_stub
from trading.domain.events import HoldEnd, TransferHeld, TransferReleased, TransferSettled
from whole_journal import read_whole_journal

KILLS = 3
ENDS_BETWEEN_KILLS = 12


class Withdrawals:
    """Customers that each have one withdrawal under way and ask again, under the same keys, until they are answered."""

    def __init__(self, address: str) -> None:
        self._address = address
        self.ended: dict[str, tuple[str, HoldEnd]] = {}  # hold key: (transfer id, how)
        self.contradictions: list[str] = []
        self.stopping = False

    async def customer(self, number: int) -> None:
        count = 0
        while not self.stopping:
            async with trading_stub(self._address, of="portfolio") as stub:
                with suppress(RemoteError, RemoteBugError):
                    await self._one(stub, number, f"w-{number}-{count}", posts=count % 3 != 0)
                    count += 1
            await asyncio.sleep(0.02)

    async def _one(self, stub: Any, number: int, key: str, *, posts: bool) -> None:
        leg = trading_pb2.TransferLeg(
            asset="USD", amount="1.5", debit_account=f"user:{USERS[number]}", credit_account="external"
        )
        hold = trading_pb2.HoldTransferRequest(business_key=key, kind="withdrawal", legs=[leg])
        held = await self._told_twice(lambda: stub.HoldTransfer(hold))
        end: Any = trading_pb2.PostTransferRequest(business_key=f"{key}:end", hold_key=key)
        call = stub.PostTransfer
        if not posts:
            end, call = trading_pb2.VoidTransferRequest(business_key=f"{key}:end", hold_key=key), stub.VoidTransfer
        ended = await self._told_twice(lambda: call(end))
        if ended.transfer_id != held.transfer_id:
            self.contradictions.append(key)
        self.ended[key] = (held.transfer_id, HoldEnd.POSTED if posts else HoldEnd.VOIDED)

    async def _told_twice(self, ask: Callable[[], Awaitable[Any]]) -> Any:
        """The second answer must be the first one."""
        first = await ask()
        with suppress(RemoteError, RemoteBugError):
            again = await ask()
            if not again.replayed or again.transfer_id != first.transfer_id:
                self.contradictions.append(first.transfer_id)
        return first


async def test_withdrawals_under_kills_are_held_once_and_end_once(processes: Processes, mongo: MongoConnection) -> None:
    await processes.start_trading()
    await pay_everybody(processes.trading_address)
    withdrawals = Withdrawals(processes.trading_address)
    customers = [asyncio.create_task(withdrawals.customer(number)) for number in range(len(USERS))]
    for _ in range(KILLS):
        await advances(lambda: len(withdrawals.ended), by=ENDS_BETWEEN_KILLS)
        await processes.kill("trading")
        await processes.start_trading()
    await advances(lambda: len(withdrawals.ended), by=ENDS_BETWEEN_KILLS)
    withdrawals.stopping = True
    await asyncio.gather(*customers)
    journal = await read_whole_journal(mongo)
    assert withdrawals.contradictions == []
    held = [event.business_key for event in journal.events if isinstance(event, TransferHeld)]
    assert len(held) == len(set(held))
    ends: dict[str, tuple[str, HoldEnd]] = {}
    for event in journal.events:
        if isinstance(event, TransferSettled | TransferReleased):
            assert event.hold_key not in ends
            how = HoldEnd.POSTED if isinstance(event, TransferSettled) else event.end
            ends[event.hold_key] = (event.transfer_id, how)
    assert {key: ends.get(key) for key in withdrawals.ended} == withdrawals.ended
    # What has not ended is still held, and nothing else is.
    assert set(journal.exchange.state.pending_transfers) == set(held) - set(ends)
