"""Figures of agents, as pure functions from numbers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from nasgym.report.formatting import UNKNOWN, percent, quantity
from nasgym.report.statistics import Interval
from nasgym.report.style import PALETTE, SERIES, Chart, accuracy_axis, legend, new_axes, style

_SHOWN = 8
"""Actions that have a band of their own; the others share one."""
_BANDS = ("blue", "sky", "green", "orange", "red", "purple", "soft", "faint")


@dataclass(frozen=True, slots=True)
class Line:
    """A curve, perhaps with an interval around it.

    Attributes:
        name: what the legend calls it.
        positions: on the horizontal axis.
        values: at the positions; `None` where nothing is known.
        low: lower ends of the intervals; empty for none.
        high: upper ends.
        dashed: whether it is drawn as something to compare with.
        colour: place in the order of colours; its own among the lines if `None`.
    """

    name: str
    positions: tuple[float, ...]
    values: tuple[float | None, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    dashed: bool = False
    colour: int | None = None

    @classmethod
    def by_episode(cls, name: str, intervals: Sequence[Interval], *, dashed: bool = False) -> "Line":
        """Return the curve over episodes 1, 2, … that `intervals` make."""
        return cls(
            name,
            tuple(float(number) for number in range(1, len(intervals) + 1)),
            tuple(one.estimate for one in intervals),
            tuple(one.low for one in intervals),
            tuple(one.high for one in intervals),
            dashed,
        )

    @property
    def known(self) -> list[tuple[float, float]]:
        """Positions and values where something is known."""
        pairs = zip(self.positions, self.values, strict=True)
        return [(position, value) for position, value in pairs if value is not None]


def over_steps(lines: Sequence[Line], label: str) -> Chart:
    """Return curves against the steps of a training."""
    return curves(lines, "environment steps", label, _step_axis)


def over_training(lines: Sequence[Line], label: str, *, as_percent: bool = False) -> Chart:
    """Return curves against the episodes of a whole training or play."""
    return curves(lines, "episode", label, _step_axis, as_percent=as_percent)


def over_episodes(lines: Sequence[Line], label: str, *, as_percent: bool = False) -> Chart:
    """Return curves against the episodes of a meta-episode."""
    return curves(lines, "episode of the meta-episode", label, _episode_axis, as_percent=as_percent)


def proportions(positions: Sequence[float], shares: Sequence[Sequence[float]], names: Sequence[str]) -> Chart:
    """Return how often each action was taken against the steps of a training, stacked to 1.

    Args:
        positions: steps.
        shares: of each action at each position.
        names: of the actions.
    """
    table = np.array(shares, dtype=np.float64)
    order = np.argsort(-table.mean(axis=0), kind="stable")
    chosen = sorted(order[:_SHOWN].tolist()) if len(names) > _SHOWN else list(range(len(names)))
    rest = [index for index in range(len(names)) if index not in chosen]
    layers = [(names[index], table[:, index]) for index in chosen]
    colours = [PALETTE[_BANDS[place % len(_BANDS)]] for place in range(len(layers))]
    if rest:
        layers.append((f"{len(rest)} others", table[:, rest].sum(axis=1)))
        colours.append(PALETTE["line"])
    with style():
        figure, axes = new_axes()
        axes.stackplot(
            positions,
            *(layer for _, layer in layers),
            labels=[name for name, _ in layers],
            colors=colours,
            edgecolor=PALETTE["paper"],
            linewidth=0.4,
        )
        axes.set_ylim(0, 1)
        _step_axis(axes)
        if len(positions) > 1:
            axes.set_xlim(min(positions), max(positions))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: percent(value, 0)))
        axes.set_xlabel("environment steps")
        axes.set_ylabel("share of the actions")
        legend(figure, axes)
    ends = ", ".join(f"{name} {percent(float(layer[-1]), 0)}" for name, layer in layers)
    return Chart(figure, f"Share of each action in the actions taken. At the end: {ends}.")


def curves(
    lines: Sequence[Line],
    unit: str,
    label: str,
    set_positions: Callable[[Axes], None],
    *,
    as_percent: bool = False,
) -> Chart:
    """Return curves on one pair of axes.

    Args:
        lines: what to draw.
        unit: label of the horizontal axis.
        label: of the vertical axis.
        set_positions: makes the horizontal axis.
        as_percent: whether values are accuracies.
    """
    with style():
        figure, axes = new_axes()
        for index, line in enumerate(lines):
            place = index if line.colour is None else line.colour
            _draw(axes, line, PALETTE[SERIES[place % len(SERIES)]])
        set_positions(axes)
        axes.set_xlabel(unit)
        if as_percent:
            accuracy_axis(axes, label)
        else:
            axes.set_ylabel(label)
            axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        legend(figure, axes)
    ends = ", ".join(f"{line.name} {_number(line, as_percent=as_percent)}" for line in lines)
    return Chart(figure, f"{label[:1].upper()}{label[1:]} against {unit}. At the end: {ends}.")


def _draw(axes: Axes, line: Line, colour: str) -> None:
    positions = [position for position, _ in line.known]
    axes.plot(
        positions,
        [value for _, value in line.known],
        color=colour,
        label=line.name,
        linestyle=(0, (4, 2)) if line.dashed else "-",
        marker="o" if len(positions) <= 40 else "",
        markersize=3,
    )
    if line.low:
        axes.fill_between(line.positions, line.low, line.high, color=colour, alpha=0.16, linewidth=0)


def _step_axis(axes: Axes) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10], integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: quantity(value) if value else "0"))


def _episode_axis(axes: Axes) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(10, steps=[1, 2, 5, 10], integer=True))


def _number(line: Line, *, as_percent: bool) -> str:
    if not line.known:
        return UNKNOWN
    last = line.known[-1][1]
    return percent(last) if as_percent else f"{last:.3g}"
