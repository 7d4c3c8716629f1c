"""What is filled for one person in the same moment is one mail."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from chassis.journal_consumer import Entry
from mail_room import Room, filled
from notifications.domain.order_fills import LISTED_MAX, BatchFills, OrderFilled
from notifications.storage.fill_records import MongoFillRecords
from notifications.storage.mails import MongoMails
from notifications.use_cases.ports import Contact, JournalPart
from notifications.use_cases.tell_of_fills import TellOfFills

GATHER = timedelta(seconds=10)


class NothingNew:
    def __init__(self) -> None:
        self.more = 0  # reads that do not come to the end

    async def read(self, after: int, limit: int) -> JournalPart:
        self.more -= 1
        return JournalPart([], at_end=self.more < 0)


class Undone(Exception):
    pass


@dataclass
class Teller:
    room: Room
    tell: TellOfFills
    journal: NothingNew
    pauses: list[float]

    async def fold(self, *fills: OrderFilled, undone: bool = False) -> None:
        """As the journal's consumer does: apply in a transaction, then read on."""

        async def work() -> None:
            await self.tell.apply([Entry(1, b"", BatchFills(self.room.clock.now(), fills))])
            if undone:
                raise Undone

        if undone:
            with pytest.raises(Undone):
                await self.room.mongo.transactions.run(work)
        else:
            await self.room.mongo.transactions.run(work)
        await self.read_on()

    async def read_on(self) -> None:
        await self.tell.read(0, 10)

    async def wait(self) -> list[str]:
        """The mails whose tasks have left once the time to gather is over."""
        self.room.clock.advance(GATHER.total_seconds())
        await self.read_on()
        return self.left()

    def left(self) -> list[str]:
        return [mail_id for mail_id, _, _ in self.room.queue.tasks]


def teller_in(room: Room) -> Teller:
    journal, pauses = NothingNew(), list[float]()

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    tell = TellOfFills(
        journal=journal, records=MongoFillRecords(), queue=room.queue, clock=room.clock, gather=GATHER, sleep=pause
    )
    return Teller(room, tell, journal, pauses)


@pytest.fixture
async def teller(room: Room) -> Teller:
    room.book.contacts = {"u1": Contact("ann@example.org", "Ann"), "u2": Contact("bo@example.org", "Bo")}
    teller = teller_in(room)
    await teller.read_on()  # a consumer reads before it folds
    return teller


async def test_orders_filled_within_the_moment_share_a_mail_with_nobody_else(teller: Teller, provider: Any) -> None:
    await teller.fold(filled("o1"), filled("p1", "u2"))
    teller.room.clock.advance(9)
    await teller.fold(filled("o2"), filled("o3"))
    assert teller.left() == []
    teller.room.clock.advance(1)
    await teller.read_on()
    assert teller.left() == ["order-filled:o1", "order-filled:p1"]
    await teller.room.deliver_many(teller.left())
    told = {mail["personalizations"][0]["to"][0]["email"]: mail for mail in provider.mails}
    assert told["ann@example.org"]["subject"] == "3 orders filled"
    assert all(order in told["ann@example.org"]["content"][0]["value"] for order in ("o1", "o2", "o3"))
    assert told["bo@example.org"]["subject"] == "Bought 1 BTC"
    assert await teller.room.mongo.database["notifications"].count_documents({}) == 4


async def test_what_is_filled_after_the_mail_left_begins_another(teller: Teller) -> None:
    await teller.fold(filled("o1"))
    assert await teller.wait() == ["order-filled:o1"]
    await teller.fold(filled("o2"))
    assert await teller.wait() == ["order-filled:o1", "order-filled:o2"]


async def test_a_mail_that_a_worker_has_taken_takes_no_more_orders(teller: Teller) -> None:
    await teller.fold(filled("o1"))
    assert (await MongoMails().claim("order-filled:o1", teller.room.clock.now())).mail is not None
    await teller.fold(filled("o2"))
    assert (await teller.room.row("order-filled:o1"))["other_orders"] == []
    assert await teller.wait() == ["order-filled:o1", "order-filled:o2"]


async def test_a_mail_lists_so_many_orders_and_says_that_there_were_more(teller: Teller, provider: Any) -> None:
    await teller.fold(*(filled(f"o{number}") for number in range(LISTED_MAX - 1)))
    await teller.fold(filled("last"))
    assert not (await teller.room.row("order-filled:o0"))["unlisted_orders"]
    await teller.fold(filled("one more"))
    await teller.fold(filled("another"))
    [mail_id] = await teller.wait()
    await teller.room.deliver_many([mail_id])
    [mail] = provider.mails
    assert mail["subject"] == f"More than {LISTED_MAX} orders filled"
    assert mail["content"][0]["value"].count("Average price") == LISTED_MAX
    assert "last" in mail["content"][0]["value"]


async def test_a_fold_that_was_undone_leaves_no_mail_and_keeps_none_from_the_next(
    teller: Teller, provider: Any
) -> None:
    await teller.fold(filled("o1"), undone=True)
    await teller.fold(filled("o1"), filled("o2"))
    await teller.room.deliver_many(await teller.wait())
    assert [mail["subject"] for mail in provider.mails] == ["2 orders filled"]


async def test_a_fold_that_was_undone_takes_no_place_in_the_mail_that_it_would_have_filled(
    teller: Teller, provider: Any
) -> None:
    await teller.fold(filled("first"))
    many = [filled(f"o{number}") for number in range(LISTED_MAX)]
    await teller.fold(*many, undone=True)
    await teller.fold(*many)
    await teller.room.deliver_many(await teller.wait())
    assert [mail["subject"] for mail in provider.mails] == [f"More than {LISTED_MAX} orders filled"]


async def test_the_start_sends_what_a_killed_process_had_gathered(teller: Teller) -> None:
    await teller.fold(filled("o1"))
    teller.room.clock.advance(1)
    await teller_in(teller.room).read_on()
    assert teller.left() == ["order-filled:o1"]


async def test_the_end_sends_what_was_gathered(teller: Teller) -> None:
    await teller.fold(filled("o1"))
    await teller.tell.close()
    assert teller.left() == ["order-filled:o1"]


async def test_where_the_broker_is_away_the_sweep_sends_what_was_gathered(teller: Teller) -> None:
    teller.room.queue.away = True
    await teller.fold(filled("o1"))
    assert await teller.wait() == []
    teller.room.queue.away = False
    teller.room.clock.advance(130)
    assert await teller.room.sweep() == 1
    assert teller.left() == ["order-filled:o1"]


async def test_the_end_of_the_journal_is_looked_at_once_a_second_and_the_rest_at_once(teller: Teller) -> None:
    assert teller.pauses == []
    teller.room.clock.advance(0.25)
    teller.journal.more = 2
    await teller.read_on()
    await teller.read_on()
    await teller.read_on()
    assert teller.pauses == [0.75]
    await teller.read_on()
    assert teller.pauses == [0.75, 1.0]
    teller.room.clock.advance(1)
    await teller.read_on()
    assert teller.pauses == [0.75, 1.0]
