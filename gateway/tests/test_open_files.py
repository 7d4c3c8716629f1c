"""Connections leave room for the files that the gateway itself needs."""

import resource
from collections.abc import Iterator

import pytest
from gateway.edge.open_files import OWN_FILES_MAX, connections_that_fit


@pytest.fixture
def usual_limit() -> Iterator[None]:
    """As a service manager or a shell gives it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1_024, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("usual_limit")
def test_the_processs_limit_is_raised_for_the_connections_that_are_set() -> None:
    assert connections_that_fit(2_000) == 2_000
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 2_000 + OWN_FILES_MAX
    assert connections_that_fit(10) == 10
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 2_000 + OWN_FILES_MAX, "it is never lowered"


@pytest.mark.parametrize(
    ("limits", "fit", "set_to"),
    [
        ((1_024, 4_096), 4_096 - OWN_FILES_MAX, [(4_096, 4_096)]),
        ((4_096, 4_096), 4_096 - OWN_FILES_MAX, []),
        ((1_024, resource.RLIM_INFINITY), 20_000, [(20_000 + OWN_FILES_MAX, resource.RLIM_INFINITY)]),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), 20_000, []),
        ((64, 64), 1, []),
    ],
)
def test_what_the_system_does_not_allow_is_not_promised(
    monkeypatch: pytest.MonkeyPatch, limits: tuple[int, int], fit: int, set_to: list[tuple[int, int]]
) -> None:
    was_set: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _which: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _which, new: was_set.append(new))
    assert (connections_that_fit(20_000), was_set) == (fit, set_to)
