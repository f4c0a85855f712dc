"""Canonical ids: equal exactly for isomorphic networks."""

import time
from itertools import combinations, product

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networkx.algorithms.isomorphism import categorical_multiedge_match, categorical_node_match
from random_architectures import graphs

from nasgym.architectures import (
    Architecture,
    Layer,
    LeafMerge,
    Operation,
    architecture_id,
    canonical,
    encode,
    parse_architecture,
)
from nasgym.architectures.nsc import decode

BOTH = pytest.mark.parametrize("leaves", list(LeafMerge), ids=lambda leaves: leaves.value)


def same(first: str, second: str, leaves: LeafMerge) -> bool:
    return architecture_id(parse_architecture(first), leaves) == architecture_id(parse_architecture(second), leaves)


@BOTH
@given(graphs)
def test_the_canonical_form_is_its_own_canonical_form(leaves: LeafMerge, architecture: Architecture) -> None:
    form = canonical(architecture, leaves)
    assert canonical(form, leaves) == form
    assert architecture_id(form, leaves) == architecture_id(architecture, leaves)
    assert len(form) <= len(architecture)


@BOTH
@given(graphs, st.randoms(use_true_random=False))
def test_numbering_the_layers_in_another_order_keeps_the_id(
    leaves: LeafMerge, architecture: Architecture, random: object
) -> None:
    renumbered = reordered(architecture, random)
    assert architecture_id(renumbered, leaves) == architecture_id(architecture, leaves)


def reordered(architecture: Architecture, random: object) -> Architecture:
    """Number the layers in another order in which inputs come first and leaves keep theirs; swap additions' inputs."""
    number = {0: 0}
    placed: list[Layer] = []
    leaves = list(architecture.leaves)
    while len(placed) < len(architecture):
        ready = [
            index
            for index, layer in enumerate(architecture.layers, start=1)
            if index not in number
            and all(source in number for source in layer.inputs)
            and (index not in leaves or index == leaves[0])
        ]
        index = random.choice(ready)  # type: ignore[attr-defined]  # hypothesis' random.Random
        if leaves and index == leaves[0]:
            leaves.pop(0)
        layer = architecture.layers[index - 1]
        inputs = [number[source] for source in layer.inputs]
        if layer.operation is Operation.ADDITION and random.random() < 0.5:  # type: ignore[attr-defined]  # as above
            inputs.reverse()
        placed.append(Layer(layer.operation, layer.kernel, tuple(inputs), layer.residual))
        number[index] = len(placed)
    return Architecture(tuple(placed), architecture.header)


@BOTH
def test_ids_are_equal_exactly_for_isomorphic_networks_of_up_to_three_layers(leaves: LeafMerge) -> None:
    every = [architecture for depth in range(4) for architecture in written(depth)]
    assert len(every) == 1 + 2 + 12 + 168
    classes: list[nx.MultiDiGraph] = []
    ids: list[str] = []
    for architecture in every:
        graph = reference(architecture, leaves)
        identity = architecture_id(architecture, leaves)
        for known, known_id in zip(classes, ids, strict=True):
            assert (identity == known_id) == isomorphic(graph, known), str(architecture)
        if identity not in ids:
            classes.append(graph)
            ids.append(identity)
    assert len(ids) > 100


@BOTH
@settings(max_examples=60, deadline=None)
@given(st.lists(graphs, min_size=2, max_size=5))
def test_ids_of_larger_networks_agree_with_graph_isomorphism(leaves: LeafMerge, some: list[Architecture]) -> None:
    for first, second in combinations(some, 2):
        equal = architecture_id(first, leaves) == architecture_id(second, leaves)
        assert equal == isomorphic(reference(first, leaves), reference(second, leaves))


def written(depth: int) -> list[Architecture]:
    """Write every graph of this depth with two one-input operations and both merges."""
    built: list[tuple[Layer, ...]] = [()]
    for index in range(1, depth + 1):
        ones = [
            Layer(operation, 3, (source,))
            for operation in (Operation.CONVOLUTION, Operation.MAX_POOLING)
            for source in range(index)
        ]
        twos = [
            Layer(operation, 0, pair)
            for operation in (Operation.ADDITION, Operation.CONCATENATION)
            for pair in product(range(1, index), repeat=2)
        ]
        built = [(*layers, layer) for layers in built for layer in ones + twos]
    return [Architecture(layers) for layers in built]


def reference(architecture: Architecture, leaves: LeafMerge) -> nx.MultiDiGraph:
    """Write the network out as a labelled graph; slots number the inputs wherever their order matters."""
    graph = nx.MultiDiGraph()
    graph.add_node(0, label="image")
    for index, layer in enumerate(architecture.layers, start=1):
        graph.add_node(index, label=f"{layer.operation.name} {layer.kernel} {layer.residual}")
        for slot, source in enumerate(layer.inputs):
            graph.add_edge(source, index, slot=0 if layer.operation is Operation.ADDITION else slot)
    ends = list(architecture.leaves)
    groups = [ends] if leaves is LeafMerge.TOGETHER else []
    if leaves is LeafMerge.PAIRWISE:
        output = ends[0]
        for node, leaf in enumerate(ends[1:], start=len(architecture) + 1):
            graph.add_node(node, label="CONCATENATION 0 False")
            graph.add_edge(output, node, slot=0)
            graph.add_edge(leaf, node, slot=1)
            output = node
    for group in groups:
        if len(group) > 1:
            graph.add_node("output", label="CONCATENATION 0 False")
            for slot, leaf in enumerate(group):
                graph.add_edge(leaf, "output", slot=slot)
    return graph


def isomorphic(first: nx.MultiDiGraph, second: nx.MultiDiGraph) -> bool:
    if sorted(nx.get_node_attributes(first, "label").values()) != sorted(
        nx.get_node_attributes(second, "label").values()
    ):
        return False
    return bool(
        nx.is_isomorphic(
            first, second, categorical_node_match("label", None), categorical_multiedge_match("slot", None)
        )
    )


@BOTH
def test_a_shared_layer_and_two_copies_of_it_are_two_networks(leaves: LeafMerge) -> None:
    assert not same("conv3(0) add(1,1)", "conv3(0) conv3(0) add(1,2)", leaves)
    assert not same("conv3(0) conv5(1) conv5(1) add(2,3)", "conv3(0) conv3(0) conv5(1) conv5(2) add(3,4)", leaves)


@BOTH
def test_an_addition_takes_its_inputs_in_either_order_and_a_concatenation_does_not(leaves: LeafMerge) -> None:
    assert same("conv3(0) conv5(0) add(1,2)", "conv3(0) conv5(0) add(2,1)", leaves)
    assert same("conv3(0) conv5(0) add(1,2)", "conv5(0) conv3(0) add(1,2)", leaves)
    assert not same("conv3(0) conv5(0) concat(1,2)", "conv3(0) conv5(0) concat(2,1)", leaves)


@BOTH
def test_leaves_keep_their_order(leaves: LeafMerge) -> None:
    assert not same("conv3(0) conv5(0)", "conv5(0) conv3(0)", leaves)


@BOTH
def test_the_concatenation_that_two_leaves_get_anyway_can_be_left_out(leaves: LeafMerge) -> None:
    assert same("conv3(0) conv5(0) concat(1,2)", "conv3(0) conv5(0)", leaves)
    assert same("conv3(0) conv5(0) concat(2,1)", "conv5(0) conv3(0)", leaves)
    assert str(canonical(parse_architecture("conv3(0) conv5(0) concat(1,2)"), leaves)) == "conv3(0) conv5(0)"


def test_three_leaves_are_concatenated_pairwise_from_the_left_or_together() -> None:
    three = "conv3(0) conv5(0) maxpool2(0)"
    pairwise = "conv3(0) conv5(0) concat(1,2) maxpool2(0) concat(3,4)"
    other = "conv3(0) conv5(0) maxpool2(0) concat(2,3) concat(1,4)"
    assert same(three, pairwise, LeafMerge.PAIRWISE)
    assert not same(three, other, LeafMerge.PAIRWISE)
    assert not same(three, pairwise, LeafMerge.TOGETHER)
    assert not same(pairwise, other, LeafMerge.TOGETHER)


@BOTH
def test_a_concatenation_that_something_else_uses_too_stays(leaves: LeafMerge) -> None:
    text = "conv3(0) conv5(0) concat(1,2) add(3,3)"
    assert str(canonical(parse_architecture(text), leaves)) == text


@BOTH
def test_terminal_rows_and_index_gaps_do_not_change_the_id(leaves: LeafMerge) -> None:
    architecture = parse_architecture("conv3(0) conv5(1) add(1,2)")
    rows = [[3, 1, 3, 0, 0], [5, 1, 5, 3, 0], [9, 5, 0, 3, 5], [10, 7, 0, 0, 0]]
    assert architecture_id(decode(rows), leaves) == architecture_id(architecture, leaves)
    assert architecture_id(decode(encode(architecture, 10)), leaves) == architecture_id(architecture, leaves)


@BOTH
def test_chains_and_headers_are_told_apart(leaves: LeafMerge) -> None:
    texts = (
        "empty",
        "conv3",
        "conv5",
        "maxpool2",
        "avgpool2",
        "conv3 conv3",
        "stem=1 width=8 conv3",
        "stem=2 width=8 conv3",
        "stem=1 width=16 conv3",
        "stem=1 width=8 augment=shift conv3",
        "stem=1 width=8 dropout=30 conv3",
        "stem=1 width=8 conv3+",
        "stem=1 width=8 sepconv3",
    )
    ids = {architecture_id(parse_architecture(text), leaves) for text in texts}
    assert len(ids) == len(texts)


def test_an_id_is_the_same_in_every_process_and_release() -> None:
    assert architecture_id(parse_architecture("conv3 conv3 maxpool2"), LeafMerge.TOGETHER) == GOLDEN_CHAIN
    graph = parse_architecture("conv3(0) conv5(1) conv3(1) add(3,2)")
    assert architecture_id(graph, LeafMerge.TOGETHER) == GOLDEN_GRAPH


GOLDEN_CHAIN = "32fbd16d11d87448"
GOLDEN_GRAPH = "5a1ebf95ba543ed0"


@BOTH
def test_thirty_layers_that_are_all_alike_take_bounded_time(leaves: LeafMerge) -> None:
    ten_pairs = "".join("conv3(0) conv3(0) " for _ in range(10))
    sums = " ".join(f"add({2 * pair + 1},{2 * pair + 2})" for pair in range(10))
    architecture = parse_architecture(ten_pairs + sums)
    swapped = parse_architecture(ten_pairs + " ".join(f"add({2 * pair + 2},{2 * pair + 1})" for pair in range(10)))
    started = time.perf_counter()
    assert architecture_id(architecture, leaves) == architecture_id(swapped, leaves)
    assert time.perf_counter() - started < 20


def test_a_graph_deeper_than_the_recursion_limit_has_an_id() -> None:
    layers = tuple(Layer(Operation.CONVOLUTION, 3, (source,)) for source in range(3000))
    branched = Architecture((*layers, Layer(Operation.MAX_POOLING, 2, (0,))))
    assert len(canonical(branched, LeafMerge.TOGETHER)) == 3001
