"""A second exchange, written to be obviously right rather than fast: decimals, plain lists, everything searched anew.

It shares no code with the core: no scaled integers, no book structure, no events. It knows nothing of postponed work.
"""

from dataclasses import dataclass, field
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow

EXACT = Context(prec=80, traps=[Inexact, InvalidOperation, Overflow])
MINOR = Decimal("0.00000001")
ZERO = Decimal(0)


@dataclass
class Rules:
    symbol: str
    base: str
    quote: str
    tick: Decimal
    lot: Decimal
    minimum_notional: Decimal
    maximum_quantity: Decimal
    maker_fee: Decimal  # shares, not basis points
    taker_fee: Decimal
    band: Decimal
    slippage: Decimal
    levels: int
    half_spread: Decimal
    step: Decimal
    level_quantity: Decimal
    inventory_limit: Decimal
    refill_per_second: Decimal
    source_age: int
    silence: int
    open_orders: int
    tiers: list[tuple[Decimal, Decimal, Decimal]]  # volume from, maker's and taker's share
    jump: Decimal  # a share; the circuit breaker's
    jump_window: int
    pause: int


@dataclass
class Resting:
    number: int
    user: str
    market: str
    side: str
    price: Decimal
    quantity: Decimal
    maker_fee: Decimal  # the shares of the moment when it was placed
    taker_fee: Decimal
    filled: Decimal = ZERO
    exact_fee: Decimal = ZERO
    paid_fee: Decimal = ZERO


@dataclass
class Book:
    rules: Rules
    reference: Decimal | None = None
    source_time: int = 0
    received_time: int = 0
    used: dict[str, Decimal] = field(default_factory=lambda: {"buy": ZERO, "sell": ZERO})
    used_at: dict[str, int] = field(default_factory=lambda: {"buy": 0, "sell": 0})
    position: Decimal = ZERO
    status: str = "trading"
    paused_until: int = 0


@dataclass
class Request:
    user: str
    market: str
    side: str
    kind: str
    time_in_force: str
    quantity: Decimal = ZERO
    quote_quantity: Decimal = ZERO
    price: Decimal = ZERO
    post_only: bool = False


# market, price, quantity, buyer, buyer's fee, seller, seller's fee
Trade = tuple[str, Decimal, Decimal, str, Decimal, str, Decimal]


class RefusedError(Exception):
    pass


class ReferenceEngine:
    def __init__(self, rules: list[Rules], open_orders_per_user: int) -> None:
        self.books = {rule.symbol: Book(rule) for rule in rules}
        self.open_orders_per_user = open_orders_per_user
        self.balances: dict[tuple[str, str], Decimal] = {}
        self.resting: list[Resting] = []
        self.trades: list[Trade] = []
        self.now = 0
        self.orders_placed = 0
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
        self.resting.remove(mine[0])

    def cancel_all(self, user: str, market: str) -> None:
        if market and self.books[market].status == "halted":
            raise RefusedError("market_halted")
        self.resting = [
            order
            for order in self.resting
            if order.user != user or market not in {"", order.market} or self.books[order.market].status == "halted"
        ]

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
        if not self._fresh(book) or not self._trading(book):
            return
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
        self.resting = [order for order in self.resting if order.filled < order.quantity]

    def place(self, request: Request) -> None:
        book = self.books[request.market]
        if book.status != "trading":
            raise RefusedError(f"market_{book.status}")
        if not self._trading(book):
            raise RefusedError("market_paused")
        worst = self._check(book, request)
        plan, complete, own = self._plan(book, request, worst)
        bought = sum((quantity for _, quantity, _ in plan), ZERO)
        spent = sum((price * quantity for price, quantity, _ in plan), ZERO)
        if request.time_in_force == "fok" and not complete:
            raise RefusedError("fill_or_kill_unfilled")
        if request.kind == "market" and not plan and not own:
            raise RefusedError("below_min_notional" if complete else "no_liquidity")
        rests = request.time_in_force == "gtc" and not complete and not own
        mine = [order for order in self.resting if order.user == request.user]
        here = [order for order in mine if order.market == request.market]
        if rests and (len(mine) >= self.open_orders_per_user or len(here) >= book.rules.open_orders):
            raise RefusedError("too_many_open_orders")
        maker_fee, taker_fee = self.fees_of(request.user, book.rules)
        order = Resting(
            self.orders_placed + 1,
            request.user,
            request.market,
            request.side,
            request.price,
            request.quantity,
            maker_fee,
            taker_fee,
        )
        self._check_funds(book.rules, request, order, bought, spent)
        self.orders_placed += 1
        for price, quantity, maker in plan:
            self._trade(book, price, quantity, maker, "sell" if request.side == "buy" else "buy", order)
            if maker is None:
                self._use_house(book, "sell" if request.side == "buy" else "buy", quantity)
        self.resting = [resting for resting in self.resting if resting.filled < resting.quantity]
        if rests:
            self.resting.append(order)

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
        rules, reference = book.rules, book.reference
        if reference is None:
            raise RefusedError("stale_price")
        if request.price % rules.tick:
            raise RefusedError("invalid_tick")
        if request.quantity % rules.lot:
            raise RefusedError("invalid_lot")
        if max(request.quantity * reference, request.quote_quantity) > rules.maximum_quantity * reference:
            raise RefusedError("above_max_quantity")
        if (request.quote_quantity or request.quantity * (request.price or reference)) < rules.minimum_notional:
            raise RefusedError("below_min_notional")
        return self._market_limit(book, request) if request.kind == "market" else self._own_limit(book, request)

    def _market_limit(self, book: Book, request: Request) -> Decimal:
        rules, reference = book.rules, book.reference
        if reference is None or not self._fresh(book):
            raise RefusedError("stale_price")
        if request.side == "buy":
            return round_down(reference * (1 + rules.slippage), rules.tick)
        return round_up(reference * (1 - rules.slippage), rules.tick)

    def _own_limit(self, book: Book, request: Request) -> Decimal:
        assert book.reference is not None
        if abs(request.price - book.reference) > book.reference * book.rules.band:
            raise RefusedError("price_band")
        if request.post_only:
            offers = self._offers(book, request.side)
            if offers and worse_or_equal(request.side, offers[0][0], request.price):
                raise RefusedError("post_only_would_take")
        return request.price

    def _plan(
        self, book: Book, request: Request, worst: Decimal
    ) -> tuple[list[tuple[Decimal, Decimal, Resting | None]], bool, bool]:
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
                left = self._lots_for(rules, request, spent, price)
                if left == 0:
                    return plan, True, False
            quantity = min(left, offered)
            plan.append((price, quantity, maker))
            spent += price * quantity
            nothing_left = quantity == left if request.quantity else self._lots_for(rules, request, spent, price) == 0
            if nothing_left:
                return plan, True, False
        return plan, False, False

    def _lots_for(self, rules: Rules, request: Request, spent: Decimal, price: Decimal) -> Decimal:
        """The most that the rest of the quote amount moves at this price, fee of the whole included for a buy."""

        _, taker_fee = self.fees_of(request.user, rules)

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
            (sign * order.price, order.number, order.quantity - order.filled, order)
            for order in self.resting
            if order.market == book.rules.symbol and order.side == maker_side
        ]
        if self._fresh(book) and self._trading(book):
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
            if order.market == market and order.side == side and order.filled < order.quantity
        ]
        return sorted(orders, key=lambda order: (-order.price if side == "buy" else order.price, order.number))

    def _fresh(self, book: Book) -> bool:
        return (
            book.reference is not None
            and self.now - book.received_time <= book.rules.silence
            and self.now - book.source_time <= book.rules.source_age
        )

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
        cost = order.price * left
        fee = round_up(order.exact_fee + cost * max(order.maker_fee, order.taker_fee), MINOR) - order.paid_fee
        return cost + fee

    def _held_asset(self, order: Resting) -> str:
        rules = self.books[order.market].rules
        return rules.quote if order.side == "buy" else rules.base

    def _move(self, owner: str, asset: str, amount: Decimal) -> None:
        self.balances[owner, asset] = self.balances.get((owner, asset), ZERO) + amount


def worse_or_equal(side: str, price: Decimal, limit: Decimal) -> bool:
    """Whether a taker with that limit accepts the price."""
    return price <= limit if side == "buy" else price >= limit


def round_down(value: Decimal, step: Decimal) -> Decimal:
    return value - value % step


def round_up(value: Decimal, step: Decimal) -> Decimal:
    return -round_down_towards_minus(-value, step)


def round_down_towards_minus(value: Decimal, step: Decimal) -> Decimal:
    rest = value % step
    return value - rest - (step if rest < 0 else ZERO)


def round_down_ratio(amount: Decimal, price: Decimal, lot: Decimal) -> Decimal:
    """The largest multiple of the lot worth at most `amount` at that price."""
    return (amount // (price * lot)) * lot
