"""The exchange's journal, folded again from nothing and judged as the exchange's own tests do it."""

from decimal import Decimal

from chassis.mongo import connect
from trading.domain.events import OrderPlaced
from trading.domain.queries import balances
from whole_journal import WholeJournal, balance_of, read_whole_journal

TRADING_DATABASE = "trading"


async def audit(journal_url: str) -> WholeJournal:
    """Raises `BrokenChain` where the journal does not follow from itself, fails where an invariant does not hold."""
    connection = connect(journal_url, TRADING_DATABASE)
    try:
        return await read_whole_journal(connection)
    finally:
        await connection.close()


def placed_by(journal: WholeJournal, user_id: str) -> list[str]:
    """The ids of all orders that the user ever placed, in order."""
    return [event.order_id for event in journal.events if isinstance(event, OrderPlaced) and event.user_id == user_id]


def balances_of(journal: WholeJournal, user_id: str) -> dict[str, tuple[Decimal, Decimal]]:
    """(available, held) by asset."""
    state = journal.exchange.state
    return {asset: balance_of(state, user_id, asset) for asset, _, _ in balances(state, user_id)}
