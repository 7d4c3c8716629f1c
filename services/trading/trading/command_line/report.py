"""What a command found, for people or as JSON; progress goes to standard error, so that the output stays whole."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import click

PROBLEMS_SHOWN_MAX = 50  # one fault early on may make each later batch look wrong

Value = str | int | float | list[str] | list[dict[str, str]]


class Progress(Protocol):
    def update(self, n_steps: int) -> None: ...


class Report:
    """Facts as they are found; printed at the end by `finish`."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._facts: dict[str, Value] = {}
        self._lines: list[str] = []
        self.problems: list[str] = []

    def fact(self, name: str, value: Value) -> None:
        """`name` in lower_case; people read it with blanks."""
        self._facts[name] = value

    def line(self, text: str) -> None:
        """For people alone; the same must be among the facts."""
        self._lines.append(text)

    def wrong(self, problem: str) -> None:
        self.problems.append(problem)

    @contextmanager
    def progress(self, label: str, length: int) -> Iterator[Progress]:
        with click.progressbar(
            length=length, label=label, file=sys.stderr, show_pos=True, update_min_steps=max(1, length // 500)
        ) as bar:
            yield bar

    def finish(self) -> None:
        if self._as_json:
            document = {**self._facts, "problems": self.problems}
            click.echo(json.dumps(document, separators=(",", ":"), sort_keys=True))
            return
        for line in self._lines:
            click.echo(line)
        for name, value in self._facts.items():
            if not isinstance(value, list):
                click.echo(f"{name.replace('_', ' '):<24} {value}")
        for problem in self.problems[:PROBLEMS_SHOWN_MAX]:
            click.secho(f"WRONG  {problem}", fg="red")
        if len(self.problems) > PROBLEMS_SHOWN_MAX:
            click.secho(f"WRONG  and {len(self.problems) - PROBLEMS_SHOWN_MAX} more", fg="red")
