"""Tables of an experiment, ours beside the paper's."""

from collections.abc import Sequence

import numpy as np

from nasgym.report.experiment_findings import spread, with_spread
from nasgym.report.experiment_paper import Paper, PaperStage
from nasgym.report.experiment_report import EpisodeRecord, ExperimentReport, StageRecord
from nasgym.report.experiment_statistics import shares
from nasgym.report.formatting import UNKNOWN, duration, integer, percent
from nasgym.report.pages import Grid

_PAPER_AGENTS = {"dmrl": "meta-A2C", "dqn": "DQN", "random": "random"}


def outcomes(report: ExperimentReport) -> Grid:
    """Return what the episodes of each stage were like."""
    rows = tuple(
        (
            stage.name,
            stage.agent,
            stage.task,
            integer(len(stage.episodes)),
            _mean([one.length for one in stage.episodes]),
            _mean([one.accumulated for one in stage.episodes], 2),
            percent(_share(stage.episodes)),
            percent(_average([one.best for one in stage.episodes])),
            percent(max((one.best for one in stage.episodes), default=None)),
        )
        for stage in report.stages
    )
    headings = (
        *("Stage", "Agent", "Task", "Episodes", "Length", "Accumulated reward"),
        *("Ended impossible", "Best of an episode, mean", "Best of all"),
    )
    return Grid(headings, rows, 3, codes=())


def running_times(report: ExperimentReport, paper: Paper) -> Grid:
    """Return steps and times of each stage beside those of the stage of the paper that it stands for."""
    rows = tuple(
        (
            stage.name,
            stage.task,
            integer(stage.steps),
            integer(stage.networks_evaluated),
            integer(stage.networks_trained),
            duration(stage.seconds),
            *_paper_cells(paper.stage(stage, report.task(stage.task))),
        )
        for stage in report.stages
    )
    headings = (
        *("Stage", "Task", "Steps", "Networks evaluated", "Of these trained", "Time"),
        *("Paper: data set, agent", "Paper: steps", "Paper: time on a K40m", "Paper: where"),
    )
    return Grid(headings, rows, 2, codes=())


def best_networks(report: ExperimentReport) -> Grid:
    """Return the best network of each stage."""
    rows = []
    for stage in report.stages:
        best = best_of(stage)
        if best is not None:
            number, episode = best
            rows.append(
                (
                    stage.name,
                    stage.task,
                    episode.best_network or UNKNOWN,
                    percent(episode.best, 2) + (", predicted" if stage.surrogate else ""),
                    integer(number),
                )
            )
    return Grid(("Stage", "Task", "Network", "Accuracy", "Found in episode"), tuple(rows), 3, codes=(2,))


def best_of(stage: StageRecord) -> tuple[int, EpisodeRecord] | None:
    """Return number and record of the episode with the best network, the first among equals."""
    known = [(number, one) for number, one in enumerate(stage.episodes, start=1) if one.best_network]
    return max(known, key=lambda pair: pair[1].best) if known else None


def action_table(report: ExperimentReport, paper: Paper) -> Grid | None:
    """Return the proportions of the actions by stage, with the paper's below; `None` where actions differ."""
    played = [stage for stage in report.stages if stage.episodes]
    if not played or len({stage.actions for stage in played}) > 1:
        return None
    rows = []
    for stage in played:
        rows.append((stage.name, *(percent(share) for share in shares(stage.episodes, len(stage.actions)))))
        theirs = paper.proportions_of(stage, task := report.task(stage.task))
        if theirs is not None:
            rows.append((f"paper, {task.stands_for}", *(percent(share) for share in theirs)))
    return Grid(("Stage", *played[0].actions), tuple(rows))


def intensive(report: ExperimentReport, paper: Paper) -> Grid:
    """Return the paper's Table 6 with ours: mean ± 2 standard deviations of the trainings of each network."""
    rows = []
    for one in report.finals:
        theirs = paper.training(report.task(one.task), one.place)
        rows.append(
            (
                one.task,
                one.label,
                one.architecture,
                integer(one.parameters),
                integer(len(one.reported)),
                percent(one.search_accuracy, 2),
                spread(one.validation) if one.validation else UNKNOWN,
                spread(one.test) if one.test else UNKNOWN,
                duration(one.seconds),
                f"{theirs.dataset}, {theirs.label}: {with_spread(theirs.mean, theirs.two_sd)}" if theirs else UNKNOWN,
            )
        )
    headings = (
        *("Task", "Network", "Architecture", "Parameters", "Trainings", "In the search"),
        *("Validation", "Test", "Time", "Paper"),
    )
    return Grid(headings, tuple(rows), 3, codes=(2,))


def hardness(report: ExperimentReport, paper: Paper) -> Grid:
    """Return quartiles of the short walks, their times, and the paper's."""
    rows = []
    for one in report.hardness:
        quartiles = np.quantile(one.accuracies, (0.25, 0.5, 0.75, 1.0)) if one.accuracies else [None] * 4
        theirs = paper.short_walk(report.task(one.task))
        rows.append(
            (
                one.task,
                integer(len(one.accuracies)),
                *(percent(None if value is None else float(value)) for value in quartiles),
                duration(one.seconds),
                theirs.dataset if theirs else UNKNOWN,
                _hours(theirs.hours) if theirs else UNKNOWN,
            )
        )
    headings = (
        *("Task", "Networks", "Lower quartile", "Median", "Upper quartile", "Best", "Time"),
        *("Paper", "Paper: time on a K40m"),
    )
    return Grid(headings, tuple(rows))


def surrogates(report: ExperimentReport) -> Grid:
    """Return how well surrogates tell the networks of their tasks."""
    rows = tuple(
        (
            one.stage,
            ", ".join(one.of),
            one.task,
            integer(one.networks),
            integer(one.failed),
            *(_minus(f"{value:.3f}") for value in (one.spearman, one.kendall)),
            percent(one.error),
        )
        for one in report.surrogates
    )
    headings = ("Stage", "Fitted to", "Task", "Networks", "Failed", "Spearman ρ", "Kendall τ", "Error")
    return Grid(headings, rows, 3, codes=())


def data(report: ExperimentReport) -> Grid:
    """Return what the tasks are."""
    rows = tuple(
        (
            task.name,
            task.stands_for or UNKNOWN,
            integer(task.classes),
            " / ".join(map(integer, task.images)),
            " × ".join(map(str, task.input_shape)),
        )
        for task in report.tasks
    )
    return Grid(("Task", "Stands for", "Classes", "Images: training / validation / test", "Input"), rows, 2, codes=())


def _paper_cells(theirs: PaperStage | None) -> tuple[str, str, str, str]:
    if theirs is None:
        return (UNKNOWN,) * 4
    agent = _PAPER_AGENTS[theirs.agent.value]
    return f"{theirs.dataset}, {agent}", integer(theirs.steps), _hours(theirs.hours), theirs.table or UNKNOWN


def _minus(text: str) -> str:
    return text.replace("-", "−")


def _hours(hours: float | None) -> str:
    """Return a time of the paper in days and hours: `11 d 9 h`."""
    if hours is None:
        return UNKNOWN
    if hours < 24:
        return duration(3600 * hours)
    days, rest = divmod(round(hours), 24)
    return f"{days}\u00a0d" + (f"\u00a0{rest}\u00a0h" if rest else "")


def _share(episodes: Sequence[EpisodeRecord]) -> float | None:
    """Return the share of episodes whose last action was not possible, or led to a network that cannot exist."""
    return _average([float(one.networks[-1] is None) for one in episodes if one.networks])


def _average(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _mean(values: Sequence[float], digits: int = 1) -> str:
    average = _average(values)
    return UNKNOWN if average is None else f"{average:.{digits}f}"
