"""`python -m local_stack up|down|status|operator|exchange|reset`: the whole platform on this machine."""

import argparse
import sys
from collections.abc import Callable, Sequence

from pydantic import ValidationError

from local_stack.commands import down, reset, status, up_detached
from local_stack.settings import StackSettings


def main() -> int:
    arguments = _parser().parse_args()
    try:
        settings = StackSettings()
    except ValidationError as error:
        for problem in error.errors():
            name = "_".join(str(part) for part in problem["loc"]).upper()
            sys.stderr.write(f"CRYPTOVAULT_{name}: {problem['msg']}\n")
        return 2
    commands: dict[str, Callable[[], int]] = {
        "up": lambda: up_detached(settings) if arguments.detach else _up(settings, echo=not arguments.quiet),
        "down": lambda: down(settings),
        "status": lambda: status(settings),
        "operator": lambda: _operate(settings, "operator", arguments.words),
        "exchange": lambda: _operate(settings, "exchange", arguments.words),
        "reset": lambda: reset(settings, force=arguments.force),
    }
    return commands[arguments.command]()


# Imported here: only these need to know what the platform is made of, and the others are quicker without.
def _up(settings: StackSettings, *, echo: bool) -> int:
    from local_stack.up import up  # noqa: PLC0415

    return up(settings, echo=echo)


def _operate(settings: StackSettings, tool: str, words: Sequence[str]) -> int:
    from local_stack.operate import operate  # noqa: PLC0415

    return operate(settings, tool, words)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local_stack", description=__doc__)
    parser.set_defaults(detach=False, quiet=False, force=False)
    commands = parser.add_subparsers(dest="command", required=True)
    starting = commands.add_parser("up", help="start everything and stay until Ctrl-C")
    starting.add_argument("--detach", action="store_true", help="return when all is ready; `down` stops it")
    starting.add_argument("--quiet", action="store_true", help="leave the processes' lines to their files")
    commands.add_parser("down", help="stop what runs in the data folder")
    commands.add_parser("status", help="show the processes")
    operator = commands.add_parser("operator", help="change accounts by hand: grant-role EMAIL ROLE")
    exchange = commands.add_parser("exchange", help="look into the exchange's journal: verify")
    for tool in (operator, exchange):
        tool.add_argument("words", nargs=argparse.REMAINDER)
    commands.add_parser("reset", help="delete all data").add_argument("--force", action="store_true", help="do not ask")
    return parser


if __name__ == "__main__":
    sys.exit(main())
