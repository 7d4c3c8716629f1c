"""What happens when something that cannot happen did (M24: unsure means stop)."""

from dataclasses import replace

from chassis.errors import MustEnd
from chassis.logs import get_logger

from trading.domain.commands import (
    Actor,
    AmendOrder,
    CancelAll,
    CancelOrder,
    Command,
    Continue,
    ExpireOrders,
    PlaceOrder,
    ResumeMarket,
    SetMarket,
    SetReferencePrice,
)
from trading.domain.markets import Market, MarketStatus
from trading.domain.state import ExchangeState
from trading.sequencer.tickets import Committed, Ticket

log = get_logger(__name__)


class CoreBroken(Exception):
    """A command made the core fail with something other than a refusal: memory must be folded anew."""

    def __init__(self, markets: list[str], ticket: Ticket | None) -> None:
        super().__init__(f"core broken in {', '.join(markets)}")
        self.markets = markets
        self.ticket = ticket
        self.bystanders: list[Ticket] = []  # tickets of the same batch: nothing of it happened, they are run again


class Deposed(MustEnd):
    """A batch with a higher epoch has our number: another process leads."""

    def __init__(self, *, batch: int, epoch: int) -> None:
        super().__init__(f"another process leads: batch {batch} belongs to epoch {epoch}")


def markets_to_stop(state: ExchangeState, command: Command) -> list[str]:
    """The market the command was about; all of them where that cannot be told."""
    symbol = ""
    if isinstance(command, PlaceOrder | CancelAll | SetReferencePrice | Continue | ExpireOrders | ResumeMarket):
        symbol = command.market
    elif isinstance(command, SetMarket):
        symbol = command.market.symbol
    elif isinstance(command, AmendOrder | CancelOrder) and command.order_id in state.orders:
        symbol = state.orders[command.order_id].market
    return [symbol] if symbol in state.markets else list(state.markets)


class _OwnTicket:
    """A command that nobody waits for."""

    def __init__(self, command: Command) -> None:
        self.command = command
        self.deadline_milliseconds = 0
        self.cleared_batch = -1

    def prepare(self, outcome: Committed) -> None:
        pass

    def answer(self) -> None:
        log.warning("Market stopped", event="market_stopped", command=type(self.command).__name__)

    def refuse(self, error: BaseException) -> None:
        log.error("Market could not be stopped", event="market_stop_refused", problem=str(error))


def stop_market(market: Market, actor: Actor) -> Ticket:
    """The command that lets nothing but cancels happen in the market until an operator has looked."""
    stopped = replace(market, status=MarketStatus.CANCEL_ONLY) if market.status is MarketStatus.TRADING else market
    return _OwnTicket(SetMarket(actor, stopped, "an assertion failed"))
