"""Figures as pure functions from numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nasgym.report.formatting import percent, quantity
from nasgym.report.statistics import incumbents, pareto_front
from nasgym.report.style import PALETTE, SERIES, Chart, accuracy_axis, cost_axis, legend, new_axes, style

_DASHES = (("purple", (5, 2)), ("green", (2, 2)), ("soft", (1, 2)))
_LABEL_PLACES = ((0, 9), (11, 0), (-11, 0), (0, -10), (11, 9), (-11, 9), (11, -10), (-11, -10))


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
    evaluations = list(zip(positions, scores, incumbents(scores), names, strict=True))
    failed = [(at, name) for at, score, _, name in evaluations if score is None]
    known = [(at, score, name) for at, score, _, name in evaluations if score is not None]
    steps = [(at, best) for at, _, best, _ in evaluations if best is not None]
    with style():
        figure, axes = new_axes()
        _draw_steps(axes, steps, width=2.4, label="best so far")
        points = [(at, score) for at, score, _ in known]
        _draw_points(axes, points, "faint", "each network", gid="evaluations", size=17)
        _draw_levels(axes, levels)
        _draw_failures(axes, [at for at, _ in failed])
        axes.set_xlim(0, max(positions) * 1.02)
        accuracy_axis(axes, "validation accuracy")
        axes.set_xlabel(unit)
        whole = all(float(at).is_integer() for at in positions)
        axes.xaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10], integer=whole))
        legend(figure, axes)
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
    chosen = pareto_front([point.cost for point in points], [point.accuracy for point in points])
    front = [points[index] for index in chosen]
    beside = [point for index, point in enumerate(points) if index not in chosen]
    with style():
        figure, axes = new_axes()
        _draw_points(axes, _places(beside), "faint", "network of the search", gid="networks", size=18)
        _draw_steps(axes, _places(front), width=1.2)
        _draw_points(axes, _places(front), "blue", "best for its size", gid="front", size=26)
        for point in promoted:
            if point.before is not None:
                axes.plot([point.cost] * 2, [point.before, point.accuracy], color=PALETTE["orange"], lw=1, zorder=2)
        _draw_points(axes, _places(promoted), "orange", "after longer training", gid="promoted", size=42, marker="D")
        _draw_points(axes, _places(compared), "purple", "baseline", gid="compared", size=42, marker="s")
        _draw_levels(axes, levels)
        cost_axis(axes, [point.cost for point in (*points, *promoted, *compared)])
        accuracy_axis(axes, "validation accuracy")
        axes.set_xlabel(unit)
        legend(figure, axes)
        _place_labels(figure, axes, promoted)
    best = max(points, key=lambda point: point.accuracy)
    groups = {"networks": beside, "front": front, "promoted": promoted, "compared": compared}
    return Chart(
        figure,
        f"Validation accuracy against {unit} of {len(points)} networks; {len(front)} are the best for their size. "
        f"The most accurate reaches {percent(best.accuracy)} with {quantity(best.cost)}.",
        {gid: tuple(point.name for point in group) for gid, group in groups.items()},
    )


def learning_curves(curves: Sequence[Curve]) -> Chart:
    """Return validation accuracy against epochs, one line a network."""
    with style():
        figure, axes = new_axes()
        for index, curve in enumerate(curves):
            epochs = range(1, len(curve.accuracies) + 1)
            colour = PALETTE[SERIES[index % len(SERIES)]]
            marker = "o" if len(curve.accuracies) == 1 else ""
            axes.plot(epochs, curve.accuracies, color=colour, label=curve.name, marker=marker, zorder=10 - index)
        axes.set_xlim(0, 1.02 * max(len(curve.accuracies) for curve in curves))
        axes.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10], integer=True))
        accuracy_axis(axes, "validation accuracy")
        axes.set_xlabel("epochs")
        legend(figure, axes)
    ends = ", ".join(f"{curve.name} {percent(curve.accuracies[-1])}" for curve in curves)
    return Chart(figure, f"Validation accuracy after each epoch of the longer training. At the end: {ends}.")


def _places(points: Sequence[Point]) -> list[tuple[float, float]]:
    return [(point.cost, point.accuracy) for point in points]


def _draw_steps(axes: Axes, steps: Sequence[tuple[float, float]], *, width: float, label: str = "_steps") -> None:
    axes.plot(
        [x for x, _ in steps],
        [y for _, y in steps],
        drawstyle="steps-post",
        color=PALETTE["blue"],
        linewidth=width,
        label=label,
        zorder=3,
    )


def _draw_points(
    axes: Axes,
    points: Sequence[tuple[float, float]],
    colour: str,
    label: str,
    *,
    gid: str,
    size: float,
    marker: str = "o",
) -> None:
    if points:
        axes.scatter(
            [x for x, _ in points],
            [y for _, y in points],
            s=size,
            marker=marker,
            color=PALETTE[colour],
            edgecolors=PALETTE["paper"],
            linewidths=0.6,
            label=label,
            gid=gid,
            zorder=4,
        )


def _draw_failures(axes: Axes, positions: Sequence[float]) -> None:
    """Mark failures at the foot of the axes."""
    if positions:
        axes.scatter(
            positions,
            [0.025] * len(positions),
            transform=axes.get_xaxis_transform(),
            s=20,
            marker="x",
            linewidths=1.2,
            color=PALETTE["red"],
            label="failed",
            gid="failures",
            zorder=4,
        )


def _draw_levels(axes: Axes, levels: Sequence[Level]) -> None:
    for level, (colour, dashes) in zip(levels, cycle(_DASHES), strict=False):
        axes.axhline(
            level.accuracy, color=PALETTE[colour], linewidth=1.3, linestyle=(0, dashes), label=level.name, zorder=3
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
