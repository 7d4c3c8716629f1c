"""`cryptovault exchange ...`: looks into the exchange's journal and puts its projection right, beside what runs."""

import asyncio
import sys
from collections.abc import Awaitable, Callable

import click
from chassis.cancellation import end_if_cancelled
from chassis.errors import Unavailable
from chassis.logs import configure_logging
from chassis.settings import MissingSetting, load_settings, refuse_to_start
from pymongo.errors import PyMongoError

from trading.command_line.explain_balance import explain_balance
from trading.command_line.explain_order import explain_order
from trading.command_line.open_exchange import OpenExchange, opened
from trading.command_line.rebuild import rebuild_projection
from trading.command_line.replay import replay_journal
from trading.command_line.report import Report
from trading.command_line.verify import verify_journal
from trading.domain.accounts import SYSTEM_OWNERS, user_of_owner
from trading.journal.batch import BrokenChain
from trading.journal.codec import UnknownEventType
from trading.journal.store import HistoryArchived, JournalUnreachable
from trading.sequencer.snapshots import SnapshotsUnreachable
from trading.settings import CommandLineSettings
from trading.storage.cursors import CursorMoved

EXIT_WRONG = 1  # looked, and found that something is not as it should be
EXIT_UNREACHABLE = 3  # could not look; 2 is click's, for wrong arguments, 78 the settings'
EXIT_BROKEN_OFF = 130  # by Ctrl-C, as shells tell it: nothing is known

_Work = Callable[[OpenExchange, Report], Awaitable[None]]
_as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output.")


@click.group()
def cryptovault() -> None:
    """Tools of CryptoVault's operators.

    They read the settings that the services read: CRYPTOVAULT_MONGO_URL, CRYPTOVAULT_JOURNAL_URL.
    """


@cryptovault.group()
def exchange() -> None:
    """The journal of the exchange, and what is made of it.

    Exit codes: 0 all is well, 1 something is wrong (it says what), 2 wrong arguments or no journal, 3 a server does not
    answer, 78 a setting is missing, 130 broken off by Ctrl-C. All but rebuild only read, and may run beside the
    exchange.
    """


@exchange.command()
@click.option("--to", "last", type=click.IntRange(min=1), help="Stop at this batch instead of the newest.")
@click.option("--from-snapshot", is_flag=True, help="Start from the newest good snapshot up to there.")
@_as_json
def replay(last: int | None, from_snapshot: bool, as_json: bool) -> None:  # noqa: FBT001 - click's way of passing
    """Fold the journal and print the state's hash.

    Two folds to one batch have one hash, whatever they started from and whichever release folded them.
    """
    _run(lambda opened, report: replay_journal(opened, report, last=last, from_snapshot=from_snapshot), as_json)


@exchange.command()
@_as_json
def verify(as_json: bool) -> None:  # noqa: FBT001
    """Check everything that can be checked.

    Digests and their chain, every decision made again where this release has the rules that made it, balances and
    invariants, each snapshot's hash, the projection's place and each of its rows.
    """
    _run(verify_journal, as_json)


@exchange.command()
@click.argument("subject", metavar="ORDER_ID|ACCOUNT")
@click.argument("asset", required=False)
@click.option("--newest", type=click.IntRange(min=1), default=100, show_default=True, help="Postings that are listed.")
@_as_json
def explain(subject: str, asset: str | None, newest: int, as_json: bool) -> None:  # noqa: FBT001
    """Tell the life of one order, or what a balance is made of.

    Of an order each event, when, in which batch, and who asked for it. Of an ACCOUNT (user:ID, fees, house, external,
    rounding) and an ASSET its postings with the sum after each, what holds of it, and whether it all adds up.
    """
    if asset is None and (subject in SYSTEM_OWNERS or user_of_owner(subject)):
        raise click.UsageError("An account's balance is in an asset: name it too, such as USD.")
    if asset is None:
        _run(lambda opened, report: explain_order(opened, report, subject), as_json)
    else:
        _run(lambda opened, report: explain_balance(opened, report, subject, asset, newest=newest), as_json)


@exchange.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--other-journal", is_flag=True, help="Also where the projection was made of another one: a restore.")
@_as_json
def rebuild(yes: bool, other_journal: bool, as_json: bool) -> None:  # noqa: FBT001
    """Build the projection anew from the journal, and exchange it for the one in use.

    The projector answers until the exchange. During it orders, events and the ledger are answered with 503; then it
    answers again, started anew by whoever watches it where it had ended. On MongoDB, which renames without copying,
    that is some seconds, on the local platform's server also two milliseconds for each row: 6 to 16 s with 4,000
    orders. A rebuild that was broken off is simply run again; of two at a time, the first one ends.
    """
    if not yes:
        click.confirm("Fold the whole journal into a new projection and drop the one in use?", abort=True, err=True)
    _run(lambda opened, report: rebuild_projection(opened, report, other_journal=other_journal), as_json)


def _run(work: _Work, as_json: bool) -> None:  # noqa: FBT001
    settings = load_settings(CommandLineSettings)
    configure_logging(settings, stream=sys.stderr)
    report = Report(as_json=as_json)

    async def main() -> None:
        try:
            async with opened(settings) as exchange:
                await work(exchange, report)
        except Exception:
            # Ctrl-C may come out of the driver as an error of its own.
            end_if_cancelled()
            raise

    try:
        asyncio.run(main())
    except MissingSetting as missing:
        refuse_to_start(str(missing))
    except (BrokenChain, UnknownEventType, HistoryArchived, CursorMoved) as error:
        report.wrong(str(error))
    except (JournalUnreachable, SnapshotsUnreachable, Unavailable, PyMongoError) as error:
        report.finish()
        click.echo(f"A server does not answer: {error.__cause__ or error}", err=True)
        raise SystemExit(EXIT_UNREACHABLE) from None
    except KeyboardInterrupt:
        click.echo("Broken off.", err=True)
        raise SystemExit(EXIT_BROKEN_OFF) from None
    report.finish()
    raise SystemExit(EXIT_WRONG if report.problems else 0)


if __name__ == "__main__":
    cryptovault()
