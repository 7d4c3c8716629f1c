"""Makes the chassis's fixtures (real servers, fresh databases) known to every test of the repository."""

import os

import pytest
from chassis.embedded.process import ProgramMissing
from local_stack.nginx import find_nginx

# Before pytest names `gateway/tests/...` by its path: else the folder would pass for the package of that name.
import gateway  # noqa: F401  # isort: skip

pytest_plugins = ["chassis.testing.plugin"]

LONG_TEST_SECONDS = 3600.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("long"):
            item.add_marker(pytest.mark.timeout(LONG_TEST_SECONDS))


@pytest.fixture(scope="session")
def nginx_is_here() -> None:
    """Skips what needs nginx where nobody has installed it, but never in CI."""
    try:
        find_nginx()
    except ProgramMissing as missing:
        if os.environ.get("CI"):
            pytest.fail(str(missing))
        pytest.skip(f"{missing}; `tests/tools.sh` gets it")
