"""The real projector, whose memory goes wrong on request: a minor unit too much, once the named file is there."""

import sys
from pathlib import Path
from typing import Any

from chassis.service import run
from trading.projector.bootstrap import compose
from trading.projector.fold import Fold
from trading.settings import ProjectorSettings


def corrupt_when(asked: Path, account: str, asset: str) -> None:
    sound = Fold.apply

    def apply(fold: Fold, *arguments: Any) -> None:
        sound(fold, *arguments)
        if asked.exists():
            asked.unlink()
            fold.state.owners[account].accounts[asset].available += 1

    Fold.apply = apply  # type: ignore[method-assign]


if __name__ == "__main__":
    corrupt_when(Path(sys.argv.pop(1)), sys.argv.pop(1), sys.argv.pop(1))
    run(ProjectorSettings, compose)
