"""The parts of an experiment's report, before they become a page or Markdown."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from math import log

import numpy as np

from nasgym.architectures import Architecture, parse_architecture
from nasgym.networks.plan import Plan, plan
from nasgym.networks.profiles import NetworkProfile
from nasgym.report import experiment_tables as tables
from nasgym.report.experiment_figures import Bars, accuracy_boxes, action_bars, block_line
from nasgym.report.experiment_findings import FEWEST, Finding
from nasgym.report.experiment_paper import Paper
from nasgym.report.experiment_report import EpisodeRecord, ExperimentReport, FinalRecord, StageRecord
from nasgym.report.experiment_statistics import block_size, blocks, by_place, multi_branch_count, shares
from nasgym.report.formatting import percent, plural
from nasgym.report.meta_figures import Line, over_episodes, over_steps, over_training
from nasgym.report.pages import Grid
from nasgym.report.statistics import bootstrap_interval
from nasgym.report.style import Chart

_POINTS = 100
"""Points of a curve of entropy, at most."""


@dataclass(frozen=True)
class Plate:
    """A figure.

    Attributes:
        name: of its file, without suffix.
        title: heading.
        chart: the figure itself.
        note: what to see in it.
    """

    name: str
    title: str
    chart: Chart
    note: str


@dataclass(frozen=True)
class NetworkPlate:
    """A network to draw.

    Attributes:
        name: of its file, without suffix.
        title: heading.
        architecture: to draw.
        plan: tells shapes and costs; `None` draws it without.
        note: what to know about it.
    """

    name: str
    title: str
    architecture: Architecture
    plan: Plan | None
    note: str


@dataclass(frozen=True)
class Part:
    """A part of the report.

    Attributes:
        id: anchor.
        title: heading.
        text: what to know before looking.
        points: sentences of a list.
        plates: figures.
        networks: drawings.
        grid: table; `None` for none.
    """

    id: str
    title: str
    text: str = ""
    points: tuple[str, ...] = ()
    plates: tuple[Plate, ...] = ()
    networks: tuple[NetworkPlate, ...] = ()
    grid: Grid | None = None


def parts(report: ExperimentReport, found: Sequence[Finding], paper: Paper) -> Iterator[Part]:
    """Yield the parts of the report that have something to show."""
    if found:
        text = (
            "Differences are of means, with 95 % bootstrap intervals over meta-episodes, or over episodes where there "
            "are none. They speak of this run: one seed says nothing about another."
        )
        yield Part("findings", "What the numbers show", text, tuple(one.text for one in found))
    if report.scaled:
        yield Part("scaled", "What differs from the paper", points=report.scaled)
    if report.stages:
        yield Part("stages", "Stage by stage", _predictions(report), grid=tables.outcomes(report))
        note = "The paper's times are those of one Tesla K40m, ours those of the machine below."
        yield Part("times", "Running times", note, grid=tables.running_times(report, paper))
    if report.surrogates:
        text = (
            "Rank correlations and errors are of predicted and true accuracies, by 5-fold cross-validation: each "
            "network is predicted by a model that was not fitted to it. The error is a standard deviation."
        )
        yield Part("surrogates", "Surrogates", text, grid=tables.surrogates(report))
    yield from _tasks(report, paper)
    actions = tables.action_table(report, paper)
    if actions is not None:
        yield Part("actions", "Proportions of the actions", grid=actions)
    yield from _best(report)
    if report.finals:
        text = "Mean ± 2 sample standard deviations of the trainings. The paper's accuracies are on other data."
        yield Part("intensive", "More intensive training", text, grid=tables.intensive(report, paper))
    if report.hardness:
        yield _hardness(report, paper)
    yield Part("data", "Data", grid=tables.data(report))


def _predictions(report: ExperimentReport) -> str:
    """Return a warning of stages whose accuracies are predictions; empty where there are none."""
    predicted = dict.fromkeys(f"{stage.name} ({stage.surrogate})" for stage in report.stages if stage.surrogate)
    if not predicted:
        return ""
    return (
        f"Accuracies and rewards in {', '.join(predicted)} are predictions of the surrogate in brackets: no network "
        "was trained there."
    )


def _tasks(report: ExperimentReport, paper: Paper) -> Iterator[Part]:
    """Yield a part for each task; what a surrogate predicted on it has a part of its own."""
    agents = list(dict.fromkeys(stage.agent for stage in report.stages))
    for task, surrogate in dict.fromkeys((stage.task, stage.surrogate) for stage in report.stages):
        played = [one for one in report.stages if (one.task, one.surrogate) == (task, surrogate) and one.episodes]
        if not played:
            continue
        stands_for = report.task(task).stands_for
        title = task if stands_for in ("", task) else f"{task}, for the paper's {stands_for}"
        if surrogate:
            title += f", predicted by {surrogate}"
        yield Part(f"task-{_place(played[0])}", title, plates=tuple(_plates(report, played, agents, paper)))


def _place(stage: StageRecord) -> str:
    """Return what the files of the figures of a stage's part begin with."""
    return _slug(f"{stage.task} {stage.surrogate}")


def _plates(
    report: ExperimentReport, played: Sequence[StageRecord], agents: Sequence[str], paper: Paper
) -> Iterator[Plate]:
    place = _place(played[0])
    size = block_size(max(len(stage.episodes) for stage in played))
    note = f"Mean of {plural(size, 'episode')} with one standard deviation on either side."

    def over_blocks(name: str, title: str, label: str, value: Callable[[EpisodeRecord], float], share: bool) -> Plate:
        lines = [
            block_line(stage.agent, blocks([value(one) for one in stage.episodes], size), agents.index(stage.agent))
            for stage in played
        ]
        return Plate(f"{place}-{name}", title, over_training(lines, label, as_percent=share), note)

    yield over_blocks("best", "Best accuracy of an episode", "accuracy", lambda one: one.best, True)
    yield over_blocks("accumulated", "Accumulated reward", "sum of rewards", lambda one: one.accumulated, False)
    yield over_blocks("length", "Length of episodes", "steps", lambda one: float(one.length), False)
    if any(stage.sigma is not None for stage in played):
        known: dict[str, bool] = {}
        yield over_blocks(
            "branches",
            "Multi-branch networks of an episode",
            "networks",
            lambda one: float(multi_branch_count(one, known)),
            False,
        )
    if any(one.place > 1 for stage in played for one in stage.episodes):
        yield _within(place, played, agents)
    if any(stage.entropies for stage in played):
        yield _entropy(place, played, agents)
    if len({stage.actions for stage in played}) == 1:
        yield _actions(report, played, agents, paper)


def _within(place: str, played: Sequence[StageRecord], agents: Sequence[str]) -> Plate:
    lines = []
    for stage in played:
        late = stage.episodes[len(stage.episodes) // 2 :]
        intervals = [
            bootstrap_interval(values, lambda drawn: drawn.mean(axis=-1), resamples=2000)
            for values in takewhile(lambda one: len(one) >= FEWEST, by_place(late, lambda one: one.best))
        ]
        if len(intervals) > 1:
            line = Line.by_episode(stage.agent, intervals)
            lines.append(
                Line(line.name, line.positions, line.values, line.low, line.high, colour=agents.index(line.name))
            )
    chart = over_episodes(lines, "accuracy", as_percent=True)
    note = (
        "Best accuracy by episode of the meta-episode, second half of the stage, with 95 % intervals: an agent that "
        "has learned to search does better in later episodes than in its first."
    )
    return Plate(f"{place}-within", "Within a meta-episode", chart, note)


def _entropy(place: str, played: Sequence[StageRecord], agents: Sequence[str]) -> Plate:
    lines = []
    for stage in played:
        if stage.entropies:
            groups = np.array_split(np.array(stage.entropies), min(_POINTS, len(stage.entropies)))
            lines.append(
                Line(
                    stage.agent,
                    tuple(float(group[-1, 0]) for group in groups),
                    tuple(float(group[:, 1].mean()) for group in groups),
                    colour=agents.index(stage.agent),
                )
            )
    uniform = log(max(len(stage.actions) for stage in played))
    note = f"Drawing all actions alike would be {uniform:.2f} nats."
    return Plate(f"{place}-entropy", "Policy entropy", over_steps(lines, "entropy, nats"), note)


def _actions(report: ExperimentReport, played: Sequence[StageRecord], agents: Sequence[str], paper: Paper) -> Plate:
    series, note = [], "Over the whole stage."
    for stage in played:
        colour = agents.index(stage.agent)
        series.append(Bars(stage.agent, shares(stage.episodes, len(stage.actions)), colour))
        theirs = paper.proportions_of(stage, task := report.task(stage.task))
        if theirs is not None:
            series.append(Bars(f"paper, {task.stands_for}", theirs, colour, hollow=True))
            note = f"{note[:-1]}; hollow: the paper's {stage.agent} on {task.stands_for}."
    chart = action_bars(played[0].actions, series)
    return Plate(f"{_place(played[0])}-actions", "Proportions of the actions", chart, note)


def _best(report: ExperimentReport) -> Iterator[Part]:
    grid = tables.best_networks(report)
    if not grid.rows and not report.finals:
        return
    drawn = []
    for task in dict.fromkeys(stage.task for stage in report.stages):
        trained = [stage for stage in report.stages if stage.task == task and not stage.surrogate]
        pairs = [(stage, best[1]) for stage in trained if (best := tables.best_of(stage))]
        if pairs:
            stage, episode = max(pairs, key=lambda pair: pair[1].best)
            note = f"By {stage.agent}: {percent(episode.best, 2)}."
            architecture = parse_architecture(episode.best_network or "")
            planned = _planned(report, architecture, task, report.profile)
            drawn.append(NetworkPlate(f"{_slug(task)}-network", f"Best on {task}", architecture, planned, note))
    drawn += [_final_plate(report, number, one) for number, one in enumerate(report.finals, start=1)]
    yield Part("networks", "Best networks", networks=tuple(drawn), grid=grid if grid.rows else None)


def _final_plate(report: ExperimentReport, number: int, one: FinalRecord) -> NetworkPlate:
    architecture = parse_architecture(one.architecture)
    planned = _planned(report, architecture, one.task, one.profile)
    reached = percent(float(np.mean(one.reported)), 2) if one.reported else ""
    notes = [f"Trained more intensively: {reached} of the {one.images}."] if reached else []
    if one.failures:
        notes.append(f"{plural(len(one.failures), 'training')} failed: {one.failures[0]}")
    note = " ".join(notes)
    return NetworkPlate(f"{_slug(one.task)}-final-{number}", f"{one.label}, {one.task}", architecture, planned, note)


def _planned(
    report: ExperimentReport, architecture: Architecture, task: str, profile: NetworkProfile | None
) -> Plan | None:
    if profile is None:
        return None
    where = report.task(task)
    return plan(architecture, where.input_shape, where.classes, profile)


def _hardness(report: ExperimentReport, paper: Paper) -> Part:
    walked = {one.task: one.accuracies for one in report.hardness if one.accuracies}
    ordered = dict(sorted(walked.items(), key=lambda item: -float(np.median(item[1]))))
    note = "Accuracies of the networks that random actions built. Box: quartiles; line: median."
    plates = (Plate("hardness", "Hardness", accuracy_boxes(ordered), note),) if ordered else ()
    text = f"Appendix A of the paper: {paper.hardness_summary}."
    return Part("hardness", "How hard the data sets are", text, plates=plates, grid=tables.hardness(report, paper))


def _slug(text: str) -> str:
    """Return a text as a part of a file name."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "task"
