"""Test folders are no packages: what several test files share is loaded by its path, once."""

import importlib.util
import sys
from pathlib import Path

_NAME = "grpc_services"
_spec = importlib.util.spec_from_file_location(_NAME, Path(__file__).parent / f"{_NAME}.py")
if _NAME not in sys.modules and _spec is not None and _spec.loader is not None:
    _module = importlib.util.module_from_spec(_spec)
    sys.modules[_NAME] = _module
    _spec.loader.exec_module(_module)
