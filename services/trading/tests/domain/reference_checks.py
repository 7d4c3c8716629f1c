"""The rules for an order's figures, and for a price's age, as the naive engine reads them."""

from decimal import Decimal

from reference_records import Book, RefusedError, Request, Rules


def check_steps(rules: Rules, request: Request) -> None:
    if request.price % rules.tick:
        raise RefusedError("invalid_tick")
    if request.quantity % rules.lot:
        raise RefusedError("invalid_lot")


def check_band(rules: Rules, price: Decimal, measure: Decimal) -> None:
    if abs(price - measure) > measure * rules.band:
        raise RefusedError("price_band")


def check_size(rules: Rules, request: Request, measure: Decimal) -> None:
    if max(request.quantity * measure, request.quote_quantity) > rules.maximum_quantity * measure:
        raise RefusedError("above_max_quantity")
    if (request.quote_quantity or request.quantity * (request.price or measure)) < rules.minimum_notional:
        raise RefusedError("below_min_notional")


def fresh(book: Book, now: int) -> bool:
    return (
        book.reference is not None
        and now - book.received_time <= book.rules.silence
        and now - book.source_time <= book.rules.source_age
    )
