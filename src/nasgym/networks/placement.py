"""Where a diagram's boxes and edges go, in inches: rows of a strip for a chain, ranks for a graph."""

from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from math import ceil

from nasgym.networks.diagram import Diagram
from nasgym.networks.layout import Point, layered

BOX_WIDTH = 0.94
BOX_HEIGHT = 0.42
STRIP_GAP = 0.48
"""Between two boxes of a strip, where the shape stands."""
STRIP_ROW = 0.82
"""From one row of a strip to the next."""
STRIP_LENGTH = 9
"""Most boxes in a row of a strip."""
LANE = 1.36
"""From one box of a rank to the next."""
RANK = 0.84
"""From one rank to the next."""
PORT = 0.22
"""Between the ends of two edges at one box."""

TURN = 0.2
"""How far an edge goes beyond a row of a strip before it turns to the next."""
ARC = 0.2
"""How far a residual's arc swings out of its box."""
LABEL_WIDTH = 0.75
"""Labels of one box that are nearer than this become one."""

MOVE, LINE, QUADRATIC, CUBIC = 1, 2, 3, 4
"""Codes of matplotlib's paths."""

Curve = tuple[list[Point], list[int]]
"""Points and codes of a matplotlib path."""


@dataclass(frozen=True, slots=True)
class Label:
    """A place for the shape of a box's output.

    Attributes:
        source: number of the box.
        point: centre of the label.
        split: height × width above the edge and channels below it, rather than all on it.
    """

    source: int
    point: Point
    split: bool


@dataclass(frozen=True, slots=True)
class Placement:
    """A drawing's geometry, the origin at its lower left.

    Attributes:
        centres: of the boxes.
        curves: of the edges.
        labels: places for shapes.
        arcs: of the residuals, by number of the box.
        width: of everything.
        height: of everything.
    """

    centres: tuple[Point, ...]
    curves: tuple[Curve, ...]
    labels: tuple[Label, ...]
    arcs: dict[int, Curve]
    width: float
    height: float


def place(drawn: Diagram) -> Placement:
    """Return the geometry of `drawn`."""
    return _strip(drawn) if drawn.is_chain else _graph(drawn)


def _strip(drawn: Diagram) -> Placement:
    n_boxes = len(drawn.boxes)
    n_rows = ceil(n_boxes / STRIP_LENGTH)
    length = ceil(n_boxes / n_rows)
    side = TURN if n_rows > 1 else 0.0
    width = length * (BOX_WIDTH + STRIP_GAP) - STRIP_GAP + 2 * side
    height = (n_rows - 1) * STRIP_ROW + BOX_HEIGHT
    centres = []
    for number in range(n_boxes):
        row, column = divmod(number, length)
        x = side + BOX_WIDTH / 2 + column * (BOX_WIDTH + STRIP_GAP)
        centres.append((x, height - BOX_HEIGHT / 2 - row * STRIP_ROW))
    curves: list[Curve] = []
    labels = []
    for number, ((x0, y0), (x1, y1)) in enumerate(pairwise(centres)):
        start, end = (x0 + BOX_WIDTH / 2, y0), (x1 - BOX_WIDTH / 2, y1)
        if y0 == y1:
            curves.append(([start, end], [MOVE, LINE]))
            labels.append(Label(number, ((start[0] + end[0]) / 2 - 0.03, y0), split=True))
        else:
            curves.append(_return(start, end, width))
            labels.append(Label(number, (width / 2, (y0 + y1) / 2), split=False))
    arcs = {number: _arc(centres[number], upright=False) for number, box in enumerate(drawn.boxes) if box.residual}
    return Placement(tuple(centres), tuple(curves), tuple(labels), arcs, width, height)


def _return(start: Point, end: Point, width: float) -> Curve:
    """Return the way from the end of one row to the beginning of the next, with round corners."""
    middle, radius = (start[1] + end[1]) / 2, TURN / 2
    corners = [(width, start[1]), (width, middle), (0.0, middle), (0.0, end[1])]
    points, codes = [start], [MOVE]
    for before, corner, after in zip([start, *corners[:-1]], corners, [*corners[1:], end], strict=True):
        points += [_towards(corner, before, radius), corner, _towards(corner, after, radius)]
        codes += [LINE, QUADRATIC, QUADRATIC]
    return [*points, end], [*codes, LINE]


def _towards(start: Point, end: Point, distance: float) -> Point:
    """Return the point `distance` away from `start` on the level or upright line to `end`."""
    (x0, y0), (x1, y1) = start, end
    length = abs(x1 - x0) + abs(y1 - y0)
    return (x0 + (x1 - x0) * distance / length, y0 + (y1 - y0) * distance / length)


def _arc(centre: Point, *, upright: bool) -> Curve:
    """Return the arc of a residual: from input to output, beside the box where the edges run upright, else above it."""
    x, y = centre
    if upright:
        side, reach = x + BOX_WIDTH / 2, BOX_HEIGHT / 3
        return [(side, y + reach), (side + ARC, y + reach), (side + ARC, y - reach), (side, y - reach)], [MOVE] + [
            CUBIC
        ] * 3
    side, reach = y + BOX_HEIGHT / 2, BOX_WIDTH / 3
    return [(x - reach, side), (x - reach, side + ARC), (x + reach, side + ARC), (x + reach, side)], [MOVE] + [
        CUBIC
    ] * 3


def _graph(drawn: Diagram) -> Placement:
    layout = layered(len(drawn.boxes), drawn.edges)
    lanes = [lane for route in (layout.nodes, *layout.routes) for lane, _ in route]
    left, right = min(lanes), max(lanes)
    last = max(rank for _, rank in layout.nodes)
    height = last * RANK + BOX_HEIGHT

    def inches(point: Point) -> Point:
        return (BOX_WIDTH / 2 + (point[0] - left) * LANE, height - BOX_HEIGHT / 2 - point[1] * RANK)

    routes = [[inches(point) for point in route] for route in layout.routes]
    starts, ends = _ports(drawn, routes)
    curves = tuple(_smooth(route, start, end) for route, start, end in zip(routes, starts, ends, strict=True))
    centres = tuple(inches(point) for point in layout.nodes)
    arcs = {number: _arc(centres[number], upright=True) for number, box in enumerate(drawn.boxes) if box.residual}
    width = (right - left) * LANE + BOX_WIDTH
    return Placement(centres, curves, _labels(drawn, curves), arcs, width, height)


def _labels(drawn: Diagram, curves: tuple[Curve, ...]) -> tuple[Label, ...]:
    """Return a label in the middle of each edge's first part; those of one box that would overlap become one."""
    middles: dict[int, list[Point]] = defaultdict(list)
    for (source, _), (points, _) in zip(drawn.edges, curves, strict=True):
        middles[source].append(((points[0][0] + points[3][0]) / 2, (points[0][1] + points[3][1]) / 2))
    labels = []
    for source, found in middles.items():
        groups: list[list[Point]] = []
        for point in sorted(found):
            if groups and point[0] - groups[-1][-1][0] < LABEL_WIDTH:
                groups[-1].append(point)
            else:
                groups.append([point])
        for group in groups:
            x = (group[0][0] + group[-1][0]) / 2
            labels.append(Label(source, (x, group[0][1]), split=False))
    return tuple(labels)


def _ports(drawn: Diagram, routes: list[list[Point]]) -> tuple[list[float], list[float]]:
    """Return by how much each edge leaves its source and meets its target beside the centre."""
    leaving: dict[int, list[int]] = defaultdict(list)
    meeting: dict[int, list[int]] = defaultdict(list)
    for number, (source, target) in enumerate(drawn.edges):
        leaving[source].append(number)
        meeting[target].append(number)
    starts, ends = [0.0] * len(routes), [0.0] * len(routes)
    for groups, offsets, beside in ((leaving, starts, 1), (meeting, ends, -2)):
        for group in groups.values():
            group.sort(key=lambda number: (routes[number][beside][0], number))
            step = min(PORT, (BOX_WIDTH - PORT) / max(1, len(group) - 1))
            for place_in_group, number in enumerate(group):
                offsets[number] = (place_in_group - (len(group) - 1) / 2) * step
    return starts, ends


def _smooth(route: list[Point], start: float, end: float) -> Curve:
    """Return a curve through `route` that crosses every rank upright; its first part are its first four points."""
    half = BOX_HEIGHT / 2
    x, y = route[0]
    points = [(x + start, y - half)]
    codes = [MOVE]
    for x, y in route[1:]:
        last = (x, y) == route[-1]
        x0, y0 = points[-1]
        x1, y1 = x + (end if last else 0.0), y + half
        points += [(x0, (y0 + y1) / 2), (x1, (y0 + y1) / 2), (x1, y1)]
        codes += [CUBIC] * 3
        if not last:
            points.append((x1, y - half))
            codes.append(LINE)
    return points, codes
