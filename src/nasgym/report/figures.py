"""Figures as pure functions from numbers: one look, colours that colour-blind people tell apart, no pyplot."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from nasgym.report.formatting import percent, quantity
from nasgym.report.statistics import incumbents, pareto_front

PALETTE = MappingProxyType(
    {
        "ink": "#1d2433",
        "soft": "#5c6678",
        "faint": "#9aa3b2",
        "line": "#e3e7ee",
        "paper": "#fffffe",
        "blue": "#0072b2",
        "orange": "#d98200",
        "green": "#008a63",
        "red": "#cf4a00",
        "purple": "#b0568e",
        "sky": "#3a9bd9",
    }
)
"""Every colour of every figure, by the name it has in the style sheet; the hues are Okabe and Ito's, evened out."""

SERIES = ("blue", "orange", "green", "purple", "sky", "red")
"""Order in which curves take their colours."""

FONT = "DejaVu Sans"
"""Font that figures are measured with; a page shows its own, which is narrower."""

_STYLE: dict[Any, object] = {
    "font.family": "sans-serif",
    "font.sans-serif": [FONT],
    "font.size": 8.4,
    "svg.fonttype": "none",
    "svg.hashsalt": "nasgym",
    "axes.edgecolor": PALETTE["faint"],
    "axes.labelcolor": PALETTE["soft"],
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "grid.color": PALETTE["line"],
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "legend.labelcolor": PALETTE["ink"],
    "text.color": PALETTE["ink"],
    "text.parse_math": False,
    "xtick.color": PALETTE["faint"],
    "ytick.color": PALETTE["faint"],
    "xtick.labelcolor": PALETTE["soft"],
    "ytick.labelcolor": PALETTE["soft"],
    "lines.linewidth": 1.8,
}
_SIZE = (5.2, 3.5)
_LABEL_PLACES = ((0, 9), (11, 0), (-11, 0), (0, -10), (11, 9), (-11, 9), (11, -10), (-11, -10))


@dataclass(frozen=True)
class Chart:
    """A figure with what pictures alone do not say.

    Attributes:
        figure: the matplotlib figure, drawn under `style`.
        description: one sentence for people who do not see it.
        hover: for each artist with a gid, one text per point, in the order of its points.
    """

    figure: Figure
    description: str
    hover: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Level:
    """A horizontal line to compare with.

    Attributes:
        name: what it is.
        accuracy: in [0, 1].
    """

    name: str
    accuracy: float


@dataclass(frozen=True, slots=True)
class Point:
    """A network in a figure of accuracy against cost.

    Attributes:
        name: text shown when pointed at.
        cost: parameters, at least 1.
        accuracy: in [0, 1].
        label: a letter beside the point; empty for none.
        before: accuracy before the longer training; `None` where there was none.
    """

    name: str
    cost: float
    accuracy: float
    label: str = ""
    before: float | None = None


@dataclass(frozen=True, slots=True)
class Curve:
    """A learning curve.

    Attributes:
        name: what the legend calls it.
        accuracies: in [0, 1], one an epoch.
    """

    name: str
    accuracies: tuple[float, ...]


@contextmanager
def style() -> Iterator[None]:
    """Draw and save figures in the report's look; matplotlib's own settings return afterwards."""
    with mpl.rc_context(_STYLE):
        yield


def anytime_curve(
    positions: Sequence[float],
    scores: Sequence[float | None],
    names: Sequence[str],
    levels: Sequence[Level] = (),
    *,
    unit: str,
) -> Chart:
    """Return the best validation accuracy so far against what was spent.

    Args:
        positions: spent when each outcome was known, rising; one an evaluation.
        scores: accuracy in [0, 1], `None` for a failure.
        names: text shown when an evaluation is pointed at.
        levels: baselines, drawn as dashed lines.
        unit: label of the horizontal axis.
    """
    best = incumbents(scores)
    evaluations = list(zip(positions, scores, best, names, strict=True))
    failed = [(at, name) for at, score, _, name in evaluations if score is None]
    known = [(at, score, name) for at, score, _, name in evaluations if score is not None]
    steps = [(at, value) for at, _, value, _ in evaluations if value is not None]
    with style():
        figure, axes = _axes()
        axes.plot(
            [at for at, _ in steps],
            [value for _, value in steps],
            drawstyle="steps-post",
            color=PALETTE["blue"],
            linewidth=2.4,
            label="best so far",
            zorder=3,
        )
        axes.scatter(
            [at for at, _, _ in known],
            [score for _, score, _ in known],
            s=17,
            color=PALETTE["faint"],
            edgecolors=PALETTE["paper"],
            linewidths=0.4,
            label="each network",
            gid="evaluations",
            zorder=4,
        )
        _draw_levels(axes, levels)
        if failed:
            axes.scatter(
                [at for at, _ in failed],
                [0.025] * len(failed),
                transform=axes.get_xaxis_transform(),
                s=20,
                marker="x",
                linewidths=1.2,
                color=PALETTE["red"],
                label="failed",
                gid="failures",
                zorder=3,
            )
        whole = all(float(at).is_integer() for at in positions)
        axes.set_xlim(0, max(positions) * 1.02)
        _accuracy_axis(axes, "validation accuracy")
        axes.set_xlabel(unit)
        axes.xaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10], integer=whole))
        _legend(figure, axes)
    reached = f"It ends at {percent(steps[-1][1])}." if steps else "No network could be evaluated."
    return Chart(
        figure,
        f"Best validation accuracy so far against {unit}, over {len(scores)} networks. {reached}",
        {"evaluations": tuple(name for _, _, name in known), "failures": tuple(name for _, name in failed)},
    )


def accuracy_against_cost(
    points: Sequence[Point],
    promoted: Sequence[Point] = (),
    compared: Sequence[Point] = (),
    levels: Sequence[Level] = (),
    *,
    unit: str,
) -> Chart:
    """Return accuracy against cost (logarithmic), with the Pareto front of `points`.

    Args:
        points: networks of the search, at least one.
        promoted: networks after a longer training, labelled with their letters.
        compared: baselines of known cost.
        levels: baselines of unknown cost, drawn as dashed lines.
        unit: label of the horizontal axis.
    """
    front = pareto_front([point.cost for point in points], [point.accuracy for point in points])
    on_front = [points[index] for index in front]
    beside = [point for index, point in enumerate(points) if index not in front]
    with style():
        figure, axes = _axes()
        _draw_points(axes, beside, "faint", "network of the search", gid="networks", size=18)
        axes.plot(
            [point.cost for point in on_front],
            [point.accuracy for point in on_front],
            drawstyle="steps-post",
            color=PALETTE["blue"],
            linewidth=1.2,
            zorder=2,
        )
        _draw_points(axes, on_front, "blue", "best for its size", gid="front", size=26)
        for point in promoted:
            if point.before is not None:
                axes.plot([point.cost] * 2, [point.before, point.accuracy], color=PALETTE["orange"], lw=1, zorder=2)
        _draw_points(axes, promoted, "orange", "after longer training", gid="promoted", size=42, marker="D")
        _draw_points(axes, compared, "purple", "baseline", gid="compared", size=42, marker="s")
        _draw_levels(axes, levels)
        axes.set_xscale("log")
        _cost_axis(axes, [point.cost for point in (*points, *promoted, *compared)])
        _accuracy_axis(axes, "validation accuracy")
        axes.set_xlabel(unit)
        _legend(figure, axes)
        _place_labels(figure, axes, promoted)
    best = max(points, key=lambda point: point.accuracy)
    return Chart(
        figure,
        f"Validation accuracy against {unit} of {len(points)} networks; {len(on_front)} are the best for their size. "
        f"The most accurate reaches {percent(best.accuracy)} with {quantity(best.cost)}.",
        {
            "networks": tuple(point.name for point in beside),
            "front": tuple(point.name for point in on_front),
            "promoted": tuple(point.name for point in promoted),
            "compared": tuple(point.name for point in compared),
        },
    )


def learning_curves(curves: Sequence[Curve]) -> Chart:
    """Return validation accuracy against epochs, one line a network."""
    with style():
        figure, axes = _axes()
        for index, curve in enumerate(curves):
            epochs = range(1, len(curve.accuracies) + 1)
            colour = PALETTE[SERIES[index % len(SERIES)]]
            marker = "o" if len(curve.accuracies) == 1 else ""
            axes.plot(epochs, curve.accuracies, color=colour, label=curve.name, marker=marker, zorder=10 - index)
        axes.set_xlim(0, 1.02 * max(len(curve.accuracies) for curve in curves))
        axes.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10], integer=True))
        _accuracy_axis(axes, "validation accuracy")
        axes.set_xlabel("epochs")
        _legend(figure, axes)
    ends = ", ".join(f"{curve.name} {percent(curve.accuracies[-1])}" for curve in curves)
    return Chart(figure, f"Validation accuracy after each epoch of the longer training. At the end: {ends}.")


def _axes() -> tuple[Figure, Axes]:
    figure = Figure(figsize=_SIZE, layout="constrained")
    return figure, figure.subplots()


def _accuracy_axis(axes: Axes, label: str) -> None:
    low, high = axes.get_ylim()
    axes.set_ylim(max(-0.02, low), min(1.02, high))
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: percent(value, 0 if _is_whole(100 * value) else 1)))
    axes.set_ylabel(label)


def _is_whole(value: float) -> bool:
    return abs(value - round(value)) < 1e-6


def _cost_axis(axes: Axes, costs: Sequence[float]) -> None:
    """Round ticks of 1, 2 and 5, thinned until at most seven remain; a margin of a fifth of an octave or more."""
    low, high = min(costs) / 1.3, max(costs) * 1.3
    axes.set_xlim(low, high)
    for multiples in ((1, 2, 5), (1, 3), (1,)):
        ticks = [m * 10.0**power for power in range(16) for m in multiples if low <= m * 10.0**power <= high]
        if len(ticks) <= 7:
            break
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _round_quantity(value)))


def _round_quantity(value: float) -> str:
    number, _, prefix = quantity(value).partition("\u00a0")
    return f"{float(number):g}{prefix}"


def _draw_points(
    axes: Axes, points: Sequence[Point], colour: str, label: str, *, gid: str, size: float, marker: str = "o"
) -> None:
    if points:
        axes.scatter(
            [point.cost for point in points],
            [point.accuracy for point in points],
            s=size,
            marker=marker,
            color=PALETTE[colour],
            edgecolors=PALETTE["paper"],
            linewidths=0.7,
            label=label,
            gid=gid,
            zorder=4,
        )


def _draw_levels(axes: Axes, levels: Sequence[Level]) -> None:
    for level, colour, dashes in zip(levels, ("purple", "green", "soft"), ((5, 2), (2, 2), (1, 2)), strict=False):
        axes.axhline(
            level.accuracy, color=PALETTE[colour], linewidth=1.3, linestyle=(0, dashes), label=level.name, zorder=3
        )


def _legend(figure: Figure, axes: Axes) -> None:
    _, labels = axes.get_legend_handles_labels()
    if labels:
        figure.legend(
            loc="outside upper left",
            ncols=max(1, 72 // (8 + max(map(len, labels)))),
            handlelength=1.6,
            columnspacing=1.2,
            borderaxespad=0.2,
        )


def _place_labels(figure: Figure, axes: Axes, points: Sequence[Point]) -> None:
    """Write each label where it covers neither another label nor another labelled point."""
    figure.draw_without_rendering()
    anchors = [axes.transData.transform((point.cost, point.accuracy)) * 72 / figure.dpi for point in points]
    taken = [(float(x), float(y)) for x, y in anchors]
    for point, (x, y) in zip(points, anchors, strict=True):
        dx, dy = next(
            (
                (dx, dy)
                for dx, dy in _LABEL_PLACES
                if all(abs(x + dx - other_x) > 10 or abs(y + dy - other_y) > 8 for other_x, other_y in taken)
            ),
            _LABEL_PLACES[0],
        )
        taken.append((float(x + dx), float(y + dy)))
        axes.annotate(
            point.label,
            (point.cost, point.accuracy),
            xytext=(dx, dy),
            textcoords="offset points",
            ha="center",
            va="center",
            fontweight="bold",
            color=PALETTE["ink"],
            annotation_clip=False,
        )
