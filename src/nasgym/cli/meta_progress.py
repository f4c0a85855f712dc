"""What a person sees while an agent learns."""

from types import TracebackType
from typing import Self, assert_never

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from nasgym.experiments.meta.events import Event, Judged, Started, Updated
from nasgym.experiments.meta.results import TrainingResult
from nasgym.report.formatting import enumeration, integer, percent, plural, quantity
from nasgym.report.meta_report import MetaTestReport
from nasgym.report.meta_statistics import accuracies_of, incumbents_of
from nasgym.store import TrainingUpdate

_NAMES = 6
"""Tasks that are named; of more, only the number is told."""
_SMOOTHED = 10
"""Updates over which speed and return are told."""


class MetaProgress:
    """Shows a meta-training as it goes: a bar on a terminal, lines elsewhere. Everything goes to standard error."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:3.0f} %"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._stage = self._progress.add_task("Preparing", total=None, note="")
        self._recent: list[TrainingUpdate] = []
        self._best = ""
        self._began = False

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
        if kind is KeyboardInterrupt:
            self._say("Stopped; the same command goes on." if self._began else "Stopped before anything was learned.")

    def decoding(self, images: int) -> None:
        """Hear how many images are decoded."""
        self._progress.update(self._stage, description="Reading images", completed=images)

    def stop(self) -> None:
        """Hear that the user wants to stop."""
        self._say("Stopping after this update; Ctrl-C again stops at once.")

    def hear(self, event: Event) -> None:
        """Hear what happens."""
        match event:
            case Started():
                self._start(event)
            case Updated(update):
                self._update(update)
            case Judged():
                self._judged(event)
            case _:
                assert_never(event)

    def conclude(self, result: TrainingResult) -> None:
        """Show what came out and where it lies."""
        if result.validation_return is not None:
            self._say(
                f"Best on held-out tasks: return {result.validation_return:.3f} after update {result.best_update} of "
                f"{result.updates}."
            )
        for name, path in (("Policy", result.policy), ("Report", f"{result.out}/report.html")):
            self._say(f"{name + ':':8}{path}")

    def _start(self, event: Started) -> None:
        self._began = True
        held_out = f", {_listed(event.held_out)} held out" if event.held_out else ""
        self._say(
            f"{event.agent} learns on {_listed(event.train)}{held_out}; {plural(event.environments, 'environment')}, "
            f"{integer(event.total_steps)} steps."
        )
        if event.steps:
            self._say(f"Going on after {integer(event.steps)} steps.")
        self._progress.update(self._stage, description="Learning", total=event.total_steps, completed=event.steps)

    def _update(self, update: TrainingUpdate) -> None:
        self._recent = [*self._recent, update][-_SMOOTHED:]
        seconds = sum(one.seconds for one in self._recent)
        taken = sum(sum(one.actions) for one in self._recent)
        returns = [one.mean_return for one in self._recent if one.mean_return is not None]
        speed = f"{quantity(taken / seconds)} steps/s" if seconds > 0 else ""
        mean = f"return {sum(returns) / len(returns):.3f}" if returns else ""
        note = ", ".join(part for part in (speed, mean, self._best) if part)
        self._progress.update(self._stage, completed=update.steps, note=note)

    def _judged(self, event: Judged) -> None:
        self._best = f"best {event.best:.3f} held out"
        mark = " *" if event.mean_return == event.best else ""
        self._say(f"{integer(event.steps):>12} steps  held-out return {event.mean_return:.3f}{mark}")

    def _say(self, line: str) -> None:
        self._progress.console.print(Text(line), soft_wrap=True)


def _listed(names: tuple[str, ...]) -> str:
    return enumeration(names) if len(names) <= _NAMES else plural(len(names), "task")


def test_table(report: MetaTestReport) -> Table:
    """Return what a test came to, task by task."""
    table = Table("task", "who", title=Text("Validation accuracy, means", style="bold"), title_justify="left")
    for name in ("first network", "last network", "best of the meta-episode"):
        table.add_column(name, justify="right", no_wrap=True)
    for task in report.tasks:
        for who, played in report.plays.items():
            mine = [one for one in played if one.task == task]
            accuracies, best = accuracies_of(mine).mean(axis=0), incumbents_of(mine).mean(axis=0)
            shown = (percent(float(value)) for value in (accuracies[0], accuracies[-1], best[-1]))
            table.add_row(Text(task), Text(who or report.facts.agent), *shown, style="" if who else "green")
    return table
