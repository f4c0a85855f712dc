"""What the numbers of an experiment show, in sentences that say no more than they do."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import log

import numpy as np

from nasgym.report.experiment_paper import Paper
from nasgym.report.experiment_report import EpisodeRecord, ExperimentReport, StageKind, StageRecord
from nasgym.report.experiment_statistics import (
    Sample,
    SignedRank,
    ends,
    mean_difference,
    multi_branch_count,
    paired_difference,
    share_distance,
    shares,
    signed_rank,
    two_deviations,
)
from nasgym.report.formatting import integer, percent, plural
from nasgym.report.statistics import Interval

FEWEST = 5
"""Meta-episodes, or episodes that belong to none, on each side of a comparison, so that it is made."""
_HARDLY = 0.02
"""Nats."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence, and the numbers it speaks of.

    Attributes:
        about: what it is a finding of: `trend`, `against random`, …
        where: stage or task.
        text: for people.
        values: by name.
        who: agent and task in words, `dqn on omniglot`; empty where it is of no one agent.
    """

    about: str
    where: str
    text: str
    values: dict[str, float]
    who: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The actions of two stages of the same kind.

    Attributes:
        one: first stage.
        other: second stage.
        test: the paper's; `None` where the proportions are equal.
        distance: of total variation, in [0, 1].
        p: of that distance, by permutation of meta-episodes.
    """

    one: StageRecord
    other: StageRecord
    test: SignedRank | None
    distance: float
    p: float


def findings(report: ExperimentReport, paper: Paper) -> tuple[Finding, ...]:
    """Return everything that can be said of an experiment, in the order of its stages."""
    names = [stage.name for stage in report.stages]
    return (
        *(one for number, stage in enumerate(report.stages) for one in _of_stage(stage, stage.name in names[:number])),
        *_against_random(report),
        *(_of_comparison(one, paper) for one in comparisons(report)),
        *_of_finals(report, paper),
        *_of_hardness(report),
    )


def comparisons(report: ExperimentReport) -> tuple[Comparison, ...]:
    """Return the action proportions of every two frozen stages of one agent with the same actions, compared."""
    frozen = [stage for stage in report.stages if stage.kind is StageKind.FROZEN and stage.episodes]
    pairs = [
        (one, other)
        for one, other in combinations(frozen, 2)
        if one.actions == other.actions and one.agent == other.agent and one.task != other.task
    ]
    return tuple(_compared(one, other) for one, other in pairs)


def _compared(one: StageRecord, other: StageRecord) -> Comparison:
    n_actions = len(one.actions)
    test = signed_rank(shares(one.episodes, n_actions), shares(other.episodes, n_actions))
    return Comparison(one, other, test, *share_distance(one.episodes, other.episodes, n_actions))


def _of_stage(stage: StageRecord, is_continued: bool) -> Iterator[Finding]:
    """Yield what can be said of a stage; its policy has been spoken of where it is continued, on another task."""
    if stage.kind is StageKind.WALK:
        return
    who = f"{stage.agent} on {stage.task}"
    first, last = (Sample.of(part, _best) for part in ends(stage.episodes))
    if min(first.n_groups, last.n_groups) >= FEWEST:
        yield _trend(stage, who, first, last)
    if stage.entropies and not is_continued:
        yield _entropy(stage, who)
    yield from _branches(stage, who)
    yield from _within(stage, who)


def _trend(stage: StageRecord, who: str, first: Sample, last: Sample) -> Finding:
    change = mean_difference(last, first)
    text = (
        f"{who}: the best accuracy of an episode is {percent(first.mean)} in the first fifth of "
        f"{integer(len(stage.episodes))} episodes and {percent(last.mean)} in the last: "
        f"{_points(change)}{_seen(change)}."
    )
    return Finding("trend", stage.name, text, _values(change), who)


def _branches(stage: StageRecord, who: str) -> Iterator[Finding]:
    known: dict[str, bool] = {}
    first, last = (Sample.of(part, lambda one: multi_branch_count(one, known)) for part in ends(stage.episodes))
    if stage.sigma is not None and min(first.n_groups, last.n_groups) >= FEWEST:
        change = mean_difference(last, first)
        text = (
            f"{who}: multi-branch networks of an episode, first and last fifth: {first.mean:.2f} and "
            f"{last.mean:.2f}, a change of {_signed(change)}{_seen(change)}."
        )
        yield Finding("multi-branch", stage.name, text, _values(change), who)


def _within(stage: StageRecord, who: str) -> Iterator[Finding]:
    """Yield how the last third of the episodes of meta-episodes differs from their first third."""
    late = stage.episodes[len(stage.episodes) // 2 :]
    places = max((episode.place for episode in late), default=1)
    third = max(1, places // 3)
    begun = Sample.of([one for one in late if one.place <= third], _best)
    ended = Sample.of([one for one in late if one.place > places - third], _best)
    if places < 2 or len(set(begun.groups) & set(ended.groups)) < FEWEST:
        return
    change = paired_difference(ended, begun)
    text = (
        f"{who}: within the meta-episodes of the second half of the stage, the last {plural(third, 'episode')} of "
        f"{places} differ from the first by {_points(change)}{_seen(change)}."
    )
    yield Finding("within meta-episodes", stage.name, text, _values(change), who)


def _best(episode: EpisodeRecord) -> float:
    return episode.best


def _entropy(stage: StageRecord, who: str) -> Finding:
    nats = [value for _, value in stage.entropies]
    count = max(1, len(nats) // 5)
    first, last = float(np.mean(nats[:count])), float(np.mean(nats[-count:]))
    verb = "hardly moved" if abs(last - first) < _HARDLY else "fell" if last < first else "rose"
    text = (
        f"{who}: the entropy of the policy {verb}, from {first:.2f} to {last:.2f} nats (first and last fifth of the "
        f"updates; {log(len(stage.actions)):.2f} when all actions are alike)."
    )
    values = {"first": first, "last": last, "uniform": log(len(stage.actions))}
    return Finding("entropy", stage.name, text, values, who)


def _against_random(report: ExperimentReport) -> Iterator[Finding]:
    walks = {one.task: one for one in report.stages if one.kind is StageKind.WALK}
    for stage in report.stages:
        walk = walks.get(stage.task)
        if walk is None or stage.kind is StageKind.WALK or not (stage.episodes and walk.episodes):
            continue
        if stage.surrogate:  # what was predicted is not measured against what was trained
            continue
        learning = stage.kind is StageKind.TRAIN
        episodes = ends(stage.episodes)[1] if learning else stage.episodes
        mine, theirs = Sample.of(episodes, _best), Sample.of(walk.episodes, _best)
        if min(mine.n_groups, theirs.n_groups) < FEWEST:
            continue
        difference = mean_difference(mine, theirs)
        who = f"{stage.agent} on {stage.task}"
        text = (
            f"{who}: episodes reach {percent(mine.mean)}"
            f"{' in the last fifth' if learning else ''}, those of {walk.agent} {percent(theirs.mean)}: "
            f"{_points(difference)}{_seen(difference)}."
        )
        yield Finding("against random", stage.name, text, _values(difference), who)


def _of_comparison(one: Comparison, paper: Paper) -> Finding:
    where = f"{one.one.task} and {one.other.task}"
    who = f"{one.one.agent} on {where}"
    values = {"distance": one.distance, "permutation p": one.p}
    if one.test is None:
        return Finding("actions", where, f"{one.one.agent} takes all actions equally often on {where}.", values, who)
    tested = one.test
    values |= {"wilcoxon p": tested.normal, "wilcoxon exact p": tested.exact, "wilcoxon statistic": tested.statistic}
    verdict = "they differ" if one.p < 0.05 else "no difference is seen"
    text = (
        f"Actions of {who}: Wilcoxon's signed-rank test on the proportions gives p = "
        f"{tested.normal:.2f} ({tested.exact:.2f} exact; the paper: {paper.wilcoxon_p:.2f}). Proportions sum to 1 "
        "on both sides, so their mean difference is 0 whatever the policy does, and a large p is no evidence that it "
        f"does the same. By permutation of meta-episodes, {percent(one.distance)} of the actions differ, "
        f"p = {one.p:.4f}: {verdict}."
    )
    return Finding("actions", where, text, values, who)


def _of_finals(report: ExperimentReport, paper: Paper) -> Iterator[Finding]:
    for task in dict.fromkeys(one.task for one in report.finals):
        mine = [one for one in report.finals if one.task == task and one.reported]
        found = [one for one in mine if one.place > 0]
        designed = [one for one in mine if one.place == 0]
        if not found or not designed:
            continue
        listed = ", ".join(f"{one.label} {spread(one.reported)}" for one in found)
        text = f"{task}, trained more intensively: {listed}; {designed[0].label} {spread(designed[0].reported)}."
        if not designed[0].test:
            text += " These are accuracies on validation images, since there are no others."
        theirs = paper.training(report.task(task), 0)
        if theirs is not None:
            best = paper.training(report.task(task), 1)
            if best is not None:
                text += (
                    f" The paper on {theirs.dataset}: {with_spread(best.mean, best.two_sd)} against "
                    f"{with_spread(theirs.mean, theirs.two_sd)}."
                )
        values = {one.label: float(np.mean(one.reported)) for one in mine}
        yield Finding("intensive training", task, text, values)


def _of_hardness(report: ExperimentReport) -> Iterator[Finding]:
    medians = {one.task: float(np.median(one.accuracies)) for one in report.hardness if one.accuracies}
    if medians:
        ordered = sorted(medians, key=lambda name: -medians[name])
        listed = ", ".join(f"{name} {percent(medians[name])}" for name in ordered)
        yield Finding(
            "hardness", "all", f"From the easiest to the hardest by the median of a short walk: {listed}.", medians
        )


def spread(accuracies: Sequence[float]) -> str:
    """Return mean and twice the standard deviation: `49.18 ± 1.20 %`; the mean alone for a single training."""
    return with_spread(float(np.mean(accuracies)), two_deviations(accuracies))


def with_spread(mean: float, two_sd: float | None) -> str:
    """Return a mean in [0, 1] and twice its standard deviation as percentages."""
    return percent(mean, 2) if two_sd is None else f"{100 * mean:.2f} ± {100 * two_sd:.2f}\u00a0%"


def _points(change: Interval) -> str:
    return _minus(f"{100 * change.estimate:+.1f} points ({100 * change.low:+.1f} to {100 * change.high:+.1f})")


def _signed(change: Interval) -> str:
    return _minus(f"{change.estimate:+.2f} ({change.low:+.2f} to {change.high:+.2f})")


def _minus(text: str) -> str:
    return text.replace("-", "−")


def _seen(change: Interval) -> str:
    return "" if change.low > 0 or change.high < 0 else ", which is no difference that these episodes can show"


def _values(change: Interval) -> dict[str, float]:
    return {"estimate": change.estimate, "low": change.low, "high": change.high}
