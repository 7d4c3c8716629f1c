"""The real projector, which takes snapshots and archives every few batches instead of every few thousand."""

from chassis.service import run
from trading.projector import archiver, snapshot_taker
from trading.projector.bootstrap import compose
from trading.settings import ProjectorSettings

BATCHES_BETWEEN = 10
VOLUME_BATCHES_MAX = 4
LOOK_SECONDS = 0.1

if __name__ == "__main__":
    snapshot_taker.BATCHES_BETWEEN = BATCHES_BETWEEN
    snapshot_taker._LOOK_SECONDS = LOOK_SECONDS
    archiver.VOLUME_BATCHES_MAX = VOLUME_BATCHES_MAX
    archiver.INTERVAL_SECONDS = LOOK_SECONDS
    run(ProjectorSettings, compose)
