"""Drawings of architectures, SVG and PNG: a strip for a chain, ranks from top to bottom for a graph.

Boxes are coloured by operation. With a plan, edges carry shapes (height × width × channels) and a line
below tells the costs. Lengths are inches. Figures are matplotlib's own objects; pyplot is not involved.
"""

import io
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path as Curve
from numpy.typing import NDArray

from nasgym.architectures import Architecture
from nasgym.core.errors import ConfigurationError, nearest
from nasgym.networks.diagram import Box, Diagram, Kind, diagram
from nasgym.networks.layout import Point
from nasgym.networks.placement import BOX_HEIGHT, BOX_WIDTH, Placement, place
from nasgym.networks.plan import Plan

COLOURS = {
    Kind.END: ("#f4f5f7", "#3d4654"),
    Kind.CONVOLUTION: ("#dbe8fb", "#2563b0"),
    Kind.SEPARABLE: ("#d2f1ec", "#12796b"),
    Kind.REDUCTION: ("#e3defa", "#5b43b5"),
    Kind.MAX_POOLING: ("#fde2cc", "#b9540b"),
    Kind.AVERAGE_POOLING: ("#fbf0bf", "#8a6d00"),
    Kind.IDENTITY: ("#eeeeee", "#6b6b6b"),
    Kind.ADDITION: ("#dcf3d5", "#347d22"),
    Kind.CONCATENATION: ("#f8dbea", "#a62c6f"),
    Kind.ZERO: ("#ffffff", "#9aa1ab"),
    Kind.AVERAGE_SAME: ("#f7f3d9", "#74681f"),
    Kind.INVERTED_RESIDUAL: ("#cfeaf5", "#0f6f96"),
    Kind.NUMBER: ("#ece6dd", "#6d5f4a"),
}
"""Fill, and colour of frame and text."""

FORMATS = (".svg", ".png")
EDGE_COLOUR = "#77808d"
SHAPE_COLOUR = "#333a45"
FONT = "DejaVu Sans"
FALLBACK_FONTS = f"'{FONT}', Verdana, sans-serif"
MARGIN = 0.15
LINE = 0.24
"""Height of the line of text above or below a drawing."""
CAPTION_SIZE = 7.5
"""Size of that line, points."""
CHARACTER = 0.063
"""Average width of a character of that size."""


def draw(architecture: Architecture, path: Path, plan: Plan | None = None) -> None:
    """Write the drawing of `architecture` to `path`, as SVG or PNG by its suffix.

    Raises:
        ConfigurationError: the suffix is neither.
    """
    match path.suffix.lower():
        case ".svg":
            path.write_text(to_svg(architecture, plan), encoding="utf-8")
        case ".png":
            path.write_bytes(to_png(architecture, plan))
        case suffix:
            raise ConfigurationError(
                f"Cannot draw to {str(path)!r}: the file name must end in {' or '.join(FORMATS)}."
                + nearest(suffix, FORMATS)
            )


def to_svg(architecture: Architecture, plan: Plan | None = None) -> str:
    """Return the drawing as SVG text, the same for equal arguments; every box and edge has an id."""
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "nasgym"}):
        _figure(diagram(architecture, plan)).savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :].replace(f"'{FONT}'", FALLBACK_FONTS)


def to_png(architecture: Architecture, plan: Plan | None = None, *, dpi: int = 150) -> bytes:
    """Return the drawing as the bytes of a PNG file with `dpi` pixels per inch."""
    buffer = io.BytesIO()
    _figure(diagram(architecture, plan)).savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def to_rgb(
    architecture: Architecture, plan: Plan | None = None, *, width: int = 640, height: int = 640
) -> NDArray[np.uint8]:
    """Return the drawing fitted into `width` × `height` pixels: uint8, shape `(height, width, 3)`, on white."""
    figure = _figure(diagram(architecture, plan), aspect=width / height)
    dpi = width / figure.get_figwidth()
    figure.set_size_inches((width + 0.5) / dpi, (height + 0.5) / dpi)  # matplotlib rounds pixels down
    buffer = io.BytesIO()
    figure.savefig(buffer, format="rgba", dpi=dpi)
    pixels = np.frombuffer(buffer.getvalue(), dtype=np.uint8).reshape(height, width, 4)
    return np.ascontiguousarray(pixels[..., :3])


def _figure(drawn: Diagram, aspect: float | None = None) -> Figure:
    """Return the figure in its own size, or widened on one side to the ratio `aspect` of width to height."""
    placed = place(drawn)
    width = max(placed.width, CHARACTER * max(len(drawn.header), len(drawn.costs))) + 2 * MARGIN
    left, right = (placed.width - width) / 2, (placed.width + width) / 2
    bottom = -MARGIN - (LINE if drawn.costs else 0)
    top = placed.height + MARGIN + (LINE if drawn.header or placed.arcs else 0)
    if aspect is not None:
        missing_width = max(0.0, aspect * (top - bottom) - (right - left))
        missing_height = max(0.0, (right - left) / aspect - (top - bottom))
        left, right = left - missing_width / 2, right + missing_width / 2
        bottom, top = bottom - missing_height / 2, top + missing_height / 2
    figure = Figure(figsize=(right - left, top - bottom), facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)
    axes.axis("off")
    _draw_edges(axes, drawn, placed)
    for box, centre in zip(drawn.boxes, placed.centres, strict=True):
        _draw_box(axes, box, centre)
    for caption, y in ((drawn.header, placed.height + LINE), (drawn.costs, -LINE)):
        _text(axes, (placed.width / 2, y), caption, size=CAPTION_SIZE)
    return figure


def _draw_box(axes: Axes, box: Box, centre: Point) -> None:
    x, y = centre
    fill, ink = COLOURS[box.kind]
    frame = FancyBboxPatch(
        (x - BOX_WIDTH / 2, y - BOX_HEIGHT / 2),
        BOX_WIDTH,
        BOX_HEIGHT,
        boxstyle="round,pad=0,rounding_size=0.07",
        facecolor=fill,
        edgecolor=ink,
        linewidth=1.1,
        zorder=3,
    )
    frame.set_gid(box.name)
    axes.add_patch(frame)
    _text(axes, (x, y + (0.085 if box.detail else 0)), box.title, size=8, colour=ink, bold=True, width=BOX_WIDTH)
    if box.detail:
        _text(axes, (x, y - 0.09), box.detail, size=7, colour=ink, width=BOX_WIDTH)
    if box.index:
        _text(axes, (x - BOX_WIDTH / 2 + 0.08, y + BOX_HEIGHT / 2 - 0.08), str(box.index), size=5, colour=ink)


def _draw_edges(axes: Axes, drawn: Diagram, placed: Placement) -> None:
    for number, (source, target) in enumerate(drawn.edges):
        name = f"edge-{drawn.boxes[source].name}-{drawn.boxes[target].name}"
        if drawn.edges.index((source, target)) != number:
            name += "-again"
        _arrow(axes, Curve(*placed.curves[number]), EDGE_COLOUR, name)
    for number, curve in placed.arcs.items():
        box = drawn.boxes[number]
        _arrow(axes, Curve(*curve), COLOURS[box.kind][1], f"{box.name}-residual")
    for label in placed.labels:
        shape = drawn.boxes[label.source].shape
        if shape is None:
            continue
        channels, height, width = shape
        x, y = label.point
        if label.split:
            _text(axes, (x, y + 0.1), f"{height}×{width}", size=6.5, colour=SHAPE_COLOUR)
            _text(axes, (x, y - 0.1), f"×{channels}", size=6.5, colour=SHAPE_COLOUR)
        else:
            _text(axes, (x, y), f"{height}×{width}×{channels}", size=6.5, colour=SHAPE_COLOUR, halo=True)


def _arrow(axes: Axes, curve: Curve, colour: str, name: str) -> None:
    arrow = FancyArrowPatch(
        path=curve, arrowstyle="-|>,head_length=3.5,head_width=1.8", color=colour, linewidth=1.0, zorder=2
    )
    arrow.set_gid(name)
    axes.add_patch(arrow)


def _text(
    axes: Axes,
    centre: Point,
    text: str,
    *,
    size: float,
    colour: str = SHAPE_COLOUR,
    bold: bool = False,
    halo: bool = False,
    width: float = 0.0,
) -> None:
    """Write `text`, smaller where it would be wider than a `width` that is given."""
    if width:
        size = min(size, size * 0.9 * width / (len(text) * CHARACTER * (size / CAPTION_SIZE) * (1.12 if bold else 1)))
    axes.text(
        *centre,
        text,
        fontsize=size,
        color=colour,
        family=FONT,
        weight="bold" if bold else "normal",
        ha="center",
        va="center",
        zorder=4,
        bbox={"boxstyle": "square,pad=0.12", "facecolor": "white", "edgecolor": "none"} if halo else None,
    )
