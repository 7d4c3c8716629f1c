"""`cryptovault exchange`, as an operator runs it: what all its commands have in common."""

import asyncio
import json
import os
import signal
import sys

import pytest
from traded_exchange import Ran, Traded, begun, contents, ended
from trading.command_line.report import Report
from trading.storage.journal import MongoJournal


async def test_of_a_database_without_a_journal_nothing_is_said_and_it_is_left_as_it_is(traded: Traded) -> None:
    """The tools may be of another release than what runs: its indexes are not theirs to make."""
    empty = traded.database.client["nothing_here"]
    for command in (("verify",), ("replay",), ("explain", traded.filled), ("explain", "fees", "USD")):
        ran = await traded.run(*command, CRYPTOVAULT_MONGO_DATABASE=empty.name)
        assert ran.exit_code == 2
        assert "The database nothing_here has no journal" in ran.complaint
        assert ran.output == ""
    assert await empty.list_collection_names() == []


async def test_history_whose_volume_is_gone_is_told_in_a_sentence(traded: Traded, mongo_journal: MongoJournal) -> None:
    await mongo_journal.leave_stubs([2], volume=2)
    for command in (("replay",), ("verify",), ("rebuild", "--yes")):
        ran = await traded.run(*command)
        assert ran.exit_code == 1
        assert "WRONG  What happened then is archived and cannot be read here." in ran.output
        assert "Traceback" not in ran.complaint


def test_of_many_problems_people_are_told_some_and_how_many_more_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    people, machines = Report(as_json=False), Report(as_json=True)
    for report in (people, machines):
        for number in range(60):
            report.wrong(f"{number} of them")
    people.finish()
    lines = capsys.readouterr().out.splitlines()
    assert (len(lines), lines[49], lines[50]) == (51, "WRONG  49 of them", "WRONG  and 10 more")
    machines.finish()
    assert len(json.loads(capsys.readouterr().out)["problems"]) == 60


async def test_exit_codes_tell_why_nothing_was_looked_at(traded: Traded) -> None:
    wrong, no_asset, unset, silent, unsure = await asyncio.gather(
        traded.run("replay", "--to", "zero"),
        traded.run("explain", "fees"),
        traded.run("replay", CRYPTOVAULT_MONGO_URL=""),
        traded.run("verify", CRYPTOVAULT_MONGO_URL="mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=200"),
        traded.run("rebuild"),
    )
    assert (wrong.exit_code, unset.exit_code, silent.exit_code, unsure.exit_code) == (2, 78, 3, 1)
    assert no_asset.exit_code == 2
    assert "in an asset" in no_asset.complaint
    assert "CRYPTOVAULT_MONGO_URL" in unset.complaint
    assert "does not answer" in silent.complaint


async def test_who_breaks_a_command_off_is_told_so_and_nothing_of_what_was_found() -> None:
    asked = asyncio.Event()

    async def never_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(never_answer, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    async with server:
        process = await begun("verify", "--json", CRYPTOVAULT_MONGO_URL=f"mongodb://{host}:{port}")
        await asked.wait()
        process.send_signal(signal.SIGINT)
        ran = await ended(process)
    assert (ran.exit_code, ran.output, ran.complaint) == (130, "", "Broken off.\n")


async def _run_changed(traded: Traded, change: str, *arguments: str) -> Ran:
    """`cryptovault exchange`, with what `change` does to it first."""
    program = f"import asyncio, os, signal\nfrom trading.command_line import main, open_exchange\n{change}\n"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", f"{program}main.cryptovault({['exchange', *arguments]})",
        env={**os.environ, **traded.environment}, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    return await ended(process)


BROKEN_OFF_IN_THE_DRIVER = """
from pymongo.errors import ServerSelectionTimeoutError

async def verify(exchange, report):
    os.kill(os.getpid(), signal.SIGINT)
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        raise ServerSelectionTimeoutError("no server") from None

main.verify_journal = verify
"""


async def test_ctrl_c_that_comes_out_of_the_driver_as_an_error_is_ctrl_c_still(traded: Traded) -> None:
    ran = await _run_changed(traded, BROKEN_OFF_IN_THE_DRIVER, "verify", "--json")
    assert (ran.exit_code, ran.output, ran.complaint) == (130, "", "Broken off.\n")


BROKEN_OFF_IN_A_FOLD = """
batches = open_exchange.OpenExchange.batches

async def and_break_off(self, after, last):
    async for batch in batches(self, after, last):
        if batch.number == 2:
            os.kill(os.getpid(), signal.SIGINT)
        yield batch

open_exchange.OpenExchange.batches = and_break_off
open_exchange.BATCHES_PER_READ = 1  # where another read follows
"""


@pytest.mark.parametrize("arguments", [("replay",), ("verify",), ("rebuild", "--yes")])
async def test_ctrl_c_while_a_batch_is_folded_breaks_off(traded: Traded, arguments: tuple[str, ...]) -> None:
    """Not in a wait: the next question to the database is answered so soon that the driver swallows it."""
    before = await contents(traded.database)
    ran = await _run_changed(traded, BROKEN_OFF_IN_A_FOLD, *arguments, "--json")
    assert (ran.exit_code, ran.output) == (130, "")
    assert ran.complaint.endswith("Broken off.\n")
    assert await contents(traded.database) == before


LOST_IN_A_TRANSACTION = """
from chassis.mongo import DatabaseUnavailable

async def verify(exchange, report):
    raise DatabaseUnavailable

main.verify_journal = verify
"""


async def test_a_database_that_is_lost_in_a_transaction_is_one_that_does_not_answer(traded: Traded) -> None:
    ran = await _run_changed(traded, LOST_IN_A_TRANSACTION, "verify")
    assert ran.exit_code == 3
    assert "A server does not answer" in ran.complaint
    assert "Traceback" not in ran.complaint
