"""An operator's commands beside a running platform."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from local_stack.data_folder import DataFolder
from local_stack.keys import load_keys
from local_stack.platform_plan import PlatformPlan
from local_stack.ports import Ports
from local_stack.settings import StackSettings


class _Tool(NamedTuple):
    words: tuple[str, ...]  # behind `python -m`
    environment: Callable[[PlatformPlan], dict[str, str]]
    unreachable: int  # its exit code where it has nothing to look at


_TOOLS: Mapping[str, _Tool] = {
    "operator": _Tool(("auth.operator",), PlatformPlan.operator_environment, 1),
    "exchange": _Tool(("trading.command_line.main", "exchange"), PlatformPlan.exchange_environment, 3),
}


def operate(settings: StackSettings, tool: str, arguments: Sequence[str]) -> int:
    """Becomes the tool, on the data of this copy, so that its exit code and its Ctrl-C are its own. Returns where it
    cannot, since this copy must be running.
    """
    words, environment_of, unreachable = _TOOLS[tool]
    folder = DataFolder(settings.data_dir)
    if folder.runner_pid() is not None:
        plan = PlatformPlan(
            data_dir=folder.path,
            ports=Ports(settings.port_base),
            profile=settings.profile,
            log_level=settings.log_level,
            keys=load_keys(folder.path / "secrets"),
        )
        command = [sys.executable, "-P", "-m", *words, *arguments]
        os.execve(command[0], command, {**os.environ, **environment_of(plan)})  # noqa: S606 - a list without a shell
    sys.stderr.write("Nothing runs here.\n")
    return unreachable
