import pytest
from local_stack.process_plan import PlanInvalid, ProcessPlan, in_starting_order, with_needs
from local_stack.readiness import PortOpen


def plan(name: str, *needs: str) -> ProcessPlan:
    return ProcessPlan(name=name, argv=("true",), readiness=PortOpen(1), needs=frozenset(needs))


def test_everyone_comes_after_what_they_need() -> None:
    ordered = in_starting_order([plan("gateway", "auth", "mongo"), plan("auth", "mongo"), plan("mongo")])
    assert [each.name for each in ordered] == ["mongo", "auth", "gateway"]


@pytest.mark.parametrize(
    ("plans", "problem"),
    [
        ([plan("a", "b"), plan("b", "a")], "need each other: a, b"),
        ([plan("a", "ghost")], "unknown: ghost"),
        ([plan("a"), plan("a")], "twice"),
    ],
)
def test_a_plan_that_cannot_be_started_is_refused(plans: list[ProcessPlan], problem: str) -> None:
    with pytest.raises(PlanInvalid, match=problem):
        in_starting_order(plans)


def test_a_choice_brings_what_it_needs_all_the_way_down() -> None:
    plans = [plan("mongo"), plan("auth", "mongo"), plan("gateway", "auth"), plan("trading", "mongo")]
    assert [each.name for each in with_needs(plans, ["gateway"])] == ["mongo", "auth", "gateway"]


def test_an_unknown_choice_is_refused() -> None:
    with pytest.raises(PlanInvalid, match="no process is called ghost"):
        with_needs([plan("mongo")], ["ghost"])
