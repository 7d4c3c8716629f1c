"""The database did what was asked and its answer is lost, again and again while orders come: each happened once."""

import asyncio
from urllib.parse import urlsplit

from chassis.embedded.ports import free_port_block
from chassis.mongo import MongoConnection, connect
from chassis.testing.tcp_proxy import TcpProxy
from prometheus_client import REGISTRY
from shell_factory import UNIT, buy_for, running_shell
from trading.domain.events import OrderPlaced
from trading.domain.snapshot import state_hash
from trading.domain.state import Limits
from trading.journal.codec import decode_body
from trading.sequencer.recovery import recover
from trading.storage.journal import MongoJournal

LOSSES = 10
AT_ONCE = 8


def unknown_appends() -> float:
    return REGISTRY.get_sample_value("cryptovault_journal_unknown_appends_total") or 0


async def test_ten_lost_answers_lose_and_double_no_order(mongo_url: str, mongo: MongoConnection) -> None:
    server, port = urlsplit(mongo_url), free_port_block()
    proxy = TcpProxy(server.port or 27_017)
    acknowledged: list[str] = []
    before = unknown_appends()
    async with proxy.serving(port):
        connection = connect(f"mongodb://127.0.0.1:{port}/?{server.query}", mongo.database.name)
        journal = MongoJournal(connection)
        async with running_shell(journal) as shell:
            await shell.deposit("ann", "USD", 1_000_000 * UNIT)
            for _ in range(LOSSES):
                await shell.deposit("ann", "BTC", UNIT)  # over a whole line again
                proxy.lose_answers()
                # Without keys: whatever is carried out twice is two orders.
                sent = [shell.send(buy_for("ann", 100 * UNIT)) for _ in range(AT_ONCE)]
                for outcome in await asyncio.gather(*sent):
                    assert outcome.order is not None
                    acknowledged.append(outcome.order.order_id)
            told = state_hash(shell.state)
        await journal.close()
        await connection.close()
    assert unknown_appends() - before >= LOSSES
    whole = MongoJournal(mongo)
    batches = await whole.read_after(0, 1_000)
    events = [event for batch in batches for event in decode_body(batch.body).events]
    assert sorted(event.order_id for event in events if isinstance(event, OrderPlaced)) == sorted(acknowledged)
    assert state_hash((await recover(whole, Limits())).state) == told
