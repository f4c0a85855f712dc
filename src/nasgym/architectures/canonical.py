"""Canonical form and id: one name for all ways to write the same network, and never one for two networks.

The DAG, with the implicit concatenation of the leaves written out, is walked from its output through
ordered inputs; the order in which layers are first finished numbers them. Only an addition may
take its inputs in either order: Weisfeiler-Lehman labels choose it, and where they tie every order is tried
and the smallest walk wins, so that the form is exact (a hash of the expression tree would not be: it takes a
shared layer and two copies of it for the same network).
"""

import hashlib
import itertools
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from nasgym.architectures.architecture import Architecture, Layer
from nasgym.architectures.operations import Operation
from nasgym.architectures.skeletons import Skeleton
from nasgym.architectures.text import format_architecture

MAX_ORDERS = 4096
"""Beyond this many tied orders the first are tried: one network may then get two ids, never two networks one."""


class LeafMerge(Enum):
    """How the layers that nobody uses are concatenated before the head."""

    PAIRWISE = "pairwise"
    """`((l1, l2), l3), …` in index order, as explicit concatenations would do it (`paper` profile)."""
    TOGETHER = "together"
    """All at once (`default` profile)."""


@dataclass(frozen=True, slots=True)
class _Graph:
    """The DAG with the final concatenation written out: node 0 is the image, the last node the output."""

    labels: tuple[str, ...]
    inputs: tuple[tuple[int, ...], ...]
    commutes: tuple[bool, ...]
    layers: tuple[Layer | None, ...]
    output: int


_Walk = tuple[tuple[str, tuple[int, ...]], ...]


@lru_cache(maxsize=65536)
def canonical(architecture: Architecture, leaves: LeafMerge) -> Architecture:
    """Return the representative of every architecture that is the same network as this one.

    It is the one that is built and trained, so that equal ids mean equal outcomes. Idempotent. Fillings of a
    fixed skeleton are kept apart, as in the benchmarks they come from, even where two compute the same.
    """
    if architecture.skeleton is not Skeleton.LAYERED:
        return architecture
    if architecture.is_chain and all(layer.operation.arity == 1 for layer in architecture.layers):
        return architecture
    graph = _expand(architecture, leaves)
    _, order = min(_walk(graph, choice) for choice in _input_orders(graph))
    number = {node: position for position, node in enumerate(order)}
    placed = []
    for node in order[1:]:
        layer = graph.layers[node]
        if layer is not None:
            inputs = tuple(number[source] for source in layer.inputs)
            if graph.commutes[node]:
                inputs = tuple(sorted(inputs))
            placed.append(Layer(layer.operation, layer.kernel, inputs, layer.residual))
    return Architecture(_without_final_merges(tuple(placed), leaves), architecture.header)


def architecture_id(architecture: Architecture, leaves: LeafMerge) -> str:
    """Return the canonical id: 16 hexadecimal digits of the SHA-256 of the canonical form's text."""
    return hashlib.sha256(format_architecture(canonical(architecture, leaves)).encode()).hexdigest()[:16]


def _expand(architecture: Architecture, leaves: LeafMerge) -> _Graph:
    labels = ["image"]
    inputs: list[tuple[int, ...]] = [()]
    layers: list[Layer | None] = [None]
    for layer in architecture.layers:
        labels.append(layer.token)
        inputs.append(layer.inputs)
        layers.append(layer)
    ends = architecture.leaves
    concatenation = Operation.CONCATENATION.token
    if leaves is LeafMerge.TOGETHER and len(ends) > 1:
        labels.append(concatenation)
        inputs.append(ends)
        layers.append(None)
    elif len(ends) > 1:
        first = ends[0]
        for leaf in ends[1:]:
            labels.append(concatenation)
            inputs.append((first, leaf))
            layers.append(Layer(Operation.CONCATENATION, 0, (first, leaf)))
            first = len(labels) - 1
    addition = Operation.ADDITION.token
    return _Graph(
        tuple(labels), tuple(inputs), tuple(label == addition for label in labels), tuple(layers), len(labels) - 1
    )


def _input_orders(graph: _Graph) -> list[tuple[tuple[int, ...], ...]]:
    """Return the input orders to try: fixed by labels where they differ, both ways where they tie."""
    if not any(
        commutes and len(set(sources)) > 1 for commutes, sources in zip(graph.commutes, graph.inputs, strict=True)
    ):
        return [graph.inputs]
    colours = _refine(graph)
    options: list[list[tuple[int, ...]]] = []
    for node, sources in enumerate(graph.inputs):
        if not graph.commutes[node] or sources[0] == sources[1]:
            options.append([sources])
            continue
        low, high = sorted(sources, key=lambda source: (colours[source], source))
        tied = colours[low] == colours[high]
        options.append([(low, high), (high, low)] if tied else [(low, high)])
    return list(itertools.islice(itertools.product(*options), MAX_ORDERS))


def _refine(graph: _Graph) -> list[str]:
    """Weisfeiler-Lehman labels from predecessors and successors, until as many nodes as possible differ."""
    colours = list(graph.labels)
    users: list[list[tuple[int, int]]] = [[] for _ in colours]
    for node, sources in enumerate(graph.inputs):
        for slot, source in enumerate(sources):
            users[source].append((node, 0 if graph.commutes[node] else slot))
    distinct = len(set(colours))
    while True:
        texts = []
        for node, sources in enumerate(graph.inputs):
            below = [colours[source] for source in sources]
            above = sorted(f"{colours[user]}@{slot}" for user, slot in users[node])
            texts.append(repr((colours[node], sorted(below) if graph.commutes[node] else below, above)))
        colours = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
        if len(set(colours)) == distinct:
            return colours
        distinct = len(set(colours))


def _walk(graph: _Graph, inputs: tuple[tuple[int, ...], ...]) -> tuple[_Walk, tuple[int, ...]]:
    """Return the description of the DAG in order of first finish from the output, and that order.

    The image comes first in every order.
    """
    order: dict[int, int] = {0: 0}
    words: list[tuple[str, tuple[int, ...]]] = []
    pending = [graph.output]
    while pending:
        node = pending[-1]
        unfinished = [source for source in inputs[node] if source not in order]
        if unfinished:
            pending.append(unfinished[0])
            continue
        pending.pop()
        if node not in order:
            order[node] = len(order)
            words.append((graph.labels[node], tuple(order[source] for source in inputs[node])))
    return tuple(words), tuple(order)


def _without_final_merges(layers: tuple[Layer, ...], leaves: LeafMerge) -> tuple[Layer, ...]:
    """Drop the final concatenations that the profile would add by itself."""
    if len(Architecture(layers).leaves) > 1:
        return layers
    shortest = layers
    dropped: list[int] = []
    ends: tuple[int, ...] = (len(layers),)
    while ends[0] > 0 and layers[ends[0] - 1].operation is Operation.CONCATENATION:
        dropped.append(ends[0])
        ends = layers[ends[0] - 1].inputs + ends[1:]
        used = {source for layer in _kept(layers, dropped) for source in layer.inputs}.union(ends)
        if used.intersection(dropped):
            break
        shorter, number = _renumbered(layers, dropped)
        if Architecture(shorter).leaves == tuple(number[node] for node in ends):
            shortest = shorter
        if leaves is LeafMerge.TOGETHER:
            break
    return shortest


def _kept(layers: tuple[Layer, ...], dropped: list[int]) -> list[Layer]:
    return [layer for index, layer in enumerate(layers, start=1) if index not in dropped]


def _renumbered(layers: tuple[Layer, ...], dropped: list[int]) -> tuple[tuple[Layer, ...], dict[int, int]]:
    indices = [index for index in range(len(layers) + 1) if index not in dropped]
    number = {index: position for position, index in enumerate(indices)}
    kept = (
        Layer(layer.operation, layer.kernel, tuple(number[source] for source in layer.inputs), layer.residual)
        for layer in _kept(layers, dropped)
    )
    return tuple(kept), number
