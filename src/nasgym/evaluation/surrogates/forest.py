"""Regression trees as arrays: what is left of a fitted ensemble once scikit-learn is no longer needed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

LEAF = -1


@dataclass(frozen=True)
class Forest:
    """A sum of regression trees; all trees stand one after another in the same arrays.

    Attributes:
        base: what is added to the sum.
        depth: largest number of splits from a root to a leaf.
        roots: node of each root, shape `(trees,)`.
        children: nodes for "at most" and "above", `LEAF` at a leaf, shape `(nodes, 2)`.
        features: feature that a node asks for, 0 at a leaf, shape `(nodes,)`.
        thresholds: what it is compared with, shape `(nodes,)`.
        values: what a leaf adds, shape `(nodes,)`.
    """

    base: float
    depth: int
    roots: NDArray[np.int32]
    children: NDArray[np.int32]
    features: NDArray[np.int32]
    thresholds: NDArray[np.float64]
    values: NDArray[np.float64]

    @classmethod
    def of_trees(cls, trees: Sequence[Any], *, base: float, scale: float) -> Self:
        """Return the forest of fitted scikit-learn trees (`tree_` of each), whose values are multiplied by `scale`."""
        sizes = [tree.node_count for tree in trees]
        roots = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        children = []
        for tree, root in zip(trees, roots, strict=True):
            pair = np.stack([tree.children_left, tree.children_right], axis=1)
            children.append(np.where(pair == LEAF, LEAF, pair + root))
        return cls(
            base=base,
            depth=max(tree.max_depth for tree in trees),
            roots=roots.astype(np.int32),
            children=np.concatenate(children).astype(np.int32),
            features=np.concatenate([np.maximum(tree.feature, 0) for tree in trees]).astype(np.int32),
            thresholds=np.concatenate([tree.threshold for tree in trees]),
            values=np.concatenate([tree.value[:, 0, 0] for tree in trees]) * scale,
        )

    def predict(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the sum for each row of `features`, shape `(n, f)` to `(n,)`."""
        nodes = np.broadcast_to(self.roots, (len(features), len(self.roots))).copy()
        rows = np.arange(len(features))[:, None]
        for _ in range(self.depth):
            above = features[rows, self.features[nodes]] > self.thresholds[nodes]
            following = self.children[nodes, above.astype(np.intp)]
            nodes = np.where(following == LEAF, nodes, following)
        total: NDArray[np.float64] = self.base + self.values[nodes].sum(axis=1)
        return total

    def arrays(self, prefix: str) -> dict[str, NDArray[Any]]:
        """Return the arrays under names that begin with `prefix`."""
        names = ("roots", "children", "features", "thresholds", "values")
        return {f"{prefix}.{name}": getattr(self, name) for name in names}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], prefix: str, *, base: float, depth: int) -> Self:
        """Return the forest that `arrays` gave."""
        return cls(
            base,
            depth,
            arrays[f"{prefix}.roots"],
            arrays[f"{prefix}.children"],
            arrays[f"{prefix}.features"],
            arrays[f"{prefix}.thresholds"],
            arrays[f"{prefix}.values"],
        )
