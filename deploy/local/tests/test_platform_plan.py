from collections import Counter
from pathlib import Path

import pytest
from local_stack.keys import load_keys
from local_stack.platform_plan import PlatformPlan
from local_stack.ports import Ports
from local_stack.process_plan import ProcessPlan, in_starting_order
from local_stack.settings import PORT_BLOCK


def _plans(folder: Path, *, profile: str = "test", trading_replicas: int = 1) -> dict[str, ProcessPlan]:
    plan = PlatformPlan(
        data_dir=folder,
        ports=Ports(20_000),
        profile=profile,
        log_level="INFO",
        keys=load_keys(folder / "secrets"),
        trading_replicas=trading_replicas,
    )
    return {each.name: each for each in plan.build()}


@pytest.fixture
def plans(tmp_path: Path) -> dict[str, ProcessPlan]:
    return _plans(tmp_path)


def test_the_plan_can_be_started(plans: dict[str, ProcessPlan]) -> None:
    assert len(in_starting_order(plans.values())) == len(plans)


def test_no_port_is_given_twice_and_all_lie_in_the_block(plans: dict[str, ProcessPlan]) -> None:
    ports = Counter(port for plan in plans.values() for port in plan.ports)
    assert set(ports.values()) == {1}
    assert all(20_000 <= port < 20_000 + PORT_BLOCK for port in ports)


@pytest.mark.parametrize(
    ("variable", "holders"),
    [
        ("CRYPTOVAULT_JWT_PRIVATE_KEY", {"auth"}),
        ("CRYPTOVAULT_SENDGRID_API_KEY", {"mailbox", "notifications", "notifications-worker", "notifications-beat"}),
        ("CRYPTOVAULT_PRACTICE_MONEY", {"portfolio"}),
        (
            "CRYPTOVAULT_SERVICE_KEY",
            {
                "auth",
                "gateway",
                "market-data",
                "notifications",
                "notifications-worker",
                "notifications-beat",
                "portfolio",
                "trading",
                "trading-projector",
            },
        ),
        ("CRYPTOVAULT_MAILBOX_URL", {"gateway"}),
    ],
)
def test_a_secret_is_given_only_to_who_needs_it(
    plans: dict[str, ProcessPlan], variable: str, holders: set[str]
) -> None:
    assert {name for name, plan in plans.items() if variable in plan.environment} == holders


def test_callers_of_a_replicated_exchange_know_all_replicas(tmp_path: Path) -> None:
    plans = _plans(tmp_path, trading_replicas=2)
    listening = [plans[name].environment["CRYPTOVAULT_LISTEN"] for name in ("trading", "trading-2")]
    assert len(set(listening)) == 2
    for caller in ("portfolio", "gateway"):
        assert plans[caller].environment["CRYPTOVAULT_TRADING_ADDRESS"].split(",") == listening


def test_callers_are_given_the_address_at_which_the_other_listens(plans: dict[str, ProcessPlan]) -> None:
    portfolio = plans["portfolio"].environment
    assert portfolio["CRYPTOVAULT_TRADING_ADDRESS"] == plans["trading"].environment["CRYPTOVAULT_LISTEN"]
    assert (
        portfolio["CRYPTOVAULT_TRADING_QUERIES_ADDRESS"] == plans["trading-projector"].environment["CRYPTOVAULT_LISTEN"]
    )


@pytest.mark.parametrize("profile", ["local", "bench"])
def test_who_follows_orders_stands_back_for_whom_they_wait_for(tmp_path: Path, profile: str) -> None:
    standing_back = {name for name, plan in _plans(tmp_path, profile=profile).items() if plan.niceness}
    assert standing_back >= {"auth", "mongo", "notifications", "portfolio", "rabbitmq", "trading-projector"}
    assert standing_back.isdisjoint({"gateway", "journal", "market-data", "redis", "trading"})


def test_nobody_stands_back_for_other_tests(plans: dict[str, ProcessPlan]) -> None:
    assert {plan.niceness for plan in plans.values()} == {0}
    assert all(plan.interrupts for plan in plans.values())
