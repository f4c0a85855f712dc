"""How the paper's networks rank among random ones: values, tables and the figure of docs/paper-networks.md."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from math import comb
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.fidelity_report import markdown
from nasgym.core.randomness import stream
from nasgym.report.experiment_paper import read_paper
from nasgym.report.formatting import percent
from nasgym.report.statistics import Interval, proportion_interval
from nasgym.report.style import PALETTE, SERIES, Chart, accuracy_axis, legend, new_axes, style

TABLE = Path(__file__).with_name("paper_networks.csv")
RANDOM = "random"
"""Origin of the networks that the paper's are ranked against; the origin of those is their figure."""
RESAMPLES = 5000
OWN_SETS = {"omniglot": "omniglot", "vgg_flower": "flowers5", "dtd": "dtd10"}
"""Our set of the same kind as a set of the paper."""
FOUND_ON = {one.figure: one.dataset for one in read_paper().networks}
"""Set of the paper that a network was found on, by its figure."""


@dataclass(frozen=True, slots=True)
class Row:
    """One training.

    Attributes:
        set: name of the data set.
        origin: figure of the paper, or `random`.
        network: text of the architecture.
        seed: of the evaluation.
        parameters: trainable ones.
        flops: for one image.
        accuracy: on the validation images, in [0, 1]; 0 for a failure.
    """

    set: str
    origin: str
    network: str
    seed: int
    parameters: int
    flops: int
    accuracy: float


@dataclass(frozen=True)
class Trainings:
    """All trainings of the benchmark.

    Attributes:
        rows: in any order.
        about: what they have in common, by name: side, epochs, images, processor.
    """

    rows: tuple[Row, ...]
    about: dict[str, object]

    @cached_property
    def sets(self) -> tuple[str, ...]:
        """Names of the data sets, in the order of the rows."""
        return tuple(dict.fromkeys(row.set for row in self.rows))

    @cached_property
    def origins(self) -> tuple[str, ...]:
        """Figures of the paper, in alphabetical order."""
        return tuple(sorted({row.origin for row in self.rows} - {RANDOM}))

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        """Seeds, the lowest first."""
        return tuple(sorted({row.seed for row in self.rows}))

    def random(self, name: str) -> NDArray[np.float64]:
        """Return the accuracy of every random network on a set, mean over seeds, in alphabetical order of networks."""
        networks = sorted({row.network for row in self.rows if row.origin == RANDOM})
        return np.array([self.accuracy(name, RANDOM, network) for network in networks])

    def accuracy(self, name: str, origin: str, network: str = "") -> float:
        """Return the accuracy of a network on a set, mean over seeds."""
        found = [
            row.accuracy
            for row in self.rows
            if (row.set, row.origin) == (name, origin) and network in ("", row.network)
        ]
        return float(np.mean(found))


def write_trainings(trainings: Trainings, file: Path) -> None:
    """Write a line of JSON about them all, then CSV."""
    text = io.StringIO()
    text.write(json.dumps(trainings.about) + "\n")
    writer = csv.DictWriter(text, [field.name for field in fields(Row)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in trainings.rows)
    file.write_text(text.getvalue(), encoding="utf-8")


def read_trainings(file: Path = TABLE) -> Trainings:
    """Return what `write_trainings` wrote."""
    head, *lines = file.read_text(encoding="utf-8").splitlines()
    rows = tuple(
        Row(
            line["set"],
            line["origin"],
            line["network"],
            int(line["seed"]),
            int(line["parameters"]),
            int(line["flops"]),
            float(line["accuracy"]),
        )
        for line in csv.DictReader(lines)
    )
    return Trainings(rows, json.loads(head))


def percentile(accuracy: float, others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the share of `others` that are worse, equal ones counted half, along their last axis.

    >>> float(percentile(0.5, np.array([0.1, 0.5, 0.7, 0.2])))
    0.625
    """
    return np.asarray((others < accuracy).mean(axis=-1) + (others == accuracy).mean(axis=-1) / 2)


def rank(accuracy: float, others: NDArray[np.float64]) -> int:
    """Return the rank among `others`, 1 for the best; of equals the first."""
    return 1 + int((others > accuracy).sum())


def mean_percentile(trainings: Trainings, origins: Sequence[str], names: Sequence[str]) -> Interval:
    """Return the mean percentile of networks over sets, with a 95 % bootstrap interval over the random networks.

    The sets and the networks of the paper are what they are; the random networks are the sample.
    """
    others = np.stack([trainings.random(name) for name in names])
    picks = stream(0, "paper-networks", "bootstrap").integers(others.shape[1], size=(RESAMPLES, others.shape[1]))
    drawn, known = [], []
    for values, name in zip(others, names, strict=True):
        for origin in origins:
            accuracy = trainings.accuracy(name, origin)
            known.append(float(percentile(accuracy, values)))
            drawn.append(percentile(accuracy, values[picks]))
    low, high = np.quantile(np.mean(drawn, axis=0), (0.025, 0.975))
    return Interval(float(np.mean(known)), float(low), float(high))


def rank_table(trainings: Trainings) -> str:
    """Return rank and accuracy of each network of the paper on each set, and its mean percentile over the sets."""
    own = {figure: OWN_SETS.get(dataset) for figure, dataset in FOUND_ON.items()}
    rows = []
    for name in trainings.sets:
        others, cells = trainings.random(name), []
        for origin in trainings.origins:
            accuracy = trainings.accuracy(name, origin)
            bold = "**" if own.get(origin) == name else ""
            cells.append(f"{bold}{rank(accuracy, others)}{bold} ({_plain(accuracy)})")
        rows.append((name, *cells))
    means = [mean_percentile(trainings, [origin], trainings.sets) for origin in trainings.origins]
    rows.append(("mean percentile", *map(_shares, means)))
    return markdown(("rank among the random ones", *trainings.origins), rows)


def set_table(trainings: Trainings) -> str:
    """Return by set what random networks reach, and the best of the paper's."""
    rows = []
    for name in trainings.sets:
        others = trainings.random(name)
        low, middle, high = np.quantile(others, (0, 0.5, 1))
        best = max(trainings.origins, key=lambda origin: trainings.accuracy(name, origin))
        accuracy = trainings.accuracy(name, best)
        share = proportion_interval(float(percentile(accuracy, others)), len(others))
        drawn = expected_best(others, len(trainings.origins))
        mean = mean_percentile(trainings, trainings.origins, [name])
        rows.append(
            (
                name,
                str(len(others)),
                *map(_plain, (low, middle, high)),
                f"{best}: {_plain(accuracy)}",
                _shares(share),
                _plain(drawn),
                _shares(mean),
            )
        )
    everywhere = mean_percentile(trainings, trainings.origins, trainings.sets)
    rows.append(("all sets", *("",) * 7, _shares(everywhere)))
    header = (
        *("set", "random networks", "worst", "median", "best", "best of the paper's", "its percentile"),
        *(f"best of {len(trainings.origins)} random ones, expected", "mean percentile of the paper's"),
    )
    return markdown(header, rows)


def expected_best(values: NDArray[np.float64], n: int) -> float:
    """Return the expected best of `n` values drawn without replacement.

    >>> expected_best(np.array([1.0, 2.0, 3.0]), 2)  # pairs: 2, 3, 3
    2.6666666666666665
    """
    chances = [comb(index, n - 1) / comb(len(values), n) for index in range(len(values))]
    return float(np.sort(values) @ chances)


def figure(trainings: Trainings) -> Chart:
    """Return the accuracies on every set: random networks as dots, those of the paper by their figures."""
    generator = stream(0, "paper-networks", "jitter")
    with style():
        drawn, axes = new_axes()
        drawn.set_size_inches(7.6, 3.8)
        for place, name in enumerate(trainings.sets):
            others = trainings.random(name)
            spots = place - 0.24 + 0.12 * generator.uniform(-1, 1, len(others))
            label = {"label": f"{len(others)} random networks"} if place == 0 else {}
            axes.scatter(spots, others, s=13, color=PALETTE["faint"], linewidths=0, **label)
            axes.hlines(np.median(others), place - 0.4, place - 0.08, color=PALETTE["soft"], linewidth=1.2)
            for number, origin in enumerate(trainings.origins):
                axes.scatter(
                    place + 0.02 + 0.065 * number,
                    trainings.accuracy(name, origin),
                    s=26,
                    marker="D" if number >= len(SERIES) else "o",
                    color=PALETTE[SERIES[number % len(SERIES)]],
                    edgecolors=PALETTE["paper"],
                    linewidths=0.6,
                    **({"label": f"figure {origin}"} if place == 0 else {}),
                )
        axes.set_xticks(range(len(trainings.sets)), trainings.sets)
        axes.grid(visible=False, axis="x")
        accuracy_axis(axes, "validation accuracy")
        legend(drawn, axes)
    best = ", ".join(f"{name} {percent(float(trainings.random(name).max()))}" for name in trainings.sets)
    return Chart(drawn, f"Accuracies of random networks and of the paper's. Best random ones: {best}.")


def _plain(accuracy: float) -> str:
    return f"{100 * accuracy:.1f}"


def _shares(interval: Interval) -> str:
    return f"{100 * interval.estimate:.0f} ({100 * interval.low:.0f} to {100 * interval.high:.0f})"
