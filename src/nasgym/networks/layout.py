"""Where the boxes of a drawing go: a layered layout of a small directed acyclic graph (Sugiyama, 1981).

Nodes are numbered in topological order. Ranks come from the longest path, long edges get a bend on every rank that
they pass, the order within a rank comes from sweeps of the barycentre rule with exchanges of
neighbours, and positions along a rank from least squares that keep that order and its distances.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

Edge = tuple[int, int]
Point = tuple[float, float]
"""Position along the rank, and rank; both in units of one box."""

SWEEPS = 12
"""Sweeps that look for an order with few crossings."""
POSITION_SWEEPS = 240
"""Sweeps that move boxes along their rank: about the square of the ranks until a long column is straight."""
BEND_DISTANCE = 0.55
"""Distance between a bend and its neighbour along a rank; between boxes it is 1."""

STRAIGHTNESS = (1, 2, 8)
"""Weight of a piece of an edge by its number of bends (Gansner et al., 1993): long edges become straight."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Positions in units of one box; ranks grow from the first node to the last.

    Attributes:
        nodes: position of each node.
        routes: points that each edge passes, from its source to its target, in the order of the edges given.
    """

    nodes: tuple[Point, ...]
    routes: tuple[tuple[Point, ...], ...]


def layered(n_nodes: int, edges: Sequence[Edge]) -> Layout:
    """Return the layout of nodes `0 … n_nodes - 1` with `edges` from lower to higher numbers."""
    rank = _ranks(n_nodes, edges)
    chains: list[tuple[int, ...]] = []
    ranks = list(rank)
    for source, target in edges:
        bends = tuple(range(len(ranks), len(ranks) + rank[target] - rank[source] - 1))
        ranks.extend(range(rank[source] + 1, rank[target]))
        chains.append((source, *bends, target))
    segments = [segment for chain in chains for segment in pairwise(chain)]
    rows = _order(ranks, segments)
    positions = _positions(rows, segments, n_nodes)
    points = [(positions[node], float(ranks[node])) for node in range(len(ranks))]
    return Layout(tuple(points[:n_nodes]), tuple(tuple(points[node] for node in chain) for chain in chains))


def crossings(upper: Sequence[int], lower: Sequence[int], segments: Sequence[Edge]) -> int:
    """Return how many pairs of `segments` between two neighbouring ranks cross, given the order in each rank."""
    place = {node: index for index, node in enumerate(lower)}
    above = {node: index for index, node in enumerate(upper)}
    between = sorted(
        (above[source], place[target]) for source, target in segments if source in above and target in place
    )
    return sum(
        first[0] < second[0] and first[1] > second[1]
        for index, first in enumerate(between)
        for second in between[index + 1 :]
    )


def _ranks(n_nodes: int, edges: Sequence[Edge]) -> list[int]:
    ranks = [0] * n_nodes
    for source, target in sorted(edges, key=lambda edge: edge[1]):
        ranks[target] = max(ranks[target], ranks[source] + 1)
    return ranks


def _neighbours(segments: Sequence[Edge], n_nodes: int) -> tuple[list[list[int]], list[list[int]]]:
    """Return what lies before and what lies after each node."""
    before: list[list[int]] = [[] for _ in range(n_nodes)]
    after: list[list[int]] = [[] for _ in range(n_nodes)]
    for source, target in segments:
        before[target].append(source)
        after[source].append(target)
    return before, after


def _order(ranks: Sequence[int], segments: Sequence[Edge]) -> list[list[int]]:
    """Return the nodes of each rank in an order with few crossings."""
    rows: list[list[int]] = [[] for _ in range(max(ranks) + 1)]
    for node, rank in enumerate(ranks):
        rows[rank].append(node)
    before, after = _neighbours(segments, len(ranks))
    best, fewest = [list(row) for row in rows], _total_crossings(rows, segments)
    for sweep in range(SWEEPS):
        neighbours, sequence = (before, rows[1:]) if sweep % 2 == 0 else (after, rows[-2::-1])
        place = {node: index / max(1, len(row) - 1) for row in rows for index, node in enumerate(row)}
        for row in sequence:
            row.sort(key=lambda node: (_mean([place[other] for other in neighbours[node]], place[node]), node))
            place.update({node: index / max(1, len(row) - 1) for index, node in enumerate(row)})
        _exchange(rows, segments)
        total = _total_crossings(rows, segments)
        if total < fewest:
            best, fewest = [list(row) for row in rows], total
    return best


def _exchange(rows: list[list[int]], segments: Sequence[Edge]) -> None:
    """Exchange neighbours within a rank wherever that removes crossings."""
    for number, row in enumerate(rows):
        around = rows[max(0, number - 1) : number + 2]
        for index in range(len(row) - 1):
            now = _total_crossings(around, segments)
            row[index], row[index + 1] = row[index + 1], row[index]
            if _total_crossings(around, segments) >= now:
                row[index], row[index + 1] = row[index + 1], row[index]


def _total_crossings(rows: Sequence[Sequence[int]], segments: Sequence[Edge]) -> int:
    return sum(crossings(upper, lower, segments) for upper, lower in pairwise(rows))


def _positions(rows: Sequence[Sequence[int]], segments: Sequence[Edge], n_nodes: int) -> dict[int, float]:
    """Return the position of each node and bend along its rank.

    One rank after the other takes the positions that minimise the weighted squares of the offsets along edges while the
    others stand still, which converges to the minimum over all of them.
    """
    before, after = _neighbours(segments, sum(len(row) for row in rows))
    position = {node: index - (len(row) - 1) / 2 for row in rows for index, node in enumerate(row)}

    def pull(node: int) -> tuple[float, float]:
        others = before[node] + after[node]
        weights = [STRAIGHTNESS[(node >= n_nodes) + (other >= n_nodes)] for other in others]
        centre = sum(weight * position[other] for weight, other in zip(weights, others, strict=True))
        return centre / sum(weights), float(sum(weights))

    for sweep in range(POSITION_SWEEPS):
        for row in rows if sweep % 2 == 0 else reversed(rows):
            position.update(zip(row, _spread(row, [pull(node) for node in row], n_nodes), strict=True))
    return position


def _spread(row: Sequence[int], pulls: Sequence[tuple[float, float]], n_nodes: int) -> list[float]:
    """Return positions near where `pulls` (place, weight) draw, keeping order and distances (isotonic regression)."""
    offsets = [0.0]
    for left, right in pairwise(row):
        offsets.append(offsets[-1] + (1.0 if max(left, right) < n_nodes else BEND_DISTANCE))
    blocks: list[tuple[float, float, int]] = []
    for (place, weight), offset in zip(pulls, offsets, strict=True):
        block = (place - offset, weight, 1)
        while blocks and blocks[-1][0] > block[0]:
            left_place, left_weight, left_size = blocks.pop()
            total = left_weight + block[1]
            block = ((left_place * left_weight + block[0] * block[1]) / total, total, left_size + block[2])
        blocks.append(block)
    places = [place for place, _, size in blocks for _ in range(size)]
    return [place + offset for place, offset in zip(places, offsets, strict=True)]


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise
