"""The look of every figure: colours that colour-blind people tell apart, letters, axes. No pyplot."""

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


@contextmanager
def style() -> Iterator[None]:
    """Draw and save figures in the report's look; matplotlib's own settings return afterwards."""
    with mpl.rc_context(_STYLE):
        yield


def new_axes() -> tuple[Figure, Axes]:
    """Return a new figure with one pair of axes."""
    figure = Figure(figsize=_SIZE, layout="constrained")
    return figure, figure.subplots()


def accuracy_axis(axes: Axes, label: str) -> None:
    """Make the vertical axis one of accuracy, as percentages."""
    low, high = axes.get_ylim()
    axes.set_ylim(max(-0.02, low), min(1.02, high))
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: percent(value, 0 if _is_whole(100 * value) else 1)))
    axes.set_ylabel(label)


def _is_whole(value: float) -> bool:
    return abs(value - round(value)) < 1e-6


def cost_axis(axes: Axes, costs: Sequence[float]) -> None:
    """Make the horizontal axis one of cost: logarithmic, with at most seven round ticks, or one at the least cost."""
    axes.set_xscale("log")
    low, high = min(costs) / 1.3, max(costs) * 1.3
    axes.set_xlim(low, high)
    for multiples in ((1, 2, 5), (1, 3), (1,)):
        ticks = [m * 10.0**power for power in range(16) for m in multiples if low <= m * 10.0**power <= high]
        if len(ticks) <= 7:
            break
    axes.xaxis.set_major_locator(FixedLocator(ticks or [min(costs)]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _round_quantity(value)))


def _round_quantity(value: float) -> str:
    number, _, prefix = quantity(value).partition("\u00a0")
    return f"{float(number):g}{prefix}"


def legend(figure: Figure, axes: Axes) -> None:
    """Write the legend above the axes, in as many columns as fit."""
    _, labels = axes.get_legend_handles_labels()
    if labels:
        figure.legend(
            loc="outside upper left",
            ncols=max(1, 72 // (8 + max(map(len, labels)))),
            handlelength=1.6,
            columnspacing=1.2,
            borderaxespad=0.2,
        )
