"""A small exchange for tests: two markets, a short house ladder, a few users with money."""

from collections.abc import Sequence
from dataclasses import replace

from trading.domain.accounts import Posting
from trading.domain.commands import (
    Actor,
    Command,
    PlaceOrder,
    SetAsset,
    SetMarket,
    SetReferencePrice,
    StartBatch,
    Transfer,
)
from trading.domain.events import Event, Traded
from trading.domain.exchange import Exchange
from trading.domain.history import History
from trading.domain.invariants import check_all
from trading.domain.markets import Asset, HouseQuoting, Market, MarketStatus, PriceSource
from trading.domain.orders import OrderType, Side, TimeInForce
from trading.domain.outcomes import Decision, Repeat
from trading.domain.state import Limits

UNIT = 10**8
OPERATOR = Actor("operator", "session-of-operator", "request-0")
USD, COIN, DUST = Asset("USD", "US Dollar", 8), Asset("COIN", "Coin", 8), Asset("DUST", "Dust", 8)

COIN_USD = Market(
    base="COIN",
    quote="USD",
    base_scale=8,
    quote_scale=8,
    status=MarketStatus.TRADING,
    tick=UNIT // 10,
    lot=UNIT // 1000,
    minimum_notional=UNIT,
    maximum_quantity=50 * UNIT,
    maker_fee_basis_points=10,
    taker_fee_basis_points=20,
    price_band_basis_points=1_000,
    slippage_cap_basis_points=200,
    sources=(PriceSource("simulator", 3_000), PriceSource("coingecko", 120_000, 20)),
    house=HouseQuoting(
        levels=3,
        half_spread_basis_points=20,
        step_basis_points=20,
        level_quantity=2 * UNIT,
        inventory_limit=15 * UNIT,
        refill_per_second=UNIT // 2,
    ),
)
# The finest units there are: tick x lot is one minor unit, so fees round at every fill.
DUST_USD = replace(
    COIN_USD,
    base="DUST",
    tick=UNIT // 100_000,
    lot=UNIT // 1000,
    minimum_notional=UNIT // 100,
    maker_fee_basis_points=7,
    taker_fee_basis_points=13,
)


def actor(user: str) -> Actor:
    return Actor(user, f"session-of-{user}", "request-1")


def units(text: str) -> int:
    """`"1.5"` coins or dollars in minor units."""
    whole, _, fraction = text.partition(".")
    return int(whole + fraction.ljust(8, "0"))


def trades(events: Sequence[Event]) -> list[Traded]:
    return [event for event in events if isinstance(event, Traded)]


class Bench:
    """An exchange under test: opens batches, collects events, checks every invariant after each command if asked."""

    def __init__(
        self, *, limits: Limits | None = None, users: tuple[str, ...] = ("alice", "bob"), check: bool = True
    ) -> None:
        self.exchange = Exchange(limits=limits)
        self.history = History()
        self.events: list[Event] = []
        self.check = check
        self.now = 1_000_000
        self.batch()
        for asset in (USD, COIN, DUST):
            self.do(SetAsset(OPERATOR, asset, "start"))
        for market in (COIN_USD, DUST_USD):
            self.do(SetMarket(OPERATOR, market, "start"))
        for user in users:
            for code, amount in (("USD", 10_000), ("COIN", 100), ("DUST", 10_000)):
                self.deposit(user, code, amount * UNIT)

    def batch(self, after_milliseconds: int = 0) -> None:
        self.now += after_milliseconds
        self.do(StartBatch(self.exchange.state.batch_number + 1, self.now))

    def deposit(self, user: str, asset: str, amount: int) -> None:
        postings = (Posting("external", asset, -amount), Posting(f"user:{user}", asset, amount))
        self.do(Transfer(OPERATOR, f"deposit:{user}:{asset}:{len(self.events)}", "deposit", postings))

    def reference(self, price: str, market: str = "COIN-USD", source: str = "simulator") -> list[Event]:
        return self.done(SetReferencePrice(market, units(price), source, self.now, self.now))

    def limit(self, user: str, side: Side, quantity: str, price: str, **more: object) -> PlaceOrder:
        values = {"time_in_force": TimeInForce.GTC, "market": "COIN-USD", **more}
        return PlaceOrder(
            actor=actor(user), side=side, order_type=OrderType.LIMIT, quantity=units(quantity), price=units(price),
            **values,  # type: ignore[arg-type]
        )  # fmt: skip

    def market(self, user: str, side: Side, **more: object) -> PlaceOrder:
        values = {"time_in_force": TimeInForce.IOC, "market": "COIN-USD", **more}
        return PlaceOrder(actor=actor(user), side=side, order_type=OrderType.MARKET, **values)  # type: ignore[arg-type]

    def done(self, command: Command) -> list[Event]:
        """The events of a command that must not be a repeat."""
        outcome = self.do(command)
        assert not isinstance(outcome, Repeat)
        return outcome

    def do(self, command: Command) -> Decision:
        outcome = self.exchange.execute(command)
        if not isinstance(outcome, Repeat):
            self.events += outcome
            for event in outcome:
                self.history.feed(event)
            self.history.end_command(postponed=any(market.postponed for market in self.exchange.state.markets.values()))
        if self.check:
            self.assert_sound()
        return outcome

    def assert_sound(self) -> None:
        assert check_all(self.exchange.state) == []
        assert self.history.compare(self.exchange.state) == []

    def money(self, user: str, asset: str) -> tuple[int, int]:
        """(available, held)."""
        account = self.exchange.state.owners[f"user:{user}"].accounts[asset]
        return account.available, account.held
