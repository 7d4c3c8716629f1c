from datetime import UTC, datetime
from decimal import Decimal

import pytest
from chassis.mongo import MongoConnection, Transactions, init_documents
from chassis.testing import SequentialIds
from portfolio.domain.facts import Bought, Moved, Sold
from portfolio.domain.holdings import Holdings
from portfolio.storage.holdings_store import MongoHoldingsStore, PortfolioDocument, StaleRow
from portfolio.use_cases.ports import ValuedHoldings
from pymongo.errors import BulkWriteError

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
async def store(mongo: MongoConnection) -> MongoHoldingsStore:
    await init_documents(mongo.database, [PortfolioDocument])
    return MongoHoldingsStore(SequentialIds())


def _valued(holdings: Holdings, previous_batch: int) -> ValuedHoldings:
    return ValuedHoldings(
        holdings=holdings,
        previous_batch=previous_batch,
        names={"BTC": "Bitcoin"},
        values={"BTC": Decimal(6000)},
        allocations={"BTC": Decimal("54.60")},
        updated_at=NOON,
    )


FIRST = Holdings("u").after(
    [
        Moved(asset="USD", amount=Decimal(10000)),
        Bought(base="BTC", quote="USD", quantity=Decimal("0.3"), paid=Decimal("1000.00000001")),
    ],
    batch=3,
)


async def test_what_is_saved_is_read_back_exactly(store: MongoHoldingsStore) -> None:
    await store.save([_valued(FIRST, 0)])
    assert await store.get("u") == FIRST
    second = FIRST.after([Sold(base="BTC", quote="USD", quantity=Decimal("0.1"), received=Decimal(500))], batch=7)
    await store.save([_valued(second, 3)])
    assert await store.get("u") == second
    assert second.realized == Decimal("166.66666666")


async def test_a_user_nobody_knows_has_nothing(store: MongoHoldingsStore) -> None:
    await store.save([_valued(FIRST, 0)])
    assert await store.get_many(["u", "v"]) == {"u": FIRST, "v": Holdings("v")}


async def test_the_row_has_the_product_documents_fields(store: MongoHoldingsStore) -> None:
    await store.save([_valued(FIRST, 0)])
    document = await PortfolioDocument.find_one(PortfolioDocument.user_id == "u")
    assert document is not None
    assert document.updated_at == NOON
    (bitcoin,) = [holding for holding in document.holdings if holding.symbol == "BTC"]
    assert (bitcoin.name, bitcoin.amount, bitcoin.value, bitcoin.allocation) == (
        "Bitcoin",
        Decimal("0.3"),
        6000,
        Decimal("54.60"),
    )


async def test_there_is_one_row_per_user(store: MongoHoldingsStore) -> None:
    await store.save([_valued(FIRST, 0)])
    with pytest.raises(BulkWriteError):
        await store.save([_valued(FIRST, 0)])


async def test_a_row_that_moved_on_is_not_overwritten(store: MongoHoldingsStore, transactions: Transactions) -> None:
    await store.save([_valued(FIRST, 0)])
    with pytest.raises(StaleRow):
        await transactions.run(lambda: store.save([_valued(FIRST.after([], batch=9), 2)]))
    assert await store.get("u") == FIRST


async def test_a_fold_that_aborts_leaves_nothing(store: MongoHoldingsStore, transactions: Transactions) -> None:
    async def work() -> None:
        await store.save([_valued(FIRST, 0)])
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        await transactions.run(work)
    assert await store.get("u") == Holdings("u")
