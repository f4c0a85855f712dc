"""Figures of the paper's experiments beside curves: proportions of actions, and accuracies of a short walk."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.ticker import FuncFormatter, MaxNLocator

from nasgym.report.experiment_statistics import Blocks
from nasgym.report.formatting import percent
from nasgym.report.meta_figures import Line
from nasgym.report.style import PALETTE, SERIES, Chart, accuracy_axis, legend, new_axes, style

_WIDTH = 0.8
"""Of the bars of one action together."""


@dataclass(frozen=True, slots=True)
class Bars:
    """Proportions of all actions.

    Attributes:
        name: what the legend calls them.
        shares: by number of the action, in [0, 1].
        colour: place in the order of colours.
        hollow: whether only their outline is drawn: numbers that are not ours.
    """

    name: str
    shares: tuple[float, ...]
    colour: int
    hollow: bool = False


def block_line(name: str, block: Blocks, colour: int, *, dashed: bool = False) -> Line:
    """Return the curve of a quantity over episodes, its mean and one standard deviation on either side."""
    pairs = list(zip(block.means, block.deviations, strict=True))
    return Line(
        name,
        block.centres,
        block.means,
        tuple(mean - deviation for mean, deviation in pairs),
        tuple(mean + deviation for mean, deviation in pairs),
        dashed,
        colour,
    )


def action_bars(actions: Sequence[str], series: Sequence[Bars]) -> Chart:
    """Return how often each action was taken, bars of all `series` side by side."""
    places = np.arange(len(actions))
    width = _WIDTH / len(series)
    with style():
        figure, axes = new_axes()
        for number, bars in enumerate(series):
            colour = PALETTE[SERIES[bars.colour % len(SERIES)]]
            axes.bar(
                places + width * (number - (len(series) - 1) / 2),
                bars.shares,
                width * 0.9,
                label=bars.name,
                facecolor="none" if bars.hollow else colour,
                edgecolor=colour,
                linewidth=1.0,
            )
        axes.grid(visible=False, axis="x")
        axes.set_xticks(places, actions, rotation=35, ha="right", rotation_mode="anchor")
        axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: percent(value, 0)))
        axes.set_ylabel("share of the actions")
        legend(figure, axes)
    most = ", ".join(f"{bars.name} {actions[int(np.argmax(bars.shares))]}" for bars in series)
    return Chart(figure, f"Share of each action in the actions taken. Most frequent: {most}.")


def accuracy_boxes(groups: Mapping[str, Sequence[float]]) -> Chart:
    """Return a box for each group: quartiles and median; whiskers to 1.5 times their distance, and what lies beyond."""
    ink, fill = PALETTE["ink"], PALETTE["blue"]
    with style():
        figure, axes = new_axes()
        drawn = axes.boxplot(
            [list(values) for values in groups.values()],
            widths=0.5,
            patch_artist=True,
            medianprops={"color": PALETTE["orange"], "linewidth": 1.8},
            flierprops={"marker": "o", "markersize": 3, "markeredgecolor": PALETTE["soft"], "markerfacecolor": "none"},
            whiskerprops={"color": ink},
            capprops={"color": ink},
        )
        for box in drawn["boxes"]:
            box.set(facecolor=fill, alpha=0.35, edgecolor=ink)
        axes.set_xticks(range(1, len(groups) + 1), list(groups))
        axes.grid(visible=False, axis="x")
        accuracy_axis(axes, "accuracy")
    medians = ", ".join(f"{name} {percent(float(np.median(values)))}" for name, values in groups.items())
    return Chart(figure, f"Accuracies of the networks of a short walk. Medians: {medians}.")
