# ruff: noqa: N802 - the contract's names, grpc's signature
"""The ledger half of TradingQueryService: postings, balances of the past, what a balance is made of."""

from collections.abc import Mapping
from typing import Any

from chassis.errors import InvalidArgument
from chassis.identity import current_caller
from cryptovault.trading.v1 import trading_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from trading.api.fresh_reads import ProjectionBehind, answering, is_fresh
from trading.api.messages import timestamp
from trading.api.parsing import milliseconds_of_timestamp
from trading.domain.accounts import owner_of_user
from trading.domain.amounts import format_amount
from trading.domain.errors import UnknownAsset
from trading.domain.ledger import holds_for
from trading.domain.markets import Asset
from trading.domain.orders import Side
from trading.domain.queries import balance, user_cursor
from trading.domain.state import ExchangeState
from trading.journal.postings import POSTING_KINDS
from trading.projector.ledger_reader import BalancesAsOf, ExplainedPosting, LedgerReader, PostingFilter, SequenceAhead
from trading.projector.projector import Projector


class LedgerServicer:
    """Its methods are the servicer's, which inherits them."""

    _projector: Projector
    _ledger: LedgerReader

    async def ListPostings(
        self, request: trading_pb2.ListPostingsRequest, context: Any
    ) -> trading_pb2.ListPostingsResponse:
        user_id = current_caller().required_user()
        fresh = await is_fresh(self._projector, request.at_least_batch, context)
        self._check_asset(request.asset)
        _check_kind(request.kind)
        wanted = PostingFilter(
            asset=request.asset,
            kind=request.kind,
            from_milliseconds=_bound(request, "from_time"),
            to_milliseconds=_bound(request, "to_time"),
        )
        with answering():
            page = await self._ledger.postings(user_id, wanted, limit=request.limit, cursor=request.cursor)
        return trading_pb2.ListPostingsResponse(
            postings=[_posting(explained, self._state.assets) for explained in page.postings],
            next_cursor=page.next_cursor,
            behind=not fresh,
        )

    async def GetBalancesAsOf(
        self, request: trading_pb2.GetBalancesAsOfRequest, context: Any
    ) -> trading_pb2.GetBalancesAsOfResponse:
        user_id = current_caller().required_user()
        fresh = await is_fresh(self._projector, request.at_least_batch, context)
        self._check_asset(request.asset)
        try:
            with answering():
                found = await self._as_of(user_id, request)
        except SequenceAhead as error:
            if fresh:
                raise
            raise ProjectionBehind from error
        assets = self._state.assets
        balances = {code: found.balances[code] for code in sorted(found.balances) if request.asset in {"", code}}
        return trading_pb2.GetBalancesAsOfResponse(
            balances=[
                trading_pb2.Balance(
                    asset=code,
                    available=format_amount(available, assets[code].scale),
                    held=format_amount(held, assets[code].scale),
                )
                for code, (available, held) in balances.items()
            ],
            sequence=found.sequence,
            batch=found.batch,
            time=timestamp(found.time_milliseconds) if found.batch else None,
            behind=not fresh,
        )

    async def ExplainBalance(
        self, request: trading_pb2.ExplainBalanceRequest, context: Any
    ) -> trading_pb2.ExplainBalanceResponse:
        user_id = current_caller().required_user()
        if not request.asset:
            raise InvalidArgument("An asset is needed.", field="asset", rule="required")
        fresh = await is_fresh(self._projector, request.at_least_batch, context)
        self._check_asset(request.asset)
        state, asset = self._state, self._state.assets[request.asset]
        # All are taken before anything is awaited, so that they are of one moment, and the postings up to it.
        now = balance(state, user_id, asset.code)
        newest = user_cursor(state, user_id).sequence
        holds = _holds(state, user_id, asset)
        wanted = PostingFilter(asset=asset.code)
        batch = self._projector.fold.cursor.batch
        with answering():
            page = await self._ledger.postings(
                user_id, wanted, limit=request.limit, cursor=request.cursor, newest=newest
            )
        return trading_pb2.ExplainBalanceResponse(
            balance=trading_pb2.Balance(
                asset=asset.code,
                available=format_amount(now.available, asset.scale),
                held=format_amount(now.held, asset.scale),
            ),
            total=format_amount(now.available + now.held, asset.scale),
            holds=holds,
            postings=[_posting(explained, state.assets) for explained in page.postings],
            next_cursor=page.next_cursor,
            batch=batch,
            behind=not fresh,
        )

    @property
    def _state(self) -> ExchangeState:
        return self._projector.fold.state

    def _check_asset(self, asset: str) -> None:
        if asset and asset not in self._state.assets:
            raise UnknownAsset(asset=asset)

    async def _as_of(self, user_id: str, request: trading_pb2.GetBalancesAsOfRequest) -> BalancesAsOf:
        moment = request.WhichOneof("moment")
        if moment == "sequence":
            return await self._ledger.at_sequence(user_id, request.sequence)
        if moment == "time":
            return await self._ledger.at_time(user_id, _moment(request.time, "as_of"))
        raise InvalidArgument("A time or a sequence is needed.", field="moment", rule="required")


def _check_kind(kind: str) -> None:
    """A mistyped one would look like an account in which nothing happened."""
    if kind and kind not in POSTING_KINDS:
        raise InvalidArgument(
            "There is no such kind of posting.", field="kind", rule="one_of", limit=", ".join(POSTING_KINDS)
        )


def _bound(request: trading_pb2.ListPostingsRequest, field: str) -> int | None:
    if not request.HasField(field):  # type: ignore[arg-type]  # the stub wants literals
        return None
    return _moment(getattr(request, field), field.removesuffix("_time"))


def _moment(moment: Timestamp, field: str) -> int:
    """Any since 1970 began: before the exchange's first batch there was nothing, which is an answer."""
    return milliseconds_of_timestamp(moment, field, earliest=0)


def _holds(state: ExchangeState, user_id: str, asset: Asset) -> list[trading_pb2.BalanceHold]:
    """What makes up the held part: M4 says that it is exactly these."""
    owner = state.owners.get(owner_of_user(user_id))
    if owner is None:
        return []
    holds = []
    for order in owner.orders.values():
        market = state.markets[order.market].market
        if (market.quote if order.side is Side.BUY else market.base) == asset.code:
            amount = format_amount(order.hold, asset.scale)
            holds.append(trading_pb2.BalanceHold(order_id=order.order_id, amount=amount, kind="order"))
    for pending in owner.pending.values():
        for name, code, held in holds_for(pending.postings):
            if (name, code) == (owner.name, asset.code):
                amount = format_amount(held, asset.scale)
                holds.append(trading_pb2.BalanceHold(transfer_id=pending.transfer_id, amount=amount, kind=pending.kind))
    return holds


def _posting(explained: ExplainedPosting, assets: Mapping[str, Asset]) -> trading_pb2.LedgerPosting:
    step, posting = explained.step, explained.posting
    scale = assets[posting.asset].scale
    return trading_pb2.LedgerPosting(
        sequence=step.sequence,
        index=explained.place,
        asset=posting.asset,
        amount=format_amount(posting.amount, scale),
        balance_after=format_amount(explained.total, scale),
        kind=step.kind,
        trade_id="" if step.business_key else step.reference,
        order_id=step.order_id,
        transfer_id=step.reference if step.business_key else "",
        business_key=step.business_key,
        counterparties=posting.counterparties,
        time=timestamp(step.time_milliseconds),
        batch=step.batch,
    )
