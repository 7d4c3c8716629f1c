"""What goes into a batch: what is due, what an earlier command left to do, ticks that matter, and who waits in line."""

from collections.abc import Callable

from chassis.errors import ServiceError

from trading.domain.commands import AmendOrder, Command, Continue, ExpireOrders, ExpireTransfers, PlaceOrder
from trading.domain.outcomes import Repeat
from trading.domain.queries import markets_to_continue, orders_are_due, transfers_are_due
from trading.sequencer.batch_work import BatchWork
from trading.sequencer.breakdown import CoreBroken, markets_to_stop
from trading.sequencer.crossings import Crossings
from trading.sequencer.errors import DeadlinePassed
from trading.sequencer.journal_time import JournalTime
from trading.sequencer.memory import Memory
from trading.sequencer.metrics import REFUSED_COMMANDS, REFUSED_TICKS
from trading.sequencer.open_batch import OpenBatch
from trading.sequencer.outcomes import committed_now
from trading.sequencer.reference_prices import ReferencePrices, adds_something
from trading.sequencer.repeats import Repeats
from trading.sequencer.tickets import Ticket, user_of
from trading.sequencer.waiting_line import WaitingLine

# Of one market's postponed work in a batch: some 500 triggers or 1,000 expiries, a tenth of a second. Where one tick or
# one moment reaches tens of thousands of orders, everybody else is served in between.
CONTINUED_BYTES_MAX = 128_000


class Filling:
    """Call it with each new batch. In a market, and of a user, nobody overtakes; elsewhere everybody else goes on."""

    def __init__(
        self,
        *,
        line: WaitingLine,
        crossings: Crossings,
        repeats: Repeats,
        prices: ReferencePrices,
        time: JournalTime,
        memory: Callable[[], Memory],
    ) -> None:
        self._line = line
        self._crossings = crossings
        self._repeats = repeats
        self._prices = prices
        self._time = time
        self._memory = memory
        self._state = memory().state  # the same one while a batch is filled

    def is_due(self, time_milliseconds: int) -> bool:
        """Whether a batch is needed by time alone."""
        state = self._memory().state
        return transfers_are_due(state, time_milliseconds) or orders_are_due(state, time_milliseconds)

    def is_unfinished(self, time_milliseconds: int) -> bool:
        """Whether the batch of that time left something for the next one."""
        waiting = len(self._line) + len(self._crossings)
        return waiting > 0 or bool(markets_to_continue(self._memory().state)) or self.is_due(time_milliseconds)

    def __call__(self, batch: OpenBatch, work: BatchWork) -> None:
        """Raises `CoreBroken`; who was taken by then is in `work`, everybody else in the line."""
        self._state = self._memory().state
        if transfers_are_due(self._state, batch.time_milliseconds):
            # A fault in the ledger is no single market's.
            self._run_own(batch, ExpireTransfers(), *self._state.markets)
        orders_due = orders_are_due(self._state, batch.time_milliseconds)
        for symbol in self._state.markets if orders_due else markets_to_continue(self._state):
            self._go_on(batch, symbol)
        for symbol in self._crossings.markets:
            while symbol in self._crossings and not batch.is_full and self._go_on(batch, symbol):
                self._run_own(batch, self._crossings.take(symbol), symbol)
        aside: list[Ticket] = []
        try:
            self._serve_the_line(batch, work, aside)
        finally:
            self._line.put_back(aside)

    def _serve_the_line(self, batch: OpenBatch, work: BatchWork, aside: list[Ticket]) -> None:
        users_aside: set[str] = set()
        while not batch.is_full:
            ticket = self._line.take()
            if ticket is None:
                return
            if 0 < ticket.deadline_milliseconds <= self._time.wall():
                work.taken.append(ticket)
                work.refused.append((ticket, DeadlinePassed()))
                continue
            # The user's own earlier command waits, or is being looked up: this one must not come before it.
            waits = bool(users_aside) and user_of(ticket.command) in users_aside
            if not waits and self._repeats.wait_behind(ticket):
                continue
            try:
                waits = waits or not self._execute(batch, ticket, work)
            except CoreBroken as broken:
                # It may have been what came before the command; whoever sent it hears of it all the same.
                broken.ticket = ticket
                raise
            if waits:
                aside.append(ticket)
                if user := user_of(ticket.command):
                    users_aside.add(user)

    def _execute(self, batch: OpenBatch, ticket: Ticket, work: BatchWork) -> bool:
        """False where its market still works on what came earlier: the ticket must wait, and nothing was done."""
        command = ticket.command
        symbol = self._market_of(command)
        if symbol and not self._go_on(batch, symbol):
            return False
        if self._repeats.must_be_looked_up(ticket):
            self._repeats.look_up(ticket, self._line)
            return True
        if symbol:
            self._enter_price(batch, symbol)
            if not self._go_on(batch, symbol):
                # The price has reached more orders than there is room for.
                return False
        work.taken.append(ticket)
        self._run(batch, ticket, work, symbol)
        return True

    def _run(self, batch: OpenBatch, ticket: Ticket, work: BatchWork, symbol: str) -> None:
        command = ticket.command
        try:
            outcome = batch.run(command)
            if isinstance(outcome, Repeat):
                work.repeats.append((ticket, outcome))
                return
            committed = committed_now(
                self._state, command, outcome, batch=batch.number, time_milliseconds=batch.time_milliseconds
            )
        except ServiceError as error:
            # Only markets that there are: a label must not hold what a caller wrote.
            REFUSED_COMMANDS.labels(symbol if symbol in self._state.markets else "", error.reason).inc()
            # Without its traceback, which holds this frame and so `work`: a cycle, with the whole batch in it.
            work.refused.append((ticket, error.with_traceback(None)))
        except Exception as error:
            raise CoreBroken(markets_to_stop(self._state, command), ticket) from error
        else:
            work.done.append((ticket, committed))

    def _go_on(self, batch: OpenBatch, symbol: str) -> bool:
        """Closes the market's orders whose moment has come, and works on what an earlier command postponed there; False
        while some of it is left.
        """
        market = self._state.markets.get(symbol)
        while market is not None:
            due = market.has_expiry_due(batch.time_milliseconds)
            if not due and not market.postponed:
                return True
            if batch.is_full or batch.continued.get(symbol, 0) >= CONTINUED_BYTES_MAX:
                return False
            size = batch.size
            self._run_own(batch, ExpireOrders(symbol) if due else Continue(symbol), symbol)
            batch.continued[symbol] = batch.continued.get(symbol, 0) + batch.size - size
        return True

    def _market_of(self, command: Command) -> str:
        """Where a command may trade: earlier ones must be done there, and the newest price known. Empty for others."""
        if isinstance(command, PlaceOrder):
            return command.market
        order = self._state.orders.get(command.order_id) if isinstance(command, AmendOrder) else None
        return "" if order is None else order.market

    def _enter_price(self, batch: OpenBatch, symbol: str) -> None:
        tick = self._prices.command(symbol, batch.time_milliseconds)
        market = self._state.markets.get(symbol)
        if tick is None or market is None or market.postponed:
            return
        if adds_something(tick, market.reference, batch.time_milliseconds):
            self._run_own(batch, self._prices.with_window(tick, market, batch.time_milliseconds), symbol)

    def _run_own(self, batch: OpenBatch, command: Command, *symbols: str) -> None:
        try:
            batch.run(command)
        except ServiceError as error:
            REFUSED_TICKS.labels(error.reason).inc()
        except Exception as error:
            raise CoreBroken(list(symbols), None) from error
