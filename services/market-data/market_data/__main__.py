"""`python -m market_data`."""

from chassis.service import run

from market_data.bootstrap import compose
from market_data.settings import Settings

if __name__ == "__main__":
    run(Settings, compose)
