"""The HTML pages of agents: of a meta-training, and of a meta-test."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nasgym.report.formatting import duration, integer, percent, plural, quantity
from nasgym.report.meta_figures import Line, over_episodes, over_steps, proportions
from nasgym.report.meta_report import OWN, AgentFacts, MetaTestReport, TrainingReport
from nasgym.report.meta_statistics import (
    Stretch,
    accuracies_of,
    from_the_third_on,
    incumbents_of,
    mean_intervals,
    rewards_of,
    stretches,
)
from nasgym.report.pages import Grid, Page, Picture, Section, Tile, ending, picture, render_page, write_page
from nasgym.report.statistics import Interval
from nasgym.store import PlayedMetaEpisode

_INTERVAL = "The band is a 95 % bootstrap interval over meta-episodes, the tasks being as they are."


def render_training(report: TrainingReport) -> str:
    """Return the page of a meta-training as HTML text."""
    return render_page(_training_page(report))


def write_training(report: TrainingReport, path: Path) -> None:
    """Write the page of a meta-training, whole or not at all.

    Raises:
        ReportError: the file cannot be written.
    """
    write_page(render_training(report), path, "the training itself is safe in its store")


def render_test(report: MetaTestReport) -> str:
    """Return the page of a meta-test as HTML text."""
    return render_page(_test_page(report))


def write_test(report: MetaTestReport, path: Path) -> None:
    """Write the page of a meta-test, whole or not at all.

    Raises:
        ReportError: the file cannot be written.
    """
    write_page(render_test(report), path, "what was played is safe in its store")


def _training_page(report: TrainingReport) -> Page:
    facts = report.facts
    steps = report.updates[-1].steps if report.updates else 0
    kept = () if report.kept_update is None else report.looked(report.kept_update)
    if kept:
        (interval,) = _returns(kept)
        tasks = plural(len({one.task for one in kept}), "held-out task")
        claim = f"On {tasks} a meta-episode returns {_with_interval(interval)}."
    else:
        claim = f"{facts.agent} learned for {integer(steps)} steps."
    first = report.looked(0)
    lead = f"Untrained, it returned {_with_interval(*_returns(first))}." if first and kept else ""
    tiles = (
        Tile("Steps", quantity(steps), plural(len(report.updates), "update")),
        Tile("Time", duration(facts.seconds), _speed(report)),
        Tile("Kept policy", _kept_words(report), "best on the validation tasks"),
        Tile(
            "Networks trained",
            integer(report.evaluations),
            "each once" if report.evaluations else "every outcome was known",
        ),
    )
    return Page(
        kind="meta-training",
        name=facts.name,
        claim=claim,
        lead=lead,
        warning="The training was stopped before its end; the same command goes on." if facts.interrupted else "",
        tiles=tiles,
        sections=(*_training_sections(report), *_ending(facts)),
        created=facts.created,
    )


def _training_sections(report: TrainingReport) -> list[Section]:
    if not report.updates:
        return [Section("learning", "Learning", "Nothing to draw before the first update.")]
    parts = stretches(report.updates)
    sections = [
        Section("learning", "Learning", pictures=tuple(_learning_pictures(report, parts))),
        Section("behaviour", "What it does", pictures=tuple(_behaviour_pictures(report, parts))),
    ]
    if report.looks:
        sections.append(_validation_section(report))
    return sections


def _learning_pictures(report: TrainingReport, parts: Sequence[Stretch]) -> list[Picture]:
    steps = tuple(float(part.steps) for part in parts)
    lines = [Line("training tasks", steps, tuple(part.mean_return for part in parts))]
    at = report.steps_of_looks
    if at:
        intervals = [_returns(report.looked(number))[0] for number in at]
        lines.append(
            Line(
                "held-out tasks",
                tuple(float(step) for step in at.values()),
                tuple(one.estimate for one in intervals),
                tuple(one.low for one in intervals),
                tuple(one.high for one in intervals),
            )
        )
    return [
        picture("Return of a meta-episode", over_steps(lines, "return"), f"Sum of all its rewards. {_INTERVAL}"),
        picture(
            "Reward by episode",
            over_episodes(_by_episode(report), "reward"),
            "An agent that learns to search does better in later episodes of a meta-episode than in its first.",
        ),
    ]


def _by_episode(report: TrainingReport) -> list[Line]:
    """Return the reward by episode index, at the beginning and at the end of the training, and held out."""
    lines = []
    tenths = stretches(report.updates, points=10)
    for name, part, dashed in (("first tenth", tenths[0], True), ("last tenth", tenths[-1], False)):
        positions = tuple(float(index + 1) for index in range(len(part.rewards)))
        lines.append(Line(f"training tasks, {name}", positions, part.rewards, dashed=dashed))
    if report.kept_update is not None and (kept := report.looked(report.kept_update)):
        intervals = mean_intervals(rewards_of(kept), [one.task for one in kept])
        lines.append(Line.by_episode("held-out tasks, kept policy", intervals))
    return lines


def _behaviour_pictures(report: TrainingReport, parts: Sequence[Stretch]) -> list[Picture]:
    steps = tuple(float(part.steps) for part in parts)
    pictures = []
    entropies = tuple(part.entropy for part in parts)
    if any(entropy is not None for entropy in entropies):
        chart = over_steps([Line("policy", steps, entropies)], "entropy, nats")
        highest = f"Drawing all {len(report.actions)} actions alike would be {np.log(len(report.actions)):.2f} nats."
        pictures.append(picture("Policy entropy", chart, highest))
    if any(part.shares for part in parts):
        chart = proportions(steps, [part.shares for part in parts], report.actions)
        pictures.append(picture("Actions taken", chart, "Share of each action, on the training tasks."))
    lengths = tuple(part.episode_length for part in parts)
    chart = over_steps([Line("training tasks", steps, lengths)], "steps in an episode")
    pictures.append(picture("Length of episodes", chart, "Layers placed, and the terminal action."))
    return pictures


def _validation_section(report: TrainingReport) -> Section:
    kept = report.looked(report.kept_update or 0)
    rows = []
    for task in dict.fromkeys(one.task for one in kept):
        played = [one for one in kept if one.task == task]
        accuracies = accuracies_of(played)
        rows.append(
            (
                task,
                _with_interval(*_returns(played)),
                percent(float(accuracies[:, 0].mean())),
                percent(float(accuracies[:, -1].mean())),
                percent(float(incumbents_of(played)[:, -1].mean())),
            )
        )
    headings = ("Task", "Return", "First network", "Last network", "Best of the meta-episode")
    text = "The kept policy on tasks that it has not learned from; means of validation accuracies."
    return Section("validation", "Held-out tasks", text, grid=Grid(headings, tuple(rows)))


def _test_page(report: MetaTestReport) -> Page:
    facts = report.facts
    own = report.plays[OWN]
    accuracies = mean_intervals(accuracies_of(own), [one.task for one in own])
    best = mean_intervals(incumbents_of(own), [one.task for one in own])[-1]
    claim = (
        f"Its first network has {percent(accuracies[0].estimate)}, its last {percent(accuracies[-1].estimate)}; "
        f"the best of {plural(len(accuracies), 'network')} has {percent(best.estimate)}."
    )
    tiles = (
        Tile("Best of a meta-episode", percent(best.estimate), f"{percent(best.low)} to {percent(best.high)}"),
        Tile("First network", percent(accuracies[0].estimate), f"last {percent(accuracies[-1].estimate)}"),
        Tile("Meta-episodes", integer(len(own)), f"on {plural(len(report.tasks), 'task')}"),
        Tile("Time", duration(facts.seconds), "actions drawn" if not report.greedy else "most probable actions"),
    )
    return Page(
        kind="meta-test",
        name=facts.name,
        claim=claim,
        lead=_control_words(report),
        warning="",
        tiles=tiles,
        sections=(*_test_sections(report), *_ending(facts)),
        created=facts.created,
    )


def _control_words(report: MetaTestReport) -> str:
    """Return what the yoked control says; empty without one."""
    if not report.yoked:
        return ""
    difference = from_the_third_on(report.plays[OWN], report.plays[yoked_name(report.yoked)])
    if difference is None:
        return "Meta-episodes are too short for the yoked control, which counts from the third network on."
    points = f"{100 * difference.estimate:+.2f} points ({100 * difference.low:+.2f} to {100 * difference.high:+.2f})"
    verdict = "it uses what it is shown" if difference.low > 0 else "that it uses what it is shown is not seen by this"
    return (
        "Yoked control: where it is shown its own rewards, and not those that its networks earn on "
        f"{report.yoked}, accuracy from the third network on differs by {points}: {verdict}."
    )


def yoked_name(task: str) -> str:
    """Return what the play is called in which a policy is shown the rewards of another task."""
    return f"yoked to {task}"


def _test_sections(report: MetaTestReport) -> list[Section]:
    accuracy, incumbent = [], []
    for name, played in report.plays.items():
        tasks = [one.task for one in played]
        label = name or "policy"
        accuracy.append(Line.by_episode(label, mean_intervals(accuracies_of(played), tasks), dashed=name != OWN))
        incumbent.append(Line.by_episode(label, mean_intervals(incumbents_of(played), tasks), dashed=name != OWN))
    label = "validation accuracy"
    pictures = [
        picture("Networks by episode", over_episodes(accuracy, label, as_percent=True), f"Means. {_INTERVAL}"),
        picture("Best so far", over_episodes(incumbent, label, as_percent=True), f"Of each meta-episode. {_INTERVAL}"),
        picture("Reward by episode", over_episodes(_rewards(report), "reward"), _INTERVAL),
    ]
    if len(report.tasks) > 1:
        lines = [
            Line.by_episode(task, mean_intervals(incumbents_of(_on(report.plays[OWN], task)), [task] * n))
            for task in report.tasks
            if (n := len(_on(report.plays[OWN], task)))
        ]
        chart = over_episodes(lines, label, as_percent=True)
        pictures.append(picture("Best so far by task", chart, f"The policy itself. {_INTERVAL}"))
    sections = [Section("episodes", "From episode to episode", pictures=tuple(pictures)), _task_section(report)]
    if report.proposals:
        sections.append(_proposal_section(report))
    return sections


def _rewards(report: MetaTestReport) -> list[Line]:
    return [
        Line.by_episode(
            name or "policy", mean_intervals(rewards_of(played), [one.task for one in played]), dashed=name != OWN
        )
        for name, played in report.plays.items()
    ]


def _task_section(report: MetaTestReport) -> Section:
    rows = []
    for task in report.tasks:
        for name, played in report.plays.items():
            mine = _on(played, task)
            if not mine:
                continue
            accuracies = mean_intervals(accuracies_of(mine), [task] * len(mine))
            best = mean_intervals(incumbents_of(mine), [task] * len(mine))[-1]
            rows.append(
                (
                    task,
                    name or "policy",
                    percent(accuracies[0].estimate),
                    percent(accuracies[-1].estimate),
                    f"{percent(best.estimate, 2)} ({percent(best.low, 2)} to {percent(best.high, 2)})",
                    f"{np.mean([length for one in mine for length in one.lengths]):.1f}",
                )
            )
    headings = ("Task", "Who", "First network", "Last network", "Best of the meta-episode", "Steps an episode")
    return Section("tasks", "Task by task", "Means of validation accuracies.", grid=Grid(headings, tuple(rows), 2))


def _proposal_section(report: MetaTestReport) -> Section:
    rows = tuple(
        (one.task, one.architecture, percent(one.accuracy, 2), percent(one.test, 2), integer(one.times))
        for one in report.proposals
    )
    headings = ("Task", "Network", "Validation", "Test", "Meta-episodes")
    text = "The networks that were most often the best of their meta-episode."
    if report.test_meaning:
        text += f" Test: {report.test_meaning}; nothing was chosen by it."
    return Section("proposals", "Proposals", text, grid=Grid(headings, rows, 2))


def _ending(facts: AgentFacts) -> tuple[Section, ...]:
    versions = ", ".join(f"{name} {version}" for name, version in facts.versions)
    pairs = [("Run", facts.run), ("Hardware", facts.hardware), ("Versions", versions), ("Commit", facts.commit)]
    return ending(facts.settings, facts.command, pairs)


def _on(played: Sequence[PlayedMetaEpisode], task: str) -> list[PlayedMetaEpisode]:
    return [one for one in played if one.task == task]


def _returns(played: Sequence[PlayedMetaEpisode]) -> tuple[Interval, ...]:
    """Return the mean return of a meta-episode with its interval."""
    return mean_intervals(rewards_of(played).sum(axis=1, keepdims=True), [one.task for one in played])


def _with_interval(interval: Interval) -> str:
    return f"{interval.estimate:.3f} ({interval.low:.3f} to {interval.high:.3f})"


def _speed(report: TrainingReport) -> str:
    seconds = sum(update.seconds for update in report.updates)
    return f"{quantity(report.updates[-1].steps / seconds)} steps/s while learning" if seconds > 0 else ""


def _kept_words(report: TrainingReport) -> str:
    if report.kept_update is None:
        return "the last"
    return f"{quantity(report.steps_of_looks[report.kept_update])} steps" if report.kept_update else "untrained"
