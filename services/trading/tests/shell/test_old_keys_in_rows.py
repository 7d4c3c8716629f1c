"""Keys that only the rows still know: one name space for whatever carried them, and each of its batch, not before."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from chassis.mongo import MongoDatabase
from chassis.testing import FixedClock
from shell_factory import MARKET, PRICE, UNIT, Shell, actor, buy_for, cancel, cancel_all, limit, running_shell
from trading.domain.accounts import owner_of_user
from trading.domain.commands import HoldTransfer, PlaceOrder, PostTransfer, SetMarket
from trading.domain.errors import IdempotencyKeyReused
from trading.domain.keys import fingerprint_of, repeat_of_key
from trading.domain.ledger import Posting
from trading.domain.orders import Side
from trading.domain.state import ExchangeState, RememberedKey
from trading.journal.store import Journal
from trading.projector.projector import Projector
from trading.sequencer.ports import KeyedCommand
from trading.storage.history import MongoHistory
from trading.storage.journal import MongoJournal
from trading.storage.projection import Projection

COST = 100_10 * UNIT // 100
HELD = (Posting("user:ann", "USD", -UNIT), Posting("external", "USD", UNIT))
BOUGHT = buy_for("ann", COST, key="k", client_order_id="mine")


async def fold_all(journal: Journal, database: MongoDatabase) -> int:
    """The newest batch, when the rows of all are written."""
    projector = Projector(journal, Projection(database))
    await projector.catch_up()
    folding = asyncio.create_task(projector.run())
    newest = (await journal.read_after(0, 1_000))[-1].number
    assert await projector.stored(newest, 10)
    folding.cancel()
    await asyncio.gather(folding, return_exceptions=True)
    return newest


def history_at(database: MongoDatabase, clock: FixedClock) -> MongoHistory:
    return MongoHistory(database, state=ExchangeState, now=clock.now)


async def keys_in(history: MongoHistory, command: KeyedCommand, batch: int) -> list[RememberedKey]:
    """What the rows of the batches up to that one know of the command's keys."""
    known = await history.keys_of(command, up_to=batch)
    return [key for keys in known.by_kind.values() for key in keys.values()]


async def test_a_key_that_placed_an_order_cannot_cancel_one(
    mongo_journal: MongoJournal, mongo_database: MongoDatabase
) -> None:
    async with running_shell(mongo_journal) as shell:
        await shell.deposit("ann", "USD", 1_000 * UNIT)
        await shell.send(BOUGHT)
        history = history_at(mongo_database, shell.clock)
    newest = await fold_all(mongo_journal, mongo_database)
    for command in (cancel("ann", "order-1", key="k"), cancel_all("ann", key="k")):
        known = await history.keys_of(command, up_to=newest)
        with pytest.raises(IdempotencyKeyReused):
            repeat_of_key(known, owner_of_user("ann"), "k", fingerprint_of(command))
    assert (await history.keys_of(cancel("bob", "order-1", key="k"), up_to=newest)).idempotency == {}


async def test_an_orders_keys_are_free_again_after_a_day_and_a_transfers_never(
    mongo_journal: MongoJournal, mongo_database: MongoDatabase
) -> None:
    async with running_shell(mongo_journal) as shell:
        *_, (posted, _) = await used_keys(shell)
        history = history_at(mongo_database, shell.clock)
    newest = await fold_all(mongo_journal, mongo_database)
    assert len(await keys_in(history, BOUGHT, newest)) == 2
    shell.clock.advance(timedelta(hours=25).total_seconds())
    assert await keys_in(history, BOUGHT, newest) == []
    assert len(await keys_in(history, posted, newest)) == 2


async def test_a_batchs_keys_are_known_together_and_not_before_the_cursor_says_so(
    mongo_journal: MongoJournal, mongo_database: MongoDatabase
) -> None:
    """Read one after the other while the rows are written, half of them made a retry look like another's order."""
    async with running_shell(mongo_journal) as shell:
        used = await used_keys(shell)
        history = history_at(mongo_database, shell.clock)
    newest = await fold_all(mongo_journal, mongo_database)
    for command, batch in used:
        before, then = await keys_in(history, command, batch - 1), await keys_in(history, command, batch)
        assert before == []
        assert len(then) == (2 if isinstance(command, PlaceOrder | PostTransfer) else 1)
        assert await keys_in(history, command, newest) == then


async def used_keys(shell: Shell) -> list[tuple[KeyedCommand, int]]:
    """A command of each kind with keys, and the batch that carried it out. The last one posts a held transfer."""
    await shell.deposit("ann", "USD", 1_000 * UNIT)
    resting = await shell.send(limit("ann", Side.BUY, UNIT // 100, PRICE - 1_000 * UNIT))
    assert resting.order is not None
    market = shell.state.markets[MARKET].market
    commands: list[KeyedCommand] = [
        BOUGHT,
        cancel("ann", resting.order.order_id, key="c"),
        SetMarket(actor("operator"), replace(market, maker_fee_basis_points=7), "cheaper", 0, "s"),
        HoldTransfer(actor(""), "withdrawal:1", "withdrawal", HELD),
        PostTransfer(actor(""), "settled:1", "withdrawal:1", HELD),
    ]
    return [(command, (await shell.send(command)).batch) for command in commands]
