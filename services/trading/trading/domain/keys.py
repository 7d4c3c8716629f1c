"""Idempotency (M14): a retry finds the first effect, other contents under the same key are refused.

A fingerprint is what makes two commands the same: plain text rather than a digest, so that no two ever collide.
"""

from trading.domain.amounts import SCALE_MAX
from trading.domain.commands import (
    AddAsset,
    AddMarket,
    AmendOrder,
    CancelAll,
    CancelOrder,
    HoldTransfer,
    KeyedChange,
    PlaceOrder,
    PostTransfer,
    Transfer,
    VoidTransfer,
)
from trading.domain.errors import ClientOrderIdReused, IdempotencyKeyReused
from trading.domain.identifiers import milliseconds_of
from trading.domain.outcomes import Repeat
from trading.domain.state import RememberedKey, RememberedKeys
from trading.domain.transfer_errors import BusinessKeyReused

# Keys of orders and of operators' changes are good for 24 h, business keys for ever.
ORDER_KEY_SECONDS = 86_400

_PLACED = "place|"

TransferCommand = Transfer | HoldTransfer | PostTransfer | VoidTransfer


def fingerprint_of(
    command: PlaceOrder | AmendOrder | CancelOrder | CancelAll | KeyedChange | TransferCommand,
) -> str:
    """The command's contents without key and actor. The shell stores it with orders, for keys older than memory."""
    if isinstance(command, PlaceOrder):
        return fingerprint_of_order(command)
    if isinstance(command, AmendOrder):
        text = f"amend|{command.order_id}|{command.price}|{command.quantity}"
        scales = (command.price_scale, command.quantity_scale)
        # Only then, so that what was remembered while all amendments had one scale still matches.
        return text if scales == (SCALE_MAX, SCALE_MAX) else f"{text}|{command.price_scale}|{command.quantity_scale}"
    if isinstance(command, CancelOrder):
        return f"cancel|{command.order_id}"
    if isinstance(command, CancelAll):
        return f"cancel_all|{command.market}"
    if isinstance(command, KeyedChange):
        return _fingerprint_of_change(command)
    return _fingerprint_of_transfer(command)


def repeat_of_order(
    keys: RememberedKeys, command: PlaceOrder, owner: str, fingerprint: str, time_milliseconds: int = 0
) -> Repeat | None:
    """The first order where this is a retry. Raises where the key or the client order id belongs to something else.

    By `time_milliseconds` keys that are a day old are free; 0 where whoever gave the keys has looked at that.
    """
    repeat = repeat_of_key(keys, owner, command.idempotency_key, fingerprint, time_milliseconds)
    if repeat is not None:
        return repeat
    if command.client_order_id:
        known = keys.client_order.get((owner, command.client_order_id))
        if known is not None and not _is_free(known, time_milliseconds):
            # Without a key the client order id is the retry's only mark, whatever came with the first order.
            if not command.idempotency_key and known.fingerprint == fingerprint:
                return Repeat(known.batch, known.order_ids)
            raise ClientOrderIdReused(client_order_id=command.client_order_id, order_id=known.order_ids[0])
    return None


def repeat_of_key(
    keys: RememberedKeys, owner: str, idempotency_key: str, fingerprint: str, time_milliseconds: int = 0
) -> Repeat | None:
    """Raises `IdempotencyKeyReused` where the key came with other contents. The time as in `repeat_of_order`."""
    if not idempotency_key:
        return None
    known = keys.idempotency.get((owner, idempotency_key))
    if known is None or _is_free(known, time_milliseconds):
        return None
    if known.fingerprint != fingerprint:
        raise IdempotencyKeyReused(idempotency_key=idempotency_key)
    return Repeat(known.batch, known.order_ids)


def repeat_of_transfer(keys: RememberedKeys, command: TransferCommand, fingerprint: str) -> Repeat | None:
    """Raises `BusinessKeyReused` where the key came with other contents."""
    known = keys.business.get(("", command.business_key))
    if known is None:
        return None
    if known.fingerprint != fingerprint:
        raise BusinessKeyReused(business_key=command.business_key)
    return Repeat(known.batch, transfer_id=known.transfer_id)


def is_of_order(fingerprint: str) -> bool:
    """Whether its command placed an order."""
    return fingerprint.startswith(_PLACED)


def _is_free(known: RememberedKey, time_milliseconds: int) -> bool:
    """Whether an order's key is a day old, though memory still holds it: behind many others it leaves later."""
    oldest = time_milliseconds - 1_000 * ORDER_KEY_SECONDS
    return oldest > 0 and is_of_order(known.fingerprint) and milliseconds_of(known.order_ids[0]) <= oldest


def fingerprint_of_order(command: PlaceOrder) -> str:
    """The same of an order."""
    (
        _, market, side, order_type, time_in_force, quantity, quote_quantity, price, post_only, client_order_id, _,
        stop_price, expires_milliseconds,
    ) = command  # fmt: skip
    # It begins with `_PLACED`. With `!s`, since an enum member's own format takes longer than all the rest.
    text = (
        f"place|{market}|{side!s}|{order_type!s}|{time_in_force!s}|{quantity}|{quote_quantity}|{price}"
        f"|{'1' if post_only else '0'}|{client_order_id}"
    )
    if stop_price or expires_milliseconds:
        # Only then, so that what was remembered before there were such orders still matches.
        text += f"|{stop_price}|{expires_milliseconds}"
    return text


def _fingerprint_of_change(command: KeyedChange) -> str:
    if isinstance(command, AddAsset):
        return f"add_asset|{command.asset.code}|{command.asset.scale}|{command.asset.name}"
    asked = command.change or command.market
    if isinstance(command, AddMarket):
        return f"add_market|{command.market.symbol}|{asked}"
    return f"set_market|{command.market.symbol}|{command.expected_version}|{asked}"


def _fingerprint_of_transfer(command: TransferCommand) -> str:
    if isinstance(command, VoidTransfer):
        return f"void|{command.hold_key}"
    postings = ";".join(f"{posting.owner},{posting.asset},{posting.amount}" for posting in command.postings)
    if isinstance(command, PostTransfer):
        return f"post|{command.hold_key}|{postings}"
    if isinstance(command, HoldTransfer):
        return f"hold|{command.kind}|{command.expires_milliseconds}|{postings}"
    return f"transfer|{command.kind}|{postings}"
