"""One stream of orders for every engine that the bench compares: 60 % limit, 25 % cancel, 15 % market; 20 markets and
1,000 people. Prices are whole ticks and quantities whole lots of the exchange's own markets, so nobody has to convert.

Buyers and sellers are different people: an exchange must stop a trade with oneself, a bare book would make it, and the
engines would part.
"""

from collections.abc import Iterator
from random import Random
from typing import NamedTuple

from trading.domain.amounts import nearest_multiple
from trading.domain.default_markets import default_markets
from trading.domain.markets import BASIS_POINTS, Market

from tests.load.bare_book import BareBook, BareOrder

PEOPLE = 1_000
LIMIT_SHARE, CANCEL_SHARE = 0.60, 0.25
INSIDE_SHARE = 0.7  # limits that stand within the house's spread; the others lie behind it, where nobody comes
CROSSING_SHARE = 0.1  # limits that trade at once
REACH_BASIS_POINTS = 60
RESTING_PER_PERSON = 20  # open orders that are there before the stream begins: no exchange is empty
RESTING_REACH_BASIS_POINTS = 500
ORDER_WORTH = (20, 2_000)  # dollars
_DOLLAR = 10**8


class Step(NamedTuple):
    """`kind`: limit, market, cancel. `number` counts limits and markets from 1; a cancel names the one it ends."""

    kind: str
    number: int
    person: int
    market: int
    buys: bool
    price: int = 0
    quantity: int = 0


class Listed(NamedTuple):
    """A market and the price that it is traded around."""

    rules: Market
    reference: int


def listed_markets() -> list[Listed]:
    """The exchange's markets, each around the price that its rules are made for."""
    return [
        Listed(market, nearest_multiple(500_000 * _DOLLAR * market.base_unit // market.maximum_quantity, market.tick))
        for market in default_markets()
    ]


class MixedStream(NamedTuple):
    resting: list[Step]  # limits that trade with nobody
    steps: list[Step]


def mixed_stream(length: int, *, resting_per_person: int = RESTING_PER_PERSON, seed: int = 1) -> MixedStream:
    """Cancels name orders that are open in a bare book at that moment."""
    random, markets = Random(seed), listed_markets()
    resting = [_resting(number, random, markets) for number in range(1, PEOPLE * resting_per_person + 1)]
    return MixedStream(resting, list(_steps(length, random, markets, resting)))


def _resting(number: int, random: Random, markets: list[Listed]) -> Step:
    """On any tick, as people choose them; each person's are spread over the markets."""
    person, index = number % PEOPLE, number // PEOPLE % len(markets)
    listed, buys = markets[index], person % 2 == 1
    offset = (
        listed.reference
        * random.randint(REACH_BASIS_POINTS * 100, RESTING_REACH_BASIS_POINTS * 100)
        // (BASIS_POINTS * 100)
    )
    price = nearest_multiple(listed.reference - offset if buys else listed.reference + offset, listed.rules.tick)
    return Step("limit", number, person, index, buys, price, _quantity(random, listed))


def _quantity(random: Random, listed: Listed) -> int:
    worth = random.randint(*ORDER_WORTH) * _DOLLAR
    return nearest_multiple(worth * listed.rules.base_unit // listed.reference, listed.rules.lot)


def _steps(length: int, random: Random, markets: list[Listed], resting: list[Step]) -> Iterator[Step]:
    books = [BareBook() for _ in markets]
    for step in resting:
        books[step.market].limit(BareOrder(step.number, step.person, step.buys, step.price, step.quantity))
    open_orders = list(resting)
    number = len(resting)
    for _ in range(length):
        choice = random.random()
        if choice >= LIMIT_SHARE + (1 - LIMIT_SHARE - CANCEL_SHARE) and (
            found := _open_one(random, open_orders, books)
        ):
            books[found.market].cancel(found.number)
            yield found._replace(kind="cancel", price=0, quantity=0)
            continue
        number += 1
        index = random.randrange(len(markets))
        listed = markets[index]
        buys = random.random() < 0.5
        person = random.randrange(PEOPLE // 2) * 2 + buys
        quantity = _quantity(random, listed)
        if choice < LIMIT_SHARE:
            step = Step("limit", number, person, index, buys, _price(random, listed, buys=buys), quantity)
            books[index].limit(BareOrder(number, person, buys, step.price, quantity))
            if number in books[index].open:
                open_orders.append(step)
        else:
            step = Step("market", number, person, index, buys, 0, quantity)
            books[index].market(BareOrder(number, person, buys, 0, quantity))
        yield step


def _price(random: Random, listed: Listed, *, buys: bool) -> int:
    """On a grid of a quarter of a basis point, so that orders meet on the same levels."""
    spread = listed.rules.house.half_spread_basis_points
    if random.random() < CROSSING_SHARE:
        away = -random.uniform(0, spread)
    elif random.random() < INSIDE_SHARE:
        away = random.uniform(0, spread)
    else:
        away = random.uniform(spread, REACH_BASIS_POINTS)
    quarters = int(away * 4)
    offset = listed.reference * quarters // (4 * BASIS_POINTS)
    return nearest_multiple(listed.reference - offset if buys else listed.reference + offset, listed.rules.tick)


def _open_one(random: Random, open_orders: list[Step], books: list[BareBook]) -> Step | None:
    """Takes one that is still open out of the list; a random one, found in constant time."""
    while open_orders:
        index = random.randrange(len(open_orders))
        open_orders[index], open_orders[-1] = open_orders[-1], open_orders[index]
        step = open_orders.pop()
        if step.number in books[step.market].open:
            return step
    return None
