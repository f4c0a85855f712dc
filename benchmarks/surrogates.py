"""How well models of a table rank networks that they have not seen: the surrogate's against two others.

    nasgym table import nas-bench-mr nasbench_mr.csv.xz --out nas-bench-mr.table
    python -m benchmarks.surrogates nas-bench-mr.table --json surrogates.json

Spearman's rank correlation of predicted and true accuracy by 5-fold cross-validation, the same folds for every model.
The baseline of each task is the better of the two others. About three minutes for NAS-Bench-MR on one thread.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingRegressor
from sklearn.model_selection import KFold

from benchmarks.reporting import Figure, Goal, arguments, publish
from nasgym.evaluation.surrogates.features import Features
from nasgym.evaluation.surrogates.fitting import FOLDS, boosted_trees, mean_accuracies
from nasgym.evaluation.tables import Table

SEED = 0
GOAL = Goal("ratio", "at least", 0.995)
"""As good as the others; the third digit is noise of the folds."""
OTHERS: dict[str, Callable[[], Any]] = {
    "extremely randomised trees": lambda: ExtraTreesRegressor(
        300, min_samples_leaf=2, max_features=0.5, random_state=SEED
    ),
    "histogram boosting": lambda: HistGradientBoostingRegressor(max_iter=300, learning_rate=0.05, random_state=SEED),
}


def ranked(model: Callable[[], Any], inputs: NDArray[np.float32], targets: NDArray[np.float64]) -> float:
    """Return the rank correlation over networks that were left out."""
    predicted = np.empty_like(targets)
    for kept, left_out in KFold(FOLDS, shuffle=True, random_state=SEED).split(inputs):
        predicted[left_out] = model().fit(inputs[kept], targets[kept]).predict(inputs[left_out])
    return float(spearmanr(predicted, targets).statistic)


def run(table: Table) -> list[Figure]:
    """Return the figures of every task."""
    features = Features(table.layout).of(table.layout_arrays)
    figures = []
    for number, task in enumerate(table.tasks):
        accuracies = mean_accuracies(table, number)
        known = ~np.isnan(accuracies)
        inputs, targets = features[known], accuracies[known] - accuracies[known].mean()
        others = {name: ranked(model, inputs, targets) for name, model in OTHERS.items()}
        boosted = ranked(lambda: boosted_trees(SEED), inputs, targets)
        figures.append(Figure(f"{task.name}, boosted trees", boosted, "Spearman", max(others.values()), GOAL))
        figures += [Figure(f"{task.name}, {name}", value, "Spearman") for name, value in others.items()]
    return figures


def main() -> None:
    """Run from the command line."""
    parser = arguments("surrogates", __doc__)
    parser.add_argument("table", type=Path, help="a table")
    chosen = parser.parse_args()
    publish("surrogates", run(Table(chosen.table)), seeds=[SEED], json_file=chosen.json)


if __name__ == "__main__":
    main()
