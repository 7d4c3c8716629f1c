"""Makes the chassis's fixtures (real servers, fresh databases) known to every test of the repository."""

pytest_plugins = ["chassis.testing.plugin"]
