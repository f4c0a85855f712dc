"""Fitting a surrogate to a table: gradient-boosted trees, kept as plain arrays.

Boosted trees, because on NAS-Bench-MR they rank left-out networks better than extremely randomised trees and
histogram boosting (`python -m benchmarks.surrogates`); arrays, because a pickle can run anything, and fitting anew
would give other trees with another version of scikit-learn.
"""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau, spearmanr
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.model_selection import KFold

from nasgym.core.errors import TableError
from nasgym.core.randomness import entropy
from nasgym.evaluation.surrogates.features import Features
from nasgym.evaluation.surrogates.forest import Forest
from nasgym.evaluation.surrogates.surrogate import SURROGATE, Fit, Surrogate
from nasgym.evaluation.tables import Table
from nasgym.evaluation.tables.container import write_container
from nasgym.evaluation.tables.table import COMPLETED

FOLDS = 5
TREES = 400
DEPTH = 4
LEARNING_RATE = 0.05
SUBSAMPLE = 0.7
"""Share of the networks that each tree sees."""
FEATURES_PER_SPLIT = 0.3
"""Share of the features that each split chooses from."""
MIN_NETWORKS = 20
"""Networks with an accuracy that a task needs."""


def fit_surrogate(
    table: Table, out: str | Path, *, seed: int = 0, fitted: Callable[[int], None] = lambda _: None
) -> Surrogate:
    """Fit a model to each task of `table`, write them to `out`, and return them as an estimator.

    A network's accuracy is the mean of its repeats; failures are left out.

    Args:
        table: what is known.
        out: where the surrogate goes.
        seed: of folds and trees.
        fitted: told after each task how many have a model.

    Raises:
        TableError: a task has too few networks, or the file cannot be written.
    """
    features = Features(table.layout).of(table.layout_arrays)
    forests, fits = [], []
    for number, task in enumerate(table.tasks):
        targets = mean_accuracies(table, number)
        known = np.flatnonzero(~np.isnan(targets))
        if known.size < MIN_NETWORKS:
            raise TableError(
                f"Task {task.name!r} of table {table.description.name!r} has {known.size} networks with an accuracy; "
                f"a surrogate needs {MIN_NETWORKS}."
            )
        inputs, wanted = features[known], targets[known]
        fits.append(_cross_validated(inputs, wanted, _seed_to_seed(table, number), seed))
        forests.append(_fitted(inputs, wanted, seed))
        fitted(len(forests))
    description = {
        "table": table.description.to_json(),
        "table_sha256": table.digest,
        "profile_fingerprint": table.profile.fingerprint,
        "layout": table.layout.to_json(),
        "layers": int(table.layout_arrays["words"].shape[1]),
        "fits": [asdict(fit) for fit in fits],
        "forests": [{"base": forest.base, "depth": forest.depth} for forest in forests],
        "seed": seed,
    }
    arrays: dict[str, NDArray[Any]] = {}
    for number, forest in enumerate(forests):
        arrays |= forest.arrays(str(number))
    write_container(Path(out), SURROGATE, description, arrays)
    return Surrogate(out)


def mean_accuracies(table: Table, task: int) -> NDArray[np.float64]:
    """Return the mean accuracy of each network, NaN where none completed, shape `(n,)`."""
    completed = table.states[task] == COMPLETED
    counts = completed.sum(axis=0)
    sums = np.where(completed, table.accuracies[task], 0.0).sum(axis=0)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _seed_to_seed(table: Table, task: int) -> float | None:
    """Return the standard deviation within networks, pooled over all that have repeats; `None` if none has."""
    completed = table.states[task] == COMPLETED
    freedom = np.maximum(completed.sum(axis=0) - 1, 0).sum()
    if not freedom:
        return None
    deviations = np.where(completed, table.accuracies[task] - mean_accuracies(table, task), 0.0)
    return float(np.sqrt((deviations**2).sum() / freedom))


def _cross_validated(inputs: NDArray[np.float32], targets: NDArray[np.float64], noise: float | None, seed: int) -> Fit:
    predicted = np.empty_like(targets)
    folds = KFold(FOLDS, shuffle=True, random_state=_state(seed, "folds"))
    for kept, left_out in folds.split(inputs):
        predicted[left_out] = _fitted(inputs[kept], targets[kept], seed).predict(inputs[left_out])
    error = float(np.std(predicted - targets))
    varies = bool(np.ptp(predicted) and np.ptp(targets))
    return Fit(
        spearman=float(spearmanr(predicted, targets).statistic) if varies else 0.0,
        kendall=float(kendalltau(predicted, targets).statistic) if varies else 0.0,
        error=error,
        noise=error if noise is None else noise,
        from_repeats=noise is not None,
    )


def _fitted(inputs: NDArray[np.float32], targets: NDArray[np.float64], seed: int) -> Forest:
    base = float(targets.mean())
    model = boosted_trees(seed)
    model.fit(inputs, targets - base)
    trees = [tree.tree_ for tree in model.estimators_[:, 0]]
    return Forest.of_trees(trees, base=base, scale=LEARNING_RATE)


def boosted_trees(seed: int) -> GradientBoostingRegressor:
    """Return the model, not yet fitted; it expects targets around 0."""
    return GradientBoostingRegressor(
        n_estimators=TREES,
        max_depth=DEPTH,
        learning_rate=LEARNING_RATE,
        subsample=SUBSAMPLE,
        max_features=FEATURES_PER_SPLIT,
        init="zero",
        random_state=_state(seed, "trees"),
    )


def _state(seed: int, name: str) -> int:
    """Return a seed of 32 bits, as scikit-learn wants it."""
    return entropy(seed, "surrogate", name) >> 96
