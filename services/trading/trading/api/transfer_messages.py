"""Transfers as other services may know them."""

from collections.abc import Iterable

from cryptovault.trading.v1 import events_pb2

from trading.api.actor_messages import actor_message
from trading.api.messages import timestamp
from trading.domain.accounts import HoldChange, Posting
from trading.domain.amounts import format_amount
from trading.domain.events import TransferHeld, TransferReleased, TransferSettled
from trading.domain.markets import Asset
from trading.journal.history import TransferEvent


def transfer_message(event: TransferEvent, assets: dict[str, Asset]) -> events_pb2.JournalEvent:
    if isinstance(event, TransferHeld):
        held = events_pb2.TransferHeld(
            transfer_id=event.transfer_id,
            business_key=event.business_key,
            kind=event.kind,
            postings=_postings(event.postings, assets),
            expires_at=timestamp(event.expires_milliseconds) if event.expires_milliseconds else None,
        )
        return events_pb2.JournalEvent(transfer_held=held, actor=actor_message(event), reason=event.reason)
    if isinstance(event, TransferReleased):
        released = events_pb2.TransferReleased(
            transfer_id=event.transfer_id,
            hold_key=event.hold_key,
            end=event.end,
            kind=event.kind,
            released=_released(event.released, assets),
        )
        return events_pb2.JournalEvent(transfer_released=released, actor=actor_message(event), reason=event.reason)
    moved = events_pb2.Transferred(
        transfer_id=event.transfer_id,
        business_key=event.business_key,
        kind=event.kind,
        postings=_postings(event.postings, assets),
    )
    if isinstance(event, TransferSettled):
        moved.hold_key = event.hold_key
        moved.released.extend(_released(event.released, assets))
    return events_pb2.JournalEvent(transferred=moved, actor=actor_message(event), reason=event.reason)


def _released(holds: Iterable[HoldChange], assets: dict[str, Asset]) -> list[events_pb2.Posting]:
    return _postings((hold._replace(amount=-hold.amount) for hold in holds), assets)


def _postings(changes: Iterable[Posting | HoldChange], assets: dict[str, Asset]) -> list[events_pb2.Posting]:
    return [
        events_pb2.Posting(account=owner, asset=asset, amount=format_amount(amount, assets[asset].scale))
        for owner, asset, amount in changes
    ]
