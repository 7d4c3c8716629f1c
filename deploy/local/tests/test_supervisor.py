import asyncio
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from chassis.testing import eventually
from local_stack.output import Console
from local_stack.ports import PortsTaken
from local_stack.process_plan import ProcessPlan
from local_stack.supervised_process import StartFailed, State
from local_stack.supervisor import Supervisor


async def test_a_process_starts_only_when_what_it_needs_serves(workshop: Any) -> None:
    leaf = workshop.plan("leaf", needs={"middle"})
    middle = workshop.plan("middle", "slow", needs={"root"})
    root = workshop.plan("root", "slow")
    async with workshop.running(leaf, middle, root) as supervisor:
        assert workshop.journal == [
            "started root",
            "serving root",
            "started middle",
            "serving middle",
            "started leaf",
            "serving leaf",
        ]
        assert [process.state for process in supervisor.processes.values()] == [State.READY] * 3


async def test_processes_that_need_nothing_of_each_other_start_together(workshop: Any) -> None:
    async with workshop.running(workshop.plan("one", "slow"), workshop.plan("two", "slow")):
        assert {*workshop.journal[:2]} == {"started one", "started two"}


async def test_the_leaf_stops_before_what_it_needs(workshop: Any) -> None:
    async with workshop.running(workshop.plan("root"), workshop.plan("leaf", needs={"root"})):
        pass
    assert workshop.journal[-2:] == ["stopping leaf", "stopping root"]


async def test_who_uses_another_starts_beside_it_and_stops_before_it(workshop: Any) -> None:
    user = workshop.plan("user", "slow", uses={"used"})
    async with workshop.running(workshop.plan("used", "slow"), user):
        assert {*workshop.journal[:2]} == {"started used", "started user"}
    assert workshop.journal[-2:] == ["stopping user", "stopping used"]


async def test_a_process_stands_back_as_far_as_its_plan_says(workshop: Any) -> None:
    meek = replace(workshop.plan("meek"), niceness=7)
    async with workshop.running(meek, workshop.plan("plain")) as supervisor:
        own = os.getpriority(os.PRIO_PROCESS, 0)

        def found() -> dict[str, int]:
            return {name: os.getpriority(os.PRIO_PROCESS, each.pid) for name, each in supervisor.processes.items()}

        await eventually(lambda: found() == {"meek": min(19, own + 7), "plain": own})


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="sessions are no scheduling groups here")
async def test_a_process_stands_back_for_other_sessions_too(workshop: Any) -> None:
    meek = replace(workshop.plan("meek"), niceness=7, interrupts=False)
    async with workshop.running(meek, workshop.plan("plain")) as supervisor:
        processes = supervisor.processes
        await eventually(lambda: _autogroup(processes["meek"].pid).endswith("nice 7"))
        assert os.sched_getscheduler(processes["meek"].pid) == os.SCHED_BATCH
        assert _autogroup(processes["plain"].pid).endswith("nice 0")
        assert os.sched_getscheduler(processes["plain"].pid) == os.SCHED_OTHER


def _autogroup(pid: int | None) -> str:
    return Path(f"/proc/{pid}/autogroup").read_text().strip()


async def test_a_process_that_never_serves_fails_the_start_and_nothing_is_left(workshop: Any) -> None:
    plan = workshop.plan("mute", "mute", ready_seconds=0.5)
    with pytest.raises(StartFailed, match=r"mute was not ready within 0 s(.|\n)*mute says hello"):
        async with workshop.running(plan):
            pass
    assert workshop.journal == ["started mute"]


async def test_a_process_that_dies_at_its_start_is_tried_three_times_and_its_output_shown(workshop: Any) -> None:
    with pytest.raises(StartFailed, match=r"dead ended with code 3(.|\n)*dead says hello"):
        async with workshop.running(workshop.plan("dead", "dies"), workshop.plan("user", needs={"dead"})):
            pass
    assert workshop.journal == ["started dead"] * 3


async def test_a_process_that_refuses_its_settings_is_not_tried_again(workshop: Any) -> None:
    with pytest.raises(StartFailed, match="code 78"):
        async with workshop.running(workshop.plan("picky", "misconfigured")):
            pass
    assert workshop.journal == ["started picky"]


async def test_a_program_that_is_not_there_fails_the_start(workshop: Any) -> None:
    missing = ProcessPlan(name="missing", argv=("/nowhere/at/all",), readiness=workshop.plan("x").readiness)
    with pytest.raises(StartFailed, match="missing"):
        async with workshop.running(missing):
            pass


async def test_a_killed_process_is_back_with_another_pid(workshop: Any) -> None:
    async with workshop.running(workshop.plan("phoenix")) as supervisor:
        phoenix = supervisor.processes["phoenix"]
        first = phoenix.pid
        await phoenix.kill()
        assert phoenix.state is State.RESTARTING
        await phoenix.wait_ready()
        assert phoenix.pid not in {None, first}
        assert phoenix.restarts == 1
        assert workshop.journal.count("serving phoenix") == 2


async def test_a_process_that_died_by_itself_is_restarted(workshop: Any) -> None:
    async with workshop.running(workshop.plan("phoenix")) as supervisor:
        phoenix = supervisor.processes["phoenix"]
        os.kill(phoenix.pid, signal.SIGSEGV)
        await eventually(lambda: phoenix.restarts == 1 and phoenix.state is State.READY)


async def test_settings_given_to_a_start_hold_for_one_life(workshop: Any) -> None:
    async with workshop.running(workshop.plan("parrot")) as supervisor:
        parrot = supervisor.processes["parrot"]
        await parrot.stop()
        await parrot.start(environment={"GREETING": "flowers"})
        await parrot.kill()
        await parrot.wait_ready()
    assert parrot.log_path.read_text().splitlines() == [
        "parrot says hello with nothing",
        "parrot says hello with flowers",
        "parrot says hello with nothing",
    ]


async def test_a_stopped_process_stays_stopped(workshop: Any) -> None:
    async with workshop.running(workshop.plan("sleeper")) as supervisor:
        await supervisor.processes["sleeper"].stop()
        assert supervisor.processes["sleeper"].state is State.STOPPED
        assert supervisor.processes["sleeper"].restarts == 0
        assert workshop.journal == ["started sleeper", "serving sleeper", "stopping sleeper"]


async def test_who_ignores_the_polite_signal_is_killed(workshop: Any, is_alive: Callable[[int], bool]) -> None:
    async with workshop.running(workshop.plan("deaf", "deaf", stop_seconds=0.3)) as supervisor:
        pid = supervisor.processes["deaf"].pid
    assert not is_alive(pid)


async def test_a_stop_leaves_no_descendant_wherever_it_hid(workshop: Any, is_alive: Callable[[int], bool]) -> None:
    async with workshop.running(workshop.plan("parent", "parent")):
        children = [int(pid) for pid in (workshop.folder / "journal.children").read_text().split()]
        assert [is_alive(pid) for pid in children] == [True] * 3
    await eventually(lambda: not any(is_alive(pid) for pid in children))


async def test_a_kill_takes_the_descendants_of_the_session_too(workshop: Any, is_alive: Callable[[int], bool]) -> None:
    async with workshop.running(workshop.plan("parent", "parent")) as supervisor:
        in_session, in_own_group, _left = (
            int(pid) for pid in (workshop.folder / "journal.children").read_text().split()
        )
        assert {in_session, in_own_group} < set(supervisor.processes["parent"].members())
        await supervisor.processes["parent"].kill()
        await eventually(lambda: not is_alive(in_session) and not is_alive(in_own_group))


async def test_a_taken_port_is_named_with_its_holder_before_anything_starts(workshop: Any) -> None:
    plan = workshop.plan("guest")
    supervisor = Supervisor([plan], data_dir=workshop.folder, console=Console(silent=True))
    async with await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", plan.ports[0]):
        with pytest.raises(PortsTaken, match=rf"{plan.ports[0]} is held by .*pid {os.getpid()}(.|\n)*PORT_BASE=19000"):
            supervisor.require_free_ports(port_base=18_000)
    supervisor.require_free_ports(port_base=18_000)
