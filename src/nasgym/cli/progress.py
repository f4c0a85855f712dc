"""What a person sees while a search is at work."""

import time
from types import TracebackType
from typing import Self, assert_never

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from nasgym.evaluation import Completed, Failed
from nasgym.experiments.config import SearchConfig
from nasgym.experiments.events import Evaluated, Event, Prepared, Promoted, Trained
from nasgym.experiments.finishing import Finished
from nasgym.report.formatting import duration, percent, plural
from nasgym.report.terminal import summary_table


class TimeLeftColumn(ProgressColumn):
    """Time left: of the budget where there is one, else estimated from the pace so far."""

    max_refresh = 0.5

    def __init__(self) -> None:
        super().__init__()
        self._estimated = TimeRemainingColumn()
        self.end: float | None = None
        """Reading of `time.monotonic` at which the budget is spent; `None` without one."""

    def render(self, task: Task) -> Text:
        """Return the time left."""
        if self.end is None:
            return self._estimated.render(task).append(" left", style="progress.remaining")
        return Text(f"{duration(max(0.0, self.end - time.monotonic()))} left", style="progress.remaining")


class SearchProgress:
    """Shows a search as it goes: bars on a terminal, lines elsewhere. Everything goes to standard error.

    Args:
        config: every setting of the search.
    """

    def __init__(self, config: SearchConfig) -> None:
        self._config = config
        self._console = Console(stderr=True)
        self._left = TimeLeftColumn()
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            self._left,
            TextColumn("{task.fields[note]}"),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._stage = self._progress.add_task("Reading images", total=None, note="")
        self._prepared = False
        self._best = 0.0
        self._failures = 0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
        if kind is KeyboardInterrupt:
            self._say(
                "Stopped. Every finished evaluation is kept; go on with the same command and --resume."
                if self._prepared
                else "Stopped while images were read; the same command starts again."
            )

    def decoding(self, images: int) -> None:
        """Hear how many images are decoded."""
        self._progress.update(self._stage, completed=images)

    def hear(self, event: Event) -> None:
        """Hear what happens."""
        match event:
            case Prepared():
                self._prepare(event)
            case Evaluated():
                self._evaluated(event)
            case Promoted():
                self._promoted(event)
            case Trained():
                self._trained(event)
            case _:
                assert_never(event)

    def conclude(self, finished: Finished) -> None:
        """Show what came out and where it lies."""
        folder = finished.workspace
        self._console.print(summary_table(finished.report))
        for name, path in (("Report", folder.report), ("Weights", folder.weights), ("Result", folder.result)):
            self._console.print(Text(f"{name + ':':9}{path}"), soft_wrap=True)

    def _prepare(self, event: Prepared) -> None:
        self._prepared = True
        task = event.task
        train, validation, test = (len(side) for side in task.split.sides())
        height, width, channels = task.input_shape
        self._say(
            f"{task.name}: {task.n_classes} classes, {train:,} training, {validation:,} validation and {test:,} test "
            f"images of {height} × {width} px, {'grey' if channels == 1 else 'colour'}."
        )
        if task.problems:
            first = task.problems[0]
            self._say(f"{len(task.problems)} files or classes were left out, such as {first.where}: {first.why}")
        if event.known:
            self._say(f"Going on after {plural(event.known, 'network')} and {duration(event.seconds)}.")
        if self._config.budget is not None:
            self._left.end = time.monotonic() + self._config.budget - event.seconds
        self._next("Searching", self._config.most_evaluations)

    def _evaluated(self, event: Evaluated) -> None:
        match event.outcome:
            case Completed(accuracy=accuracy):
                if accuracy > self._best:
                    self._best = accuracy
                    self._say(f"{event.number:4}  {percent(accuracy):>6}  {event.architecture}")
            case Failed():
                self._failures += 1
        failures = f", {self._failures} failed" if self._failures else ""
        self._progress.update(self._stage, completed=event.evaluations, note=f"best {percent(self._best)}{failures}")

    def _promoted(self, event: Promoted) -> None:
        failures = f" {plural(self._failures, 'network')} failed." if self._failures else ""
        self._say(
            f"The search ends, since {event.reason}.{failures} Final training of {plural(event.networks, 'network')}, "
            f"one of them random, for up to {plural(event.epochs, 'epoch')}."
        )
        self._next("Final training", event.networks)

    def _trained(self, event: Trained) -> None:
        match event.outcome:
            case Completed(accuracy=accuracy):
                words = f"{percent(accuracy):>6}"
            case Failed(message=message):
                words = message
        self._say(f"{event.phase:>6}  {words}  {event.architecture}")
        self._progress.advance(self._stage)

    def _next(self, name: str, total: int | None) -> None:
        self._progress.remove_task(self._stage)
        self._stage = self._progress.add_task(name, total=total, note="")

    def _say(self, line: str) -> None:
        self._progress.console.print(Text(line), soft_wrap=True)
