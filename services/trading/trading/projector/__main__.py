"""The exchange's memory on disk, and who answers from it: `python -m trading.projector`."""

from chassis.service import run

from trading.projector.bootstrap import compose
from trading.settings import ProjectorSettings

if __name__ == "__main__":
    run(ProjectorSettings, compose)
