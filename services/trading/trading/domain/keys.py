"""Fingerprints: what makes two commands under one key the same. Plain text, so that no two contents ever collide."""

from trading.domain.commands import CancelAll, CancelOrder, PlaceOrder, Transfer


def fingerprint_of(command: PlaceOrder | CancelOrder | CancelAll | Transfer) -> str:
    """The command's contents without key and actor. The shell stores it with orders, for keys older than memory."""
    if isinstance(command, PlaceOrder):
        return (
            f"place|{command.market}|{command.side}|{command.order_type}|{command.time_in_force}|{command.quantity}"
            f"|{command.quote_quantity}|{command.price}|{command.post_only:d}|{command.client_order_id}"
        )
    if isinstance(command, CancelOrder):
        return f"cancel|{command.order_id}"
    if isinstance(command, CancelAll):
        return f"cancel_all|{command.market}"
    postings = ";".join(f"{posting.owner},{posting.asset},{posting.amount}" for posting in command.postings)
    return f"transfer|{command.kind}|{postings}"
