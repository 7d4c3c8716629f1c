"""Lets the tests here import the tests that they put to the test."""

import sys
from pathlib import Path

for folder in ("domain", "shell"):
    sys.path.insert(0, str(Path(__file__).parent.parent / folder))
sys.path.insert(0, str(Path(__file__).parent))
