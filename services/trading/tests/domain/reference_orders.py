"""What the naive engine does with orders that wait for a price, end at a moment, or are amended."""

from dataclasses import replace
from decimal import Decimal

from reference_checks import check_band, check_size, check_steps
from reference_engine import ReferenceEngine
from reference_records import Book, RefusedError, Request, Resting, round_down, worse_or_equal

TRIGGERS = ("stop", "stop_limit", "take_profit")


class ReferenceExchange(ReferenceEngine):
    def expire(self) -> None:
        """To be called whenever time has passed, before anything else."""
        for order in [*self.resting]:
            if order.request.expires and order.request.expires <= self.now:
                self._close(order, "expired", "expired")

    def place(self, request: Request) -> None:
        if request.kind not in TRIGGERS:
            super().place(request)
            return
        book = self._open_book(request.market)
        self._check_waiting(book, request)
        self._check_room(request)
        order = self._order(request)
        order.waits = True
        if request.side == "buy" and request.quantity and not request.price:
            order.worst = round_down(request.stop * (1 + book.rules.slippage), book.rules.tick)
        if self._hold(order) > self.available(request.user, self._held_asset(order)):
            raise RefusedError("insufficient_funds")
        self.orders_placed += 1
        self.priority += 1
        self.resting.append(order)

    def _check_waiting(self, book: Book, request: Request) -> None:
        rules, reference = book.rules, book.reference
        if reference is None:
            raise RefusedError("stale_price")
        if request.expires and request.expires <= self.now:
            raise RefusedError("expiry_in_past")
        if request.stop % rules.tick:
            raise RefusedError("invalid_tick")
        if reached(request, reference):
            raise RefusedError("stop_price_reached")
        check_steps(rules, request)
        if request.price:
            check_band(rules, request.price, request.stop)
        check_size(rules, request, request.stop)

    def _settle(self, book: Book) -> None:
        while True:
            self._fill_crossed(book)
            waiting = [order for order in self.resting if order.waits and order.market == book.rules.symbol]
            hit = [order for order in waiting if reached(order.request, book.reference)]
            if not hit:
                return
            # A fall reaches the highest stop price first, a rise the lowest.
            falls = [order for order in hit if not waits_for_a_rise(order.request)]
            falls.sort(key=lambda order: (-order.request.stop, order.number))
            rises = [order for order in hit if waits_for_a_rise(order.request)]
            rises.sort(key=lambda order: (order.request.stop, order.number))
            self._fire(book, (falls + rises)[0])

    def _fire(self, book: Book, order: Resting) -> None:
        request = order.request
        try:
            if order.price:
                worst = self._own_limit(book, replace(request, price=order.price))
            else:
                worst = self._market_limit(book, request)
                if order.worst:
                    worst = min(worst, order.worst)
            order.waits = False
            left = replace(request, price=order.price, quantity=order.quantity)
            self.resting = [other for other in self.resting if other is not order]
            self._meet(book, order, left, worst, again=True)
        except RefusedError as refusal:
            self._close(order, "rejected", str(refusal))

    def amend(self, user: str, number: int, price: Decimal, quantity: Decimal) -> None:
        mine = [order for order in self.resting if order.number == number and order.user == user]
        if not mine:
            raise RefusedError("order_not_open")
        (order,) = mine
        book = self._open_book(order.market)
        if (price and not order.price) or (quantity and not order.quantity) or not (price or quantity):
            raise RefusedError("invalid_order")
        amended = replace(order, price=price or order.price, quantity=quantity or order.quantity)
        self._check_amended(book, order, amended)
        more = self._hold(amended) - self._hold(order)
        if more > 0 and more > self.available(user, self._held_asset(order)):
            raise RefusedError("insufficient_funds")
        leaves = not order.waits and (amended.price != order.price or amended.quantity > order.quantity)
        left = replace(order.request, price=amended.price, quantity=amended.quantity - order.filled)
        if leaves and order.request.post_only:
            offers = self._offers(book, order.side)
            if offers and worse_or_equal(order.side, offers[0][0], amended.price):
                raise RefusedError("post_only_would_take")
        if not leaves:
            order.price, order.quantity = amended.price, amended.quantity
            return
        # It meets the offers as they are shown, its old self among them, which `_meet` then takes away.
        plan = self._plan(book, left, amended.price, order.taker_fee)
        order.price, order.quantity = amended.price, amended.quantity
        self._meet(book, order, left, amended.price, again=True, planned=plan)

    def _check_amended(self, book: Book, order: Resting, amended: Resting) -> None:
        if amended.quantity and amended.quantity <= order.filled:
            raise RefusedError("amend_below_filled")
        measure = order.request.stop if order.waits else book.reference
        assert measure is not None
        whole = replace(order.request, price=amended.price, quantity=amended.quantity)
        check_steps(book.rules, whole)
        if amended.price != order.price:
            check_band(book.rules, amended.price, measure)
        check_size(book.rules, whole, measure)


def waits_for_a_rise(request: Request) -> bool:
    return (request.kind, request.side) in {("stop", "buy"), ("stop_limit", "buy"), ("take_profit", "sell")}


def reached(request: Request, reference: Decimal | None) -> bool:
    assert reference is not None
    return reference >= request.stop if waits_for_a_rise(request) else reference <= request.stop
