"""Counting the distinct networks of a space by writing them all."""

from collections.abc import Callable, Iterable

from nasgym.architectures.architecture import Architecture, Layer
from nasgym.architectures.canonical import LeafMerge, architecture_id

MAX_WRITTEN = 10_000
"""Counting stops at the first depth at which more architectures than this could be written."""

Layers = tuple[Layer, ...]


def count_by_writing(
    extensions: Callable[[Layers], Iterable[Layer]], max_layers: int, leaves: LeafMerge
) -> list[int | None]:
    """Return, for each depth 0..d, how many networks (canonical ids) need that many layers.

    `None` from the depth on at which there would be more than `MAX_WRITTEN` architectures to write.

    Args:
        extensions: every layer that can be put after these.
        max_layers: d.
        leaves: how unused layers are concatenated.
    """
    counts: list[int | None] = [1]
    frontier: list[Layers] = [()]
    known = {architecture_id(Architecture(), leaves)}
    while len(counts) <= max_layers:
        frontier = [(*layers, layer) for layers in frontier for layer in extensions(layers)]
        if len(frontier) > MAX_WRITTEN:
            return counts + [None] * (max_layers + 1 - len(counts))
        ids = {architecture_id(Architecture(layers), leaves) for layers in frontier} - known
        known |= ids
        counts.append(len(ids))
    return counts
