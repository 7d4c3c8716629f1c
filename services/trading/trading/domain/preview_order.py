"""What an order would do if it came now. Nothing is placed, no key is used."""

from typing import NamedTuple

from trading.domain.accounts import owner_of_user
from trading.domain.commands import PlaceOrder
from trading.domain.errors import ClientOrderIdReused
from trading.domain.events import Event
from trading.domain.ledger import holds_of, postings_of
from trading.domain.outcomes import Repeat
from trading.domain.place_order import place_order
from trading.domain.queries import Balance, balance
from trading.domain.state import ExchangeState


class Preview(NamedTuple):
    """`events` are those of the order itself; what its further work would bring, beyond the limit of fills of one
    command, is not in them. `balances` are the user's in the market's two assets, as they would be after them.
    """

    events: list[Event]
    balances: tuple[Balance, Balance]


def preview_order(state: ExchangeState, command: PlaceOrder) -> Preview:
    """The same checks as for the order, in the same order, and the same refusals. The state stays as it is."""
    outcome = place_order(state, command._replace(idempotency_key=""))
    if isinstance(outcome, Repeat):
        raise ClientOrderIdReused(client_order_id=command.client_order_id, order_id=outcome.order_ids[0])
    market = state.markets[command.market].market
    base, quote = (_after(state, command.actor.user_id, asset, outcome) for asset in (market.base, market.quote))
    return Preview(outcome, (base, quote))


def _after(state: ExchangeState, user_id: str, asset: str, events: list[Event]) -> Balance:
    _, available, held = balance(state, user_id, asset)
    mine = (owner_of_user(user_id), asset)
    for event in events:
        available += sum(amount for owner, moved, amount in postings_of(event) if (owner, moved) == mine)
        for owner, moved, amount in holds_of(event):
            if (owner, moved) == mine:
                available -= amount
                held += amount
    return Balance(asset, available, held)
