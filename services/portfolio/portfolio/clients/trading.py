"""The exchange's leader and its journal, in our words."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC
from decimal import Decimal

import grpc
from chassis.journal_consumer import Entry
from cryptovault.trading.v1 import events_pb2, trading_pb2, trading_pb2_grpc

from portfolio.domain.exact import canonical, minus, parse_amount, plus
from portfolio.domain.facts import Bought, Moved, Sold
from portfolio.domain.valuation import Balance, Balances
from portfolio.use_cases.ports import BatchFacts, UserFact

TRANSFER_DEADLINE_SECONDS = 2.0  # a command on the exchange's one sequence, as an order is
JOURNAL_DEADLINE_SECONDS = 5.0  # up to 4 MiB of batches, in no hurry

_EXTERNAL = "external"
_HOUSE = "house"  # the exchange's own user id; it has no portfolio
_USER_PREFIX = "user:"


class TradingLedger:
    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = trading_pb2_grpc.TradingServiceStub(channel)

    async def balances(self) -> Balances:
        response = await self._stub.GetBalances(trading_pb2.GetBalancesRequest())
        return Balances(
            response.batch,
            tuple(
                Balance(balance.asset, parse_amount(balance.available), parse_amount(balance.held))
                for balance in response.balances
            ),
        )

    async def give(self, user_id: str, *, asset: str, amount: Decimal, business_key: str, kind: str) -> bool:
        response = await self._stub.Transfer(
            trading_pb2.TransferRequest(
                business_key=business_key,
                kind=kind,
                legs=[
                    trading_pb2.TransferLeg(
                        asset=asset,
                        amount=canonical(amount),
                        debit_account=_EXTERNAL,
                        credit_account=f"{_USER_PREFIX}{user_id}",
                    )
                ],
            ),
            timeout=TRANSFER_DEADLINE_SECONDS,
        )
        return not response.replayed


class TradingJournal:
    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = trading_pb2_grpc.TradingQueryServiceStub(channel)

    async def read(self, after: int, limit: int) -> Sequence[Entry[BatchFacts]]:
        response = await self._stub.ReadJournal(
            trading_pb2.ReadJournalRequest(after_batch=after, limit=limit), timeout=JOURNAL_DEADLINE_SECONDS
        )
        return [Entry(batch.number, batch.digest, facts_of(batch)) for batch in response.batches]

    async def wait_for(self, batch: int, timeout_seconds: float) -> None:
        await self._stub.ReadJournal(
            trading_pb2.ReadJournalRequest(
                after_batch=batch - 1, limit=1, wait_milliseconds=max(1, int(timeout_seconds * 1000))
            ),
            timeout=timeout_seconds,
        )


class UnknownJournalEvent(Exception):
    """The exchange writes events that this version does not know: to skip one could be to lose money from view."""


def facts_of(batch: events_pb2.JournalBatch) -> BatchFacts:
    """What a batch means to holdings.

    Raises:
        UnknownJournalEvent: an event of a kind we do not know.
        MalformedAmount: an amount that is none.
    """
    facts: list[UserFact] = []
    touched: dict[str, None] = {}
    for event in batch.events:
        match event.WhichOneof("event"):
            case "traded":
                facts.extend(_trade_facts(event.traded))
            case "transferred":
                facts.extend(_transfer_facts(event.transferred))
                touched.update(_users_of(event.transferred.released))
            case "transfer_held":
                touched.update(_users_of(event.transfer_held.postings))
            case "transfer_released":
                touched.update(_users_of(event.transfer_released.released))
            case "order_placed" | "order_triggered" | "order_amended" | "order_closed" as kind:
                touched[getattr(event, kind).user_id] = None
            case "operator_acted":
                continue  # the rules are others; nobody has more or less
            case unknown:
                raise UnknownJournalEvent(f"batch {batch.number} holds an event of kind {unknown!r}")
    touched.update(dict.fromkeys(fact.user_id for fact in facts))
    return BatchFacts(batch.time.ToDatetime(tzinfo=UTC), tuple(facts), tuple(touched))


def _users_of(postings: Iterable[events_pb2.Posting]) -> dict[str, None]:
    accounts = (posting.account for posting in postings)
    return {account.removeprefix(_USER_PREFIX): None for account in accounts if account.startswith(_USER_PREFIX)}


def _trade_facts(trade: events_pb2.Traded) -> Iterator[UserFact]:
    maker_side = "sell" if trade.taker_side == "buy" else "buy"
    for user_id, side, fee in (
        (trade.maker_user_id, maker_side, trade.maker_fee),
        (trade.taker_user_id, trade.taker_side, trade.taker_fee),
    ):
        if user_id == _HOUSE:
            continue
        quantity, notional, fee_amount = parse_amount(trade.quantity), parse_amount(trade.notional), parse_amount(fee)
        if side == "buy":
            paid = plus(notional, fee_amount)
            bought = Bought(base=trade.base_asset, quote=trade.quote_asset, quantity=quantity, paid=paid)
            yield UserFact(user_id, bought)
        else:
            received = minus(notional, fee_amount)
            sold = Sold(base=trade.base_asset, quote=trade.quote_asset, quantity=quantity, received=received)
            yield UserFact(user_id, sold)


def _transfer_facts(transfer: events_pb2.Transferred) -> Iterator[UserFact]:
    for posting in transfer.postings:
        if posting.account.startswith(_USER_PREFIX):
            moved = Moved(asset=posting.asset, amount=parse_amount(posting.amount))
            yield UserFact(posting.account.removeprefix(_USER_PREFIX), moved)
