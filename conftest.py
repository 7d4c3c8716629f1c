"""Makes the chassis's fixtures (real servers, fresh databases) known to every test of the repository."""

# Before pytest names `gateway/tests/...` by its path: else the folder would pass for the package of that name.
import gateway  # noqa: F401

pytest_plugins = ["chassis.testing.plugin"]
