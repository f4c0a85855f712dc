"""One experiment with several seeds: what the report of each says, and the same numbers over all of them."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from nasgym.core.errors import ReportError
from nasgym.report.statistics import Interval, mean_interval

REPORT = "report.json"
_LISTED = 5
"""Differences between two reports that an error names."""


@dataclass(frozen=True, slots=True)
class Unit:
    """What a number counts.

    Attributes:
        name: for people.
        factor: how many of it 1 is.
        form: how it is written, as `format` has it.
        is_averaged: whether a mean over seeds means anything.
    """

    name: str
    factor: float
    form: str
    is_averaged: bool = True

    def written(self, value: float) -> str:
        """Return a number as text, without the name of its unit.

        >>> POINTS.written(-0.0123), PERCENT.written(0.5)
        ('−1.2', '50.0')
        """
        return f"{self.factor * value:{self.form}}".replace("-", "−")


POINTS = Unit("points", 100, "+.1f")
PERCENT = Unit("%", 100, ".1f")
NATS = Unit("nats", 1, "+.2f")
NETWORKS = Unit("networks", 1, "+.2f")
P = Unit("p", 1, ".4f", is_averaged=False)


@dataclass(frozen=True, slots=True)
class Number:
    """One number of a report.

    Attributes:
        where: stage or task that it is of.
        what: it is, in words; with `where` its name.
        unit: of it.
        value: the number; accuracies and shares in [0, 1].
    """

    where: str
    what: str
    unit: Unit
    value: float


@dataclass(frozen=True, slots=True)
class SeedReport:
    """What the report of an experiment with one seed says.

    Attributes:
        folder: that it is in.
        name: of the experiment.
        seed: of all of its stages.
        settings: that reports of the same experiment share, by name.
        numbers: in the order of its findings.
    """

    folder: Path
    name: str
    seed: int
    settings: dict[str, str]
    numbers: tuple[Number, ...]


@dataclass(frozen=True, slots=True)
class SeedRow:
    """One number over seeds.

    Attributes:
        what: it is, in words; different for every row of an experiment.
        unit: of it.
        values: by seed; `None` where its report has no such number.
    """

    what: str
    unit: Unit
    values: tuple[float | None, ...]

    @property
    def known(self) -> tuple[float, ...]:
        """The values that there are."""
        return tuple(value for value in self.values if value is not None)

    @property
    def mean(self) -> float | None:
        """Mean of the values that there are; `None` where it means nothing."""
        return sum(self.known) / len(self.known) if self.unit.is_averaged else None

    @property
    def interval(self) -> Interval | None:
        """The mean with its 95 % interval over seeds; `None` with one value, or where a mean means nothing."""
        return mean_interval(self.known) if self.unit.is_averaged else None


def read_seed_report(folder: Path) -> SeedReport:
    """Return what the `report.json` in the folder of an experiment says.

    Raises:
        ReportError: there is none, it is damaged, stages are not finished, or they have seeds of their own.
    """
    file = folder / REPORT
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        unfinished = [stage["name"] for stage in content["stages"] if stage["interrupted"]]
        seeds = list(map(int, content["seeds"]))
        found = SeedReport(folder, str(content["name"]), seeds[0], _settings(content), tuple(_numbers(content)))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ReportError(f"{folder} holds no {REPORT}; name folders of experiments, such as runs/NAME.") from error
    except OSError as error:
        raise ReportError(f"{file} cannot be read: {error.strerror}.") from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ReportError(
            f"{file} is damaged or of another version ({type(error).__name__}: {error}); the command that made it "
            "makes it anew, and trains nothing that is finished."
        ) from error
    if unfinished:
        raise ReportError(f"{folder} holds stages that are not finished: {', '.join(unfinished)}. Finish them first.")
    if len(seeds) > 1:
        listed = ", ".join(map(str, seeds))
        raise ReportError(
            f"{folder} holds stages with seeds of their own ({listed}): they would count once for every seed of the "
            "experiment. Leave `seed` out of its stages."
        )
    return found


def by_experiment(reports: Sequence[SeedReport]) -> dict[str, tuple[SeedReport, ...]]:
    """Return the reports of each experiment by its name, the lowest seed first.

    Raises:
        ReportError: two of one experiment have the same seed, or differ in more than the seed.
    """
    names = dict.fromkeys(report.name for report in reports)
    grouped = {
        name: tuple(sorted((one for one in reports if one.name == name), key=lambda one: one.seed)) for name in names
    }
    for together in grouped.values():
        for one, other in pairwise(together):
            _refuse_difference(one, other)
    return grouped


def seed_rows(reports: Sequence[SeedReport]) -> tuple[SeedRow, ...]:
    """Return every number of an experiment over its seeds, in the order in which reports have them.

    Args:
        reports: of one experiment with different seeds.
    """
    values = {report.seed: {(one.where, one.what): one.value for one in report.numbers} for report in reports}
    numbers = {(one.where, one.what): one for report in reports for one in report.numbers}
    spoken = Counter(what for _, what in numbers)
    return tuple(
        SeedRow(
            one.what if spoken[one.what] == 1 else f"{one.what} ({one.where})",
            one.unit,
            tuple(values[report.seed].get(key) for report in reports),
        )
        for key, one in numbers.items()
    )


def _refuse_difference(one: SeedReport, other: SeedReport) -> None:
    """Do nothing, unless two reports of one experiment cannot be summed up."""
    where = f"{one.folder} and {other.folder} both hold experiment {one.name!r}"
    if one.seed == other.seed:
        raise ReportError(f"{where} with seed {one.seed}; name one folder for each seed.")
    missing = "nothing"
    differing = [
        f"{key} ({one.settings.get(key, missing)} and {other.settings.get(key, missing)})"
        for key in {**one.settings, **other.settings}
        if one.settings.get(key) != other.settings.get(key)
    ]
    if differing:
        raise ReportError(
            f"{where}, but differ in {', '.join(differing[:_LISTED])}; seeds can be compared where nothing else "
            "differs: do all stages of the same file with each --seed."
        )


def _settings(content: Mapping[str, Any]) -> dict[str, str]:
    """Return what reports of one experiment share; the fingerprint is of what they do not list."""
    return {
        **{f"setting {name}": str(value) for name, value in content["settings"]},
        **{
            f"task {one['name']}": f"{one['classes']} classes, {one['images']} images, {one['input_shape']}"
            for one in content["tasks"]
        },
        **{f"stage {one['name']} on {one['task']}": f"{one['kind']}, {one['agent']}" for one in content["stages"]},
        **{f"final trainings on {one['task']}": "some" for one in content["intensive"]},
        **{f"short walk on {one['task']}": "one" for one in content["hardness"]},
        "fingerprint of the file": str(content["fingerprint"]),
    }


def _numbers(content: Mapping[str, Any]) -> Iterator[Number]:
    """Yield the numbers of a report that can be compared with those of another seed."""
    learning = {stage["name"] for stage in content["stages"] if stage["kind"] == "train"}
    for finding in content["findings"]:
        about, where, values = finding["about"], finding["where"], finding["values"]
        if about == "intensive training":
            yield from _trained(where, values, content["intensive"])
            continue
        for what, unit, value in _of_finding(about, values, learns=where in learning):
            yield Number(where, f"{finding['who']}: {what}" if finding["who"] else what, unit, float(value))


def _of_finding(about: str, values: Mapping[str, float], *, learns: bool) -> Iterator[tuple[str, Unit, float]]:
    """Yield what the numbers of a finding are, their unit, and themselves."""
    match about:
        case "trend":
            yield "best accuracy of an episode, last fifth less first", POINTS, values["estimate"]
        case "within meta-episodes":
            yield "best accuracy of an episode, end of a meta-episode less its beginning", POINTS, values["estimate"]
        case "multi-branch":
            yield "multi-branch networks of an episode, last fifth less first", NETWORKS, values["estimate"]
        case "against random":
            part = " of the last fifth" if learns else ""
            yield f"best accuracy of an episode{part}, less that of drawn actions", POINTS, values["estimate"]
        case "entropy":
            change = values["last"] - values["first"]
            yield "entropy of the policy, last fifth of the updates less first", NATS, change
        case "actions":
            yield "share of the actions that differ", PERCENT, values["distance"]
            yield "whether actions differ, by permutation", P, values["permutation p"]
            if "wilcoxon p" in values:
                yield "whether actions differ, by the paper's test", P, values["wilcoxon p"]
        case "hardness":
            for task, median in values.items():
                yield f"{task}: median accuracy of a short walk", PERCENT, median
        case _:
            raise ValueError(f"finding {about!r} is unknown")


def _trained(task: str, values: Mapping[str, float], trained: Sequence[Mapping[str, Any]]) -> Iterator[Number]:
    """Yield what networks reach when trained for long, and how the best one found compares with those designed."""
    mine = {one["label"]: one for one in trained if one["task"] == task}
    images = "test" if any(one["test"] for one in mine.values()) else "validation"
    for label, value in values.items():
        yield Number(task, f"{task}: {images} accuracy of {label}, trained for long", PERCENT, float(value))
    best = min((label for label in values if mine[label]["place"] > 0), key=lambda label: int(mine[label]["place"]))
    for label in values:
        if mine[label]["place"] == 0:
            what = f"{task}: {images} accuracy, trained for long, {best} less {label}"
            yield Number(task, what, POINTS, float(values[best] - values[label]))
