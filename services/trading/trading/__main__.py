"""The exchange's leader: `python -m trading`."""

from chassis.service import run

from trading.bootstrap import compose
from trading.settings import TradingSettings

if __name__ == "__main__":
    run(TradingSettings, compose)
