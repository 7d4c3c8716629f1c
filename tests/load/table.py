"""The bench's result: rows of figure, floor, ratio and goal, as a table and as JSON."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """`ratio` is value / floor; `goal` says what is wanted of the ratio, or of the value where there is no floor."""

    name: str
    value: float
    unit: str
    floor: float | None = None
    ratio: float | None = None
    goal: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the goal holds; None without one."""
        if not self.goal:
            return None
        measured = self.ratio if self.ratio is not None else self.value
        relation, bound = self.goal.split()
        return measured >= float(bound) if relation == ">=" else measured <= float(bound)


def against(name: str, value: float, unit: str, *, floor: float, goal: str = "") -> Row:
    return Row(name=name, value=value, unit=unit, floor=floor, ratio=value / floor, goal=goal)


def as_text(rows: list[Row]) -> str:
    head = ("figure", "value", "unit", "floor", "ratio", "goal", "")
    lines = [head, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)


def _cells(row: Row) -> tuple[str, ...]:
    verdict = {True: "met", False: "MISSED", None: ""}[row.met]
    return (row.name, _number(row.value), row.unit, _number(row.floor), _number(row.ratio), row.goal, verdict)


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def write(rows: list[Row], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
