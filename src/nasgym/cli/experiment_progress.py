"""What a person sees while the stages of an experiment are done."""

import time
from pathlib import Path
from types import TracebackType
from typing import Self, assert_never

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from nasgym.experiments.stages.events import Event, StageBegun, StageEnded, StageWent
from nasgym.report.formatting import duration, integer, plural

LINE_EVERY = 60.0
"""Seconds between two lines where there is no terminal."""


class ExperimentProgress:
    """Shows stages as they go: a bar on a terminal, lines elsewhere. Everything goes to standard error."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}"),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._bar = self._progress.add_task("Preparing", total=None, note="")
        self._stage: StageBegun | None = None
        self._first: tuple[float, int] | None = None
        self._said = time.monotonic()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
        if kind is KeyboardInterrupt:
            self._say("Stopped; the same command goes on.")

    def decoding(self, images: int) -> None:
        """Hear how many images are decoded."""
        self._progress.update(self._bar, description="Reading images", completed=images)

    def stop(self) -> None:
        """Hear that the user wants to stop."""
        self._say("Stopping after this step; Ctrl-C again stops at once.")

    def hear(self, event: Event) -> None:
        """Hear what happens."""
        match event:
            case StageBegun():
                self._begin(event)
            case StageWent():
                self._go(event)
            case StageEnded(name, known, seconds):
                self._say(f"{name}: {'known already, ' if known else ''}{duration(seconds)}.")
            case _:
                assert_never(event)

    def conclude(self, folder: Path) -> None:
        """Show where everything lies."""
        self._say(f"Report: {folder / 'report.html'}")

    def _begin(self, event: StageBegun) -> None:
        self._stage, self._first = event, None
        self._said = time.monotonic()
        self._say(
            f"Stage {event.number} of {event.stages}, {event.name}: {event.says}; {integer(event.total)} {event.unit}."
        )
        self._progress.reset(self._bar, total=event.total, description=event.name, note="")

    def _go(self, event: StageWent) -> None:
        if self._stage is None:
            raise AssertionError("a stage begins before it goes on")
        if self._first is None:
            self._first = time.monotonic(), event.behind
        note = self._note(self._stage, event, *self._first)
        self._progress.update(self._bar, completed=event.behind, note=note)
        if not self._console.is_terminal and time.monotonic() - self._said >= LINE_EVERY:
            self._said = time.monotonic()
            total = f"{integer(event.behind)} of {integer(self._stage.total)} {self._stage.unit}"
            self._say(f"  {self._stage.name}: {total}, {note}")

    def _note(self, stage: StageBegun, event: StageWent, began: float, first: int) -> str:
        """Return how many networks were trained, at which rate it goes on, and how long the stage will take."""
        seconds, done = time.monotonic() - began, event.behind - first
        parts = [plural(event.trained, "network") + " trained"]
        if seconds > 0 and done > 0:
            parts.append(f"{60 * done / seconds:.3g} {stage.unit}/min")
            parts.append(f"{duration(max(0, stage.total - event.behind) * seconds / done)} left")
        return ", ".join(parts)

    def _say(self, line: str) -> None:
        self._progress.console.print(Text(line), soft_wrap=True)
