from collections import defaultdict
from itertools import combinations, pairwise

from hypothesis import given
from hypothesis import strategies as st

from nasgym.networks.layout import BEND_DISTANCE, Edge, crossings, layered


@st.composite
def graphs(draw: st.DrawFn) -> tuple[int, list[Edge]]:
    """A graph in which every node but the first has one or two predecessors, the same one twice at times."""
    n_nodes = draw(st.integers(2, 14))
    edges = []
    for node in range(1, n_nodes):
        sources = draw(st.lists(st.integers(0, node - 1), min_size=1, max_size=2))
        edges += [(source, node) for source in sources]
    return n_nodes, edges


@given(graphs())
def test_boxes_keep_their_distance_and_edges_lead_from_rank_to_rank(graph: tuple[int, list[Edge]]) -> None:
    n_nodes, edges = graph
    layout = layered(n_nodes, edges)
    by_rank = defaultdict(list)
    for place, rank in layout.nodes:
        by_rank[rank].append(place)
    for places in by_rank.values():
        assert all(right - left > 1 - 1e-9 for left, right in pairwise(sorted(places)))
    for (source, target), route in zip(edges, layout.routes, strict=True):
        assert (route[0], route[-1]) == (layout.nodes[source], layout.nodes[target])
        assert all(below[1] == above[1] + 1 for above, below in pairwise(route))


@given(graphs())
def test_no_edge_passes_through_a_box(graph: tuple[int, list[Edge]]) -> None:
    n_nodes, edges = graph
    layout = layered(n_nodes, edges)
    for route in layout.routes:
        for place, rank in route[1:-1]:
            beside = [abs(place - other) for other, other_rank in layout.nodes if other_rank == rank]
            assert all(distance > BEND_DISTANCE - 1e-9 for distance in beside)


def test_a_chain_is_one_straight_column() -> None:
    layout = layered(12, [(node, node + 1) for node in range(11)])
    assert {place for place, _ in layout.nodes} == {0.0}
    assert [rank for _, rank in layout.nodes] == [float(rank) for rank in range(12)]


def test_a_column_of_shortcuts_stays_straight() -> None:
    edges = [(0, 1), (1, 2), (1, 3), (2, 3), (3, 4), (3, 5), (4, 5), (5, 6)]
    layout = layered(7, edges)
    column = [layout.nodes[node][0] for node in (0, 1, 3, 5, 6)]
    assert max(column) - min(column) < 0.01


def test_graphs_that_can_be_drawn_without_crossings_are() -> None:
    edges = [(0, 1), (0, 2), (0, 3), (1, 6), (2, 4), (3, 5), (4, 7), (5, 7), (6, 7)]
    layout = layered(8, edges)
    by_rank = defaultdict(list)
    for route in layout.routes:
        for (above, rank), (below, _) in pairwise(route):
            by_rank[rank].append((above, below))
    for pieces in by_rank.values():
        assert all((a[0] - b[0]) * (a[1] - b[1]) >= 0 for a, b in combinations(pieces, 2))


def test_crossings_are_counted_between_two_ranks() -> None:
    assert crossings([0, 1, 2], [3, 4, 5], [(0, 5), (1, 4), (2, 3)]) == 3
    assert crossings([0, 1, 2], [3, 4, 5], [(0, 3), (1, 4), (2, 5)]) == 0
    assert crossings([0, 1], [2], [(0, 2), (1, 2)]) == 0
