"""A second exchange, written to be obviously right rather than fast: decimals, plain lists, everything searched anew.

It shares no code with the core: no scaled integers, no book structure, no events. It knows nothing of postponed work.
Orders that wait, expire or are amended are in `reference_orders.py`.
"""

from decimal import Decimal

from reference_checks import check_band, check_size, check_steps, fresh
from reference_records import (
    MINOR,
    ZERO,
    Book,
    Closing,
    Plan,
    RefusedError,
    Request,
    Resting,
    Rules,
    Trade,
    round_down,
    round_down_ratio,
    round_up,
    worse_or_equal,
)


class ReferenceEngine:
    def __init__(self, rules: list[Rules], open_orders_per_user: int) -> None:
        self.books = {rule.symbol: Book(rule) for rule in rules}
        self.open_orders_per_user = open_orders_per_user
        self.balances: dict[tuple[str, str], Decimal] = {}
        self.resting: list[Resting] = []
        self.trades: list[Trade] = []
        self.now = 0
        self.orders_placed = 0
        self.priority = 0
        self.closed: list[Closing] = []
        self.own_fees: dict[str, tuple[Decimal, Decimal]] = {}
        self.volumes: list[tuple[str, str, int, Decimal]] = []  # user, quote, day, notional

    def deposit(self, user: str, asset: str, amount: Decimal) -> None:
        self._move(user, asset, amount)
        self._move("external", asset, -amount)

    def held(self, user: str, asset: str) -> Decimal:
        mine = [order for order in self.resting if order.user == user and self._held_asset(order) == asset]
        return sum((self._hold(order) for order in mine), ZERO)

    def available(self, user: str, asset: str) -> Decimal:
        return self.balances.get((user, asset), ZERO) - self.held(user, asset)

    def book(self, market: str, side: str) -> list[tuple[Decimal, Decimal, str]]:
        return [(order.price, order.quantity - order.filled, order.user) for order in self._queue(market, side)]

    def cancel(self, user: str, number: int) -> None:
        mine = [order for order in self.resting if order.number == number and order.user == user]
        if not mine:
            raise RefusedError("order_not_open")
        if self.books[mine[0].market].status == "halted":
            raise RefusedError("market_halted")
        self._close(mine[0], "cancelled", "user")

    def cancel_all(self, user: str, market: str) -> None:
        if market and self.books[market].status == "halted":
            raise RefusedError("market_halted")
        for order in [*self.resting]:
            if order.user == user and market in {"", order.market} and self.books[order.market].status != "halted":
                self._close(order, "cancelled", "user")

    def _close(self, order: Resting, status: str, reason: str) -> None:
        self.resting = [other for other in self.resting if other is not order]
        self.closed.append((order.number, status, reason))

    def set_status(self, market: str, status: str) -> None:
        self.books[market].status = status

    def resume(self, market: str) -> None:
        book = self.books[market]
        book.paused_until = min(book.paused_until, self.now)

    def set_own_fees(self, user: str, fees: tuple[Decimal, Decimal] | None) -> None:
        if fees is None:
            self.own_fees.pop(user, None)
        else:
            self.own_fees[user] = fees

    def set_reference(
        self, market: str, price: Decimal, *, source_time: int, received_time: int, seen: list[Decimal]
    ) -> None:
        """`seen` are further prices within the circuit breaker's window."""
        book = self.books[market]
        others = [*seen]
        if book.reference is not None and book.received_time >= max(
            self.now - book.rules.jump_window, book.paused_until
        ):
            others.append(book.reference)
        jumped = any(abs(price - other) > other * book.rules.jump for other in others)
        was_trading = self._trading(book)
        if jumped and was_trading:
            book.paused_until = self.now + book.rules.pause
        book.reference, book.source_time, book.received_time = price, source_time, received_time
        if fresh(book, self.now) and self._trading(book):
            self._settle(book)

    def _settle(self, book: Book) -> None:
        """Whatever the new reference makes happen."""
        self._fill_crossed(book)

    def _fill_crossed(self, book: Book) -> None:
        market = book.rules.symbol
        for side, house_side in (("buy", "sell"), ("sell", "buy")):
            for order in self._queue(market, side):
                total = ZERO
                # What the house offers at the order's limit or better, taken level by level.
                for level_price, offered in self._ladder(book, house_side, clipped=False):
                    crosses = level_price <= order.price if side == "buy" else level_price >= order.price
                    if crosses:
                        total += offered
                quantity = min(total, order.quantity - order.filled)
                if quantity > 0:
                    self._trade(book, order.price, quantity, order, side, None)
                    self._use_house(book, house_side, quantity)
        self.resting = [order for order in self.resting if order.waits or order.filled < order.quantity]

    def place(self, request: Request) -> None:
        book = self._open_book(request.market)
        worst = self._check(book, request)
        order = self._order(request)
        self._meet(book, order, request, worst)

    def _open_book(self, market: str) -> Book:
        book = self.books[market]
        if book.status != "trading":
            raise RefusedError(f"market_{book.status}")
        if not self._trading(book):
            raise RefusedError("market_paused")
        return book

    def _order(self, request: Request) -> Resting:
        maker_fee, taker_fee = self.fees_of(request.user, self.books[request.market].rules)
        return Resting(
            self.orders_placed + 1, request.user, request.market, request.side, request.price, request.quantity,
            maker_fee, taker_fee, request, 0,
        )  # fmt: skip

    def _meet(
        self, book: Book, order: Resting, request: Request, worst: Decimal, *, again: bool = False,
        planned: Plan | None = None,
    ) -> None:  # fmt: skip
        """A new order, or `again` a known one, trades, and rests or ends. `request`: what is left of it."""
        plan, complete, own = planned or self._plan(book, request, worst, order.taker_fee)
        bought = sum((quantity for _, quantity, _ in plan), ZERO)
        spent = sum((price * quantity for price, quantity, _ in plan), ZERO)
        if request.time_in_force == "fok" and not complete:
            raise RefusedError("fill_or_kill_unfilled")
        if not request.price and not plan and not own:
            raise RefusedError("below_min_notional" if complete else "no_liquidity")
        rests = request.price > 0 and request.time_in_force in {"gtc", "gtd"} and not complete and not own
        if not again:
            if rests:
                self._check_room(request)
            self._check_funds(book.rules, request, order, bought, spent)
            self.orders_placed += 1
        self.priority += 1
        order.priority = self.priority
        # One that is already known leaves its place only now: it met the offers as they were shown.
        self.resting = [resting for resting in self.resting if resting is not order]
        for price, quantity, maker in plan:
            self._trade(book, price, quantity, maker, "sell" if request.side == "buy" else "buy", order)
            if maker is None:
                self._use_house(book, "sell" if request.side == "buy" else "buy", quantity)
        self.resting = [resting for resting in self.resting if resting.waits or resting.filled < resting.quantity]
        if rests:
            self.resting.append(order)
        elif own:
            self._close(order, "cancelled", "self_trade")
        elif not complete:
            self._close(order, "cancelled", "immediate_or_cancel" if request.price else "no_liquidity")

    def _check_room(self, request: Request) -> None:
        mine = [order for order in self.resting if order.user == request.user]
        here = [order for order in mine if order.market == request.market]
        if len(mine) >= self.open_orders_per_user or len(here) >= self.books[request.market].rules.open_orders:
            raise RefusedError("too_many_open_orders")

    def _check_funds(self, rules: Rules, request: Request, order: Resting, bought: Decimal, spent: Decimal) -> None:
        if request.side == "sell":
            required, asset = request.quantity or bought, rules.base
        elif request.quote_quantity:
            required, asset = request.quote_quantity, rules.quote
        elif request.kind == "limit":
            required, asset = self._hold(order), rules.quote
        else:
            required, asset = spent + round_up(spent * order.taker_fee, MINOR), rules.quote
        if required > self.available(request.user, asset):
            raise RefusedError("insufficient_funds")

    def fees_of(self, user: str, rules: Rules) -> tuple[Decimal, Decimal]:
        if user in self.own_fees:
            return self.own_fees[user]
        today = self.now // 86_400_000
        volume = sum(
            (
                notional
                for trader, quote, day, notional in self.volumes
                if trader == user and quote == rules.quote and today - 29 <= day <= today
            ),
            ZERO,
        )
        fees = (rules.maker_fee, rules.taker_fee)
        for least, maker, taker in rules.tiers:
            if volume >= least:
                fees = (maker, taker)
        return fees

    def _trading(self, book: Book) -> bool:
        return book.status == "trading" and self.now >= book.paused_until

    def _check(self, book: Book, request: Request) -> Decimal:
        if book.reference is None:
            raise RefusedError("stale_price")
        if request.expires and request.expires <= self.now:
            raise RefusedError("expiry_in_past")
        check_steps(book.rules, request)
        if request.price:
            check_band(book.rules, request.price, book.reference)
        check_size(book.rules, request, book.reference)
        return self._market_limit(book, request) if request.kind == "market" else self._own_limit(book, request)

    def _market_limit(self, book: Book, request: Request) -> Decimal:
        rules, reference = book.rules, book.reference
        if reference is None or not fresh(book, self.now):
            raise RefusedError("stale_price")
        if request.side == "buy":
            return round_down(reference * (1 + rules.slippage), rules.tick)
        return round_up(reference * (1 - rules.slippage), rules.tick)

    def _own_limit(self, book: Book, request: Request) -> Decimal:
        assert book.reference is not None
        check_band(book.rules, request.price, book.reference)
        if request.post_only:
            offers = self._offers(book, request.side)
            if offers and worse_or_equal(request.side, offers[0][0], request.price):
                raise RefusedError("post_only_would_take")
        return request.price

    def _plan(self, book: Book, request: Request, worst: Decimal, taker_fee: Decimal) -> Plan:
        """Fills, whether nothing is left to do, whether the next maker is the taker itself."""
        rules = book.rules
        plan: list[tuple[Decimal, Decimal, Resting | None]] = []
        spent = left = ZERO
        for price, offered, maker in self._offers(book, request.side):
            if not worse_or_equal(request.side, price, worst):
                return plan, False, False
            if maker is not None and maker.user == request.user:
                return plan, False, True
            if request.quantity:
                left = request.quantity - sum((quantity for _, quantity, _ in plan), ZERO)
            else:
                left = self._lots_for(rules, request, spent, price, taker_fee)
                if left == 0:
                    return plan, True, False
            quantity = min(left, offered)
            plan.append((price, quantity, maker))
            spent += price * quantity
            nothing_left = (
                quantity == left if request.quantity else self._lots_for(rules, request, spent, price, taker_fee) == 0
            )
            if nothing_left:
                return plan, True, False
        return plan, False, False

    def _lots_for(self, rules: Rules, request: Request, spent: Decimal, price: Decimal, taker_fee: Decimal) -> Decimal:
        """The most that the rest of the quote amount moves at this price, fee of the whole included for a buy."""

        def cost(quantity: Decimal) -> Decimal:
            notional = spent + quantity * price
            return notional + (round_up(notional * taker_fee, MINOR) if request.side == "buy" else ZERO)

        quantity = round_down_ratio(request.quote_quantity - spent, price, rules.lot)
        while quantity > 0 and cost(quantity) > request.quote_quantity:
            excess = cost(quantity) - request.quote_quantity
            quantity = max(ZERO, quantity - max(rules.lot, round_down_ratio(excess, 2 * price, rules.lot)))
        while cost(quantity + rules.lot) <= request.quote_quantity:
            quantity += rules.lot
        return quantity

    def _offers(self, book: Book, side: str) -> list[tuple[Decimal, Decimal, Resting | None]]:
        """All that a taker of that side could meet, best first; users before the house, older before younger."""
        maker_side = "sell" if side == "buy" else "buy"
        sign = 1 if side == "buy" else -1
        offers: list[tuple[Decimal, int, Decimal, Resting | None]] = [
            (sign * order.price, order.priority, order.quantity - order.filled, order)
            for order in self.resting
            if order.market == book.rules.symbol and order.side == maker_side and not order.waits
        ]
        if fresh(book, self.now) and self._trading(book):
            for level, (price, quantity) in enumerate(self._ladder(book, maker_side, clipped=True)):
                offers.append((sign * price, 10**9 + level, quantity, None))
        return [
            (sign * key, quantity, maker)
            for key, _, quantity, maker in sorted(offers, key=lambda offer: (offer[0], offer[1]))
        ]

    def _ladder(self, book: Book, side: str, *, clipped: bool) -> list[tuple[Decimal, Decimal]]:
        rules, reference = book.rules, book.reference
        assert reference is not None
        used = self._used(book, side)
        room = rules.inventory_limit + (book.position if side == "sell" else -book.position)
        opposite = self._queue(rules.symbol, "buy" if side == "sell" else "sell")
        ladder = []
        for level in range(rules.levels):
            gone = min(used, rules.level_quantity)
            used -= gone
            quantity = round_down(max(ZERO, min(rules.level_quantity - gone, room)), rules.lot)
            if quantity == 0:
                continue
            room -= quantity
            away = rules.half_spread + level * rules.step
            if side == "sell":
                price = round_up(reference * (1 + away), rules.tick)
                if clipped and opposite:
                    price = max(price, opposite[0].price + rules.tick)
            else:
                price = round_down(reference * (1 - away), rules.tick)
                if clipped and opposite:
                    price = min(price, opposite[0].price - rules.tick)
            if price > 0:
                ladder.append((price, quantity))
        return ladder

    def _queue(self, market: str, side: str) -> list[Resting]:
        orders = [
            order
            for order in self.resting
            if order.market == market and order.side == side and order.filled < order.quantity and not order.waits
        ]
        return sorted(orders, key=lambda order: (-order.price if side == "buy" else order.price, order.priority))

    def _used(self, book: Book, side: str) -> Decimal:
        refilled = round_down(book.rules.refill_per_second * (self.now - book.used_at[side]) / 1000, MINOR)
        return max(ZERO, book.used[side] - refilled)

    def _use_house(self, book: Book, side: str, quantity: Decimal) -> None:
        book.used[side] = self._used(book, side) + quantity
        book.used_at[side] = self.now
        book.position += quantity if side == "buy" else -quantity

    def _trade(  # noqa: PLR0917 - one line per trade reads like a table
        self,
        book: Book,
        price: Decimal,
        quantity: Decimal,
        maker: Resting | None,
        maker_side: str,
        taker: Resting | None,
    ) -> None:
        rules = book.rules
        notional = price * quantity
        sides: dict[str, tuple[str, Decimal]] = {}
        for order, side, makes in ((maker, maker_side, True), (taker, "sell" if maker_side == "buy" else "buy", False)):
            fee = ZERO
            if order is not None:
                rate = order.maker_fee if makes else order.taker_fee
                self.volumes.append((order.user, rules.quote, self.now // 86_400_000, notional))
                order.filled += quantity
                order.exact_fee += rate * notional
                fee = round_up(order.exact_fee, MINOR) - order.paid_fee
                order.paid_fee += fee
            sides[side] = (order.user if order is not None else "house", fee)
        (buyer, buyer_fee), (seller, seller_fee) = sides["buy"], sides["sell"]
        self._move(buyer, rules.base, quantity)
        self._move(seller, rules.base, -quantity)
        self._move(buyer, rules.quote, -notional - buyer_fee)
        self._move(seller, rules.quote, notional - seller_fee)
        self._move("fees", rules.quote, buyer_fee + seller_fee)
        self.trades.append((rules.symbol, price, quantity, buyer, buyer_fee, seller, seller_fee))

    def _hold(self, order: Resting) -> Decimal:
        left = order.quantity - order.filled
        if order.side == "sell":
            return left
        if not order.price:
            worst = order.worst * order.quantity
            return order.request.quote_quantity or worst + round_up(worst * order.taker_fee, MINOR)
        cost = order.price * left
        fee = round_up(order.exact_fee + cost * max(order.maker_fee, order.taker_fee), MINOR) - order.paid_fee
        return cost + fee

    def _held_asset(self, order: Resting) -> str:
        rules = self.books[order.market].rules
        return rules.quote if order.side == "buy" else rules.base

    def _move(self, owner: str, asset: str, amount: Decimal) -> None:
        self.balances[owner, asset] = self.balances.get((owner, asset), ZERO) + amount
