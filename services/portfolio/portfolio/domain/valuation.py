"""What holdings are worth now: balances, joined with prices and with what they cost."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from portfolio.domain.exact import PLACES, ZERO, minus, plus, rounded, share, times, total
from portfolio.domain.holdings import CASH, Holdings

_HUNDREDTHS_OF_PERCENT = 10_000  # an allocation has two places, and all of them are 100.00


@dataclass(frozen=True, slots=True)
class Balance:
    asset: str
    available: Decimal
    held: Decimal

    @property
    def amount(self) -> Decimal:
        return plus(self.available, self.held)


@dataclass(frozen=True, slots=True)
class Balances:
    """All of one user's, as of the newest batch that touched him; 0 where none did."""

    batch: int
    balances: tuple[Balance, ...]


@dataclass(frozen=True, slots=True)
class Quote:
    """USD per unit, and when that was so."""

    price: Decimal
    time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """Values in USD. Without a price there is no value and no profit; without a known cost no cost and no profit."""

    symbol: str
    name: str
    amount: Decimal
    available: Decimal
    held: Decimal
    price: Decimal | None
    value: Decimal | None
    allocation: Decimal
    average_cost: Decimal | None
    unrealized_pnl: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Portfolio:
    """`total_value` is the sum of the values shown; `as_of` the time at which all of it was so."""

    holdings: tuple[Holding, ...]
    total_value: Decimal
    cash: Decimal
    realized_pnl: Decimal
    as_of: datetime
    batch: int
    behind: bool


def value_portfolio(
    balances: Balances,
    folded: Holdings,
    *,
    quotes: Mapping[str, Quote],
    names: Mapping[str, str],
    now: datetime,
    behind: bool,
) -> Portfolio:
    """Holdings of any amount, the most valuable first. `quotes` needs no USD: a dollar is a dollar."""
    held = [balance for balance in balances.balances if balance.amount]
    priced = {
        balance.asset: Quote(Decimal(1), now) if balance.asset == CASH else quotes.get(balance.asset)
        for balance in held
    }
    values = {
        balance.asset: rounded(times(balance.amount, quote.price))
        for balance in held
        if (quote := priced[balance.asset]) is not None
    }
    allocations = allocate(values)
    holdings = [
        _holding(
            balance,
            folded,
            name=names.get(balance.asset, balance.asset),
            quote=priced[balance.asset],
            value=values.get(balance.asset),
            allocation=allocations.get(balance.asset, ZERO),
        )
        for balance in held
    ]
    holdings.sort(key=lambda holding: (-(holding.value or ZERO), holding.symbol))
    return Portfolio(
        holdings=tuple(holdings),
        total_value=total(values.values()),
        cash=total(balance.amount for balance in held if balance.asset == CASH),
        realized_pnl=folded.realized,
        as_of=_oldest(priced.values(), now),
        batch=balances.batch,
        behind=behind,
    )


def allocate(values: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Each value's percentage of all, two places, summing to exactly 100.00 (largest remainder); all 0 of nothing."""
    minor = {symbol: int(value.scaleb(PLACES)) for symbol, value in values.items()}
    whole = sum(minor.values())
    if whole == 0:
        return dict.fromkeys(minor, ZERO)
    parts = {symbol: divmod(value * _HUNDREDTHS_OF_PERCENT, whole) for symbol, value in minor.items()}
    missing = _HUNDREDTHS_OF_PERCENT - sum(units for units, _ in parts.values())
    # The symbol breaks ties, so that two reads of the same state say the same.
    by_remainder: Sequence[str] = sorted(parts, key=lambda symbol: (-parts[symbol][1], symbol))
    favoured = frozenset(by_remainder[:missing])
    return {symbol: Decimal(units + (symbol in favoured)).scaleb(-2) for symbol, (units, _) in parts.items()}


def _holding(
    balance: Balance,
    folded: Holdings,
    *,
    name: str,
    quote: Quote | None,
    value: Decimal | None,
    allocation: Decimal,
) -> Holding:
    position = folded.position(balance.asset)
    # While the fold is behind, its quantity is not the balance; the average is the best there is.
    cost = share(position.cost, balance.amount, position.quantity) if position.quantity else None
    return Holding(
        symbol=balance.asset,
        name=name,
        amount=balance.amount,
        available=balance.available,
        held=balance.held,
        price=None if quote is None else quote.price,
        value=value,
        allocation=allocation,
        average_cost=position.average_cost,
        unrealized_pnl=None if value is None or cost is None else minus(value, cost),
    )


def _oldest(quotes: Iterable[Quote | None], now: datetime) -> datetime:
    return min((quote.time for quote in quotes if quote is not None), default=now)
