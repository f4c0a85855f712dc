"""How every benchmark says what it measured: a table on the screen, the same as JSON."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.table import Table

from nasgym.core.provenance import provenance


@dataclass(frozen=True, slots=True)
class Goal:
    """What a figure is to reach.

    Attributes:
        of: whether the figure's value or its ratio to the baseline is judged.
        bound: on which side of `number` it is to lie.
        number: the bound itself, which is good enough.
    """

    of: Literal["value", "ratio"]
    bound: Literal["at least", "at most"]
    number: float

    def __str__(self) -> str:
        return f"{self.of} {self.bound} {self.number:,g}"


@dataclass(frozen=True, slots=True)
class Figure:
    """One number that was measured.

    Attributes:
        name: what was measured.
        value: the number.
        unit: of the value and of the baseline.
        baseline: the number it is compared with, measured in the same run.
        goal: what it is to reach; `None` for a number that only informs.
    """

    name: str
    value: float
    unit: str
    baseline: float | None = None
    goal: Goal | None = None

    @property
    def ratio(self) -> float | None:
        """The value over the baseline."""
        return None if not self.baseline else self.value / self.baseline

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; `None` without a goal."""
        if self.goal is None:
            return None
        judged = self.value if self.goal.of == "value" else self.ratio
        if judged is None:
            raise ValueError(f"Figure {self.name!r} has a goal for its ratio and no baseline.")
        return judged >= self.goal.number if self.goal.bound == "at least" else judged <= self.goal.number


def arguments(name: str, description: str | None) -> argparse.ArgumentParser:
    """Return the parser of `python -m benchmarks.<name>`, which knows `--json FILE`."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=description)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures with versions and hardware here")
    return parser


def publish(name: str, figures: Sequence[Figure], *, seeds: Sequence[int], json_file: Path | None) -> None:
    """Print `figures` as a table, and write them to `json_file` with versions, hardware and seeds."""
    made_by = provenance()
    table = Table(title=f"{name}: {made_by.hardware['processor']}, {made_by.hardware['cores']} cores")
    for column in ("figure", "value", "unit", "baseline", "ratio", "goal", "met"):
        table.add_column(column)
    for figure in figures:
        table.add_row(
            figure.name,
            f"{figure.value:,.4g}" if abs(figure.value) < 1000 else f"{figure.value:,.0f}",
            figure.unit,
            "" if figure.baseline is None else f"{figure.baseline:,.4g}",
            "" if figure.ratio is None else f"{figure.ratio:.2f}",
            "" if figure.goal is None else str(figure.goal),
            {True: "yes", False: "NO", None: ""}[figure.met],
        )
    Console().print(table)
    if json_file is not None:
        content = {
            "benchmark": name,
            **asdict(made_by),
            "seeds": list(seeds),
            "figures": [_record(figure) for figure in figures],
        }
        json_file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _record(figure: Figure) -> dict[str, object]:
    return {
        "name": figure.name,
        "value": figure.value,
        "unit": figure.unit,
        "baseline": figure.baseline,
        "ratio": figure.ratio,
        "goal": None if figure.goal is None else str(figure.goal),
        "met": figure.met,
    }
