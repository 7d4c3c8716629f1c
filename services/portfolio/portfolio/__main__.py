"""`python -m portfolio`."""

from chassis.service import run

from portfolio.bootstrap import compose
from portfolio.settings import Settings

if __name__ == "__main__":
    run(Settings, compose)
