"""What the runner is told of a process: plain data, no behaviour."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from local_stack.readiness import Readiness


def nothing() -> None:
    """Most processes need no preparation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessPlan:
    """One process of the platform.

    `needs` names those that must be ready before it starts; `uses` those that it waits for by itself, so that both
    can start at once. All of them stop after it. `ports` are checked to be free before anything starts. `prepare` runs
    before each start (writes configuration, removes what a crash left).
    """

    name: str
    argv: tuple[str, ...]
    # The same as a Python module and its arguments, where it is one: then it may be forked instead of started anew.
    module: tuple[str, ...] = ()
    readiness: Readiness
    environment: Mapping[str, str] = field(default_factory=dict)
    needs: frozenset[str] = frozenset()
    uses: frozenset[str] = frozenset()
    ports: tuple[int, ...] = ()
    niceness: int = 0  # above 0 it stands back for the others when the cores are busy
    interrupts: bool = True  # whoever runs when it wakes up; else it waits for its turn
    prepare: Callable[[], object] = nothing
    ready_seconds: float = 120.0  # on cores that ten others fight for; alone all of ours need under 6
    stop_seconds: float = 10.0  # a graceful stop lets the requests in flight end; after that it is killed


class PlanInvalid(Exception):
    """The plan cannot be started: a name twice, an unknown need or a circle."""


def in_starting_order(plans: Iterable[ProcessPlan]) -> list[ProcessPlan]:
    """Each process after all it needs and uses; otherwise as given. Raises PlanInvalid."""
    waiting = list(plans)
    known = {plan.name for plan in waiting}
    if len(known) != len(waiting):
        raise PlanInvalid("a process name occurs twice")
    ordered: list[ProcessPlan] = []
    placed: set[str] = set()
    while waiting:
        free = [plan for plan in waiting if plan.needs | plan.uses <= placed]
        if not free:
            missing = sorted({need for plan in waiting for need in plan.needs | plan.uses} - known)
            names = ", ".join(plan.name for plan in waiting)
            raise PlanInvalid(f"unknown: {', '.join(missing)}" if missing else f"these need each other: {names}")
        ordered += free
        placed |= {plan.name for plan in free}
        waiting = [plan for plan in waiting if plan.name not in placed]
    return ordered


def with_needs(plans: Iterable[ProcessPlan], names: Iterable[str]) -> list[ProcessPlan]:
    """The named processes and, all the way down, what they need and use. Raises PlanInvalid for an unknown name."""
    by_name = {plan.name: plan for plan in plans}
    wanted: set[str] = set()
    open_names = list(names)
    while open_names:
        name = open_names.pop()
        if name not in by_name:
            raise PlanInvalid(f"no process is called {name}; there are {', '.join(by_name)}")
        if name not in wanted:
            wanted.add(name)
            open_names += by_name[name].needs | by_name[name].uses
    return [plan for plan in by_name.values() if plan.name in wanted]
