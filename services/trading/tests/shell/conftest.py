"""Lets the tests here import their helpers beside them: with pytest's importlib mode a test folder is on no path."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from traded_exchange import traded  # noqa: F401 - a fixture of all tests of the command line
