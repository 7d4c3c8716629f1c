"""`python -m notifications`."""

from chassis.service import run

from notifications.bootstrap import compose
from notifications.settings import Settings

if __name__ == "__main__":
    run(Settings, compose)
