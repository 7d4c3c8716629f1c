"""An operator's command on the accounts of a running platform."""

import os
import subprocess
import sys
from collections.abc import Sequence

from local_stack.data_folder import DataFolder
from local_stack.keys import load_keys
from local_stack.platform_plan import PlatformPlan
from local_stack.ports import Ports
from local_stack.settings import StackSettings


def operate(settings: StackSettings, arguments: Sequence[str]) -> int:
    """`auth.operator` on the accounts of this copy, which must be running."""
    folder = DataFolder(settings.data_dir)
    if folder.runner_pid() is None:
        sys.stderr.write("Nothing runs here.\n")
        return 1
    plan = PlatformPlan(
        data_dir=folder.path,
        ports=Ports(settings.port_base),
        profile=settings.profile,
        log_level=settings.log_level,
        keys=load_keys(folder.path / "secrets"),
    )
    command = [sys.executable, "-P", "-m", "auth.operator", *arguments]
    environment = {**os.environ, **plan.operator_environment()}
    return subprocess.run(command, env=environment, check=False).returncode  # noqa: S603 - a list without a shell
