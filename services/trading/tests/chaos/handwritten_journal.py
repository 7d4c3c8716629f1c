"""A small journal, written by hand, and what it takes to put a fault into it."""

from exchange_processes import USERS
from trading.domain.accounts import Posting
from trading.domain.commands import (
    Actor,
    CancelOrder,
    Command,
    PlaceOrder,
    SetAsset,
    SetMarket,
    SetReferencePrice,
    Transfer,
)
from trading.domain.default_markets import default_assets, default_markets
from trading.domain.orders import OrderType, Side, TimeInForce
from trading.domain.state import Limits
from trading.sequencer.memory import Memory
from trading.sequencer.open_batch import OpenBatch
from trading.storage.journal import MongoJournal

MARKET, UNIT, NOW = "BTC-USD", 10**8, 1_767_225_600_000
PRICE = 50_000 * UNIT
OPERATOR = Actor("", "trading", "listing", "")
CUSTOMER = Actor(USERS[0], "s", "r", "")


class Writer:
    """Of a journal, batch by batch; the last order is under `order_id`."""

    def __init__(self, journal: MongoJournal) -> None:
        self._journal = journal
        self._memory = Memory(Limits())

    @property
    def order_id(self) -> str:
        return next(reversed(self._memory.state.orders))

    def forget_keys(self) -> None:
        """As no exchange does: what comes again under its key is done again."""
        self._memory.state.keys.idempotency.clear()

    async def write(self, *commands: Command) -> None:
        batch = OpenBatch(self._memory, NOW)
        for command in commands:
            batch.run(command)
        sealed = batch.seal(batch.finish(), epoch=1, writer="by hand")
        await self._journal.append(sealed)
        self._memory.stand_at(sealed)


def paid(user: str, key: str) -> Transfer:
    amount = 1_000 * UNIT
    moved = (Posting("external", "USD", -amount), Posting(f"user:{user}", "USD", amount))
    return Transfer(OPERATOR, key, "practice_money", moved)


def placed(key: str) -> PlaceOrder:
    return PlaceOrder(
        CUSTOMER, MARKET, Side.BUY, OrderType.LIMIT, TimeInForce.GTC, quantity=UNIT // 1000, price=PRICE,
        idempotency_key=key,
    )  # fmt: skip


async def sound_journal(journal: MongoJournal) -> Writer:
    """Everybody was paid, and one order was placed and cancelled."""
    writer = Writer(journal)
    await writer.write(
        *(SetAsset(OPERATOR, asset, "listed") for asset in default_assets()),
        *(SetMarket(OPERATOR, market, "listed") for market in default_markets()),
        *(paid(user, f"practice:{user}") for user in USERS),
        SetReferencePrice(MARKET, PRICE * 101 // 100, "simulator", NOW, NOW),
    )
    await writer.write(placed("rest-1"))
    await writer.write(CancelOrder(CUSTOMER, writer.order_id, "cancel-1"))
    return writer
