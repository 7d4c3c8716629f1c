"""`cryptovault exchange explain ACCOUNT ASSET`: what a balance is made of, posting by posting, and what holds of it."""

from collections import deque

from trading.command_line.open_exchange import OpenExchange
from trading.command_line.report import Report
from trading.domain.amounts import format_amount
from trading.domain.ledger import holds_for
from trading.domain.moments import moment_text
from trading.domain.orders import Side
from trading.domain.state import ExchangeState, Limits
from trading.journal.codec import decode_body
from trading.journal.postings import AccountLine, account_lines
from trading.sequencer.memory import Memory


async def explain_balance(exchange: OpenExchange, report: Report, account: str, asset: str, *, newest: int) -> None:
    """Of any account, a system's too (`fees`, `house`, `user:<id>`); the last `newest` postings are listed.

    Raises `BrokenChain`, `UnknownEventType`, `JournalUnreachable`, `UsageError` where there is no journal at all.
    """
    head = await exchange.head()
    memory = Memory(Limits())
    total = count = 0
    lines: deque[tuple[AccountLine, int]] = deque(maxlen=newest)
    with report.progress("reading the journal", head) as progress:
        async for batch in exchange.batches(0, head):
            body = decode_body(batch.body)
            for _ in memory.steps(batch, body.events):
                pass
            for line in account_lines(
                body.entries, account, asset, batch=batch.number, time_milliseconds=batch.time_milliseconds
            ):
                total += line.amount
                count += 1
                lines.append((line, total))
            progress.update(1)
    _tell(report, memory.state, account, asset, total)
    if account not in memory.state.owners or asset not in memory.state.assets:
        return
    scale = memory.state.assets[asset].scale
    report.fact("postings", count)
    steps = [_step(line, after, scale) for line, after in lines]
    report.fact("newest_postings", steps)
    for step in steps:
        report.line(
            f"{step['time']}  batch {step['batch']:>8}  {step['kind']:<16} {step['amount']:>24} {step['total']:>24}"
            f"  {step['with']} {step['reference']} {step['user']} {step['request']}".rstrip()
        )


def _tell(report: Report, state: ExchangeState, account: str, asset: str, total: int) -> None:
    report.fact("account", account)
    report.fact("asset", asset)
    owner = state.owners.get(account)
    if owner is None or asset not in state.assets:
        report.wrong(f"the journal has no account {account} in {asset}")
        return
    scale = state.assets[asset].scale
    balance = owner.accounts.get(asset)
    available, held = (balance.available, balance.held) if balance is not None else (0, 0)
    report.fact("available", format_amount(available, scale))
    report.fact("held", format_amount(held, scale))
    report.fact("sum_of_postings", format_amount(total, scale))
    if total != available + held:
        report.wrong(f"the postings sum to {format_amount(total, scale)}, the account has another sum")
    holds = _holds(state, account, asset)
    report.fact("holds", [{"by": by, "amount": format_amount(amount, scale)} for by, amount in holds.items()])
    for by, amount in holds.items():
        report.line(f"held by {by}: {format_amount(amount, scale)}")
    if sum(holds.values()) != held:
        report.wrong(f"{format_amount(sum(holds.values()), scale)} is held by open orders and pending transfers")


def _holds(state: ExchangeState, account: str, asset: str) -> dict[str, int]:
    """By what holds it: an open order's id, a pending transfer's business key."""
    found: dict[str, int] = {}
    owner = state.owners[account]
    for order in owner.orders.values():
        market = state.markets[order.market].market
        if asset == (market.quote if order.side is Side.BUY else market.base):
            found[f"order {order.order_id}"] = order.hold
    for key, pending in owner.pending.items():
        amount = sum(
            hold.amount for hold in holds_for(pending.postings) if (hold.owner, hold.asset) == (account, asset)
        )
        if amount:
            found[f"transfer {key}"] = amount
    return found


def _step(line: AccountLine, total: int, scale: int) -> dict[str, str]:
    return {
        "time": moment_text(line.time_milliseconds),
        "batch": str(line.batch),
        "kind": line.kind,
        "amount": format_amount(line.amount, scale),
        "total": format_amount(total, scale),
        "with": ",".join(line.counterparties),
        "reference": line.reference,
        "user": line.actor.user_id if line.actor is not None else "",
        "request": line.actor.request_id if line.actor is not None else "",
    }
