"""Random searches replayed on the curves of a gate: one fidelity for all, or successive halving over several."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.fidelity_table import Curves, Name
from nasgym.core.randomness import stream

Array = NDArray[np.float64]
Order = NDArray[np.int64]
ORDERS = 200
"""Random orders of the networks that are averaged over, for every task and seed."""


@dataclass(frozen=True)
class Pool:
    """What one seed says about every network on one task.

    Attributes:
        accuracies: by epochs of a search training, each of shape (n,).
        seconds: of one epoch, shape (n,).
        final: accuracy by the full recipe with this seed, shape (n,): what promotion sees.
        truth: the mean over all seeds of the full recipe, shape (n,).
    """

    accuracies: dict[int, Array]
    seconds: Array
    final: Array
    truth: Array

    def regret(self, ranked: Sequence[int], promoted: int) -> float:
        """Return how far the best of the first `promoted` networks, chosen by `final`, lies below the best of all."""
        candidates = np.array(ranked[:promoted])
        chosen = candidates[np.argmax(self.final[candidates])]
        return float(self.truth.max() - self.truth[chosen])


Search = Callable[[Pool, Order, float], list[int]]
"""From a pool, the order in which networks come and a budget in seconds to networks, the best first."""


def plain(epochs: int) -> Search:
    """Return the search that trains one network after another for `epochs`, while the budget lasts."""

    def search(pool: Pool, order: Order, budget: float) -> list[int]:
        spent = np.cumsum(epochs * pool.seconds[order])
        return _ranked(order[: max(1, int(np.searchsorted(spent, budget, side="right")))], pool.accuracies[epochs])

    return search


def halving(*rungs: int, keep: float = 0.5) -> Search:
    """Return successive halving (Jamieson & Talwalkar 2016, arXiv 1502.07943).

    All networks get the first rung, the best of each rung the next. Every rung is a training of its own from the start,
    so that each answer has its own key. As many networks begin as the budget allows.
    """

    def run(pool: Pool, order: Order) -> tuple[list[int], float]:
        ranked: list[int] = order.tolist()
        left, spent = len(ranked), 0.0
        for number, epochs in enumerate(rungs):
            if number:
                left = max(1, round(keep * left))
            spent += epochs * float(pool.seconds[ranked[:left]].sum())
            ranked = _ranked(np.array(ranked[:left]), pool.accuracies[epochs]) + ranked[left:]
        return ranked, spent

    def search(pool: Pool, order: Order, budget: float) -> list[int]:
        best: list[int] = order[:1].tolist()
        for n in range(2, len(order) + 1):
            ranked, spent = run(pool, order[:n])
            if spent > budget:
                break
            best = ranked
        return best

    return search


def _ranked(networks: Order, accuracies: Array) -> list[int]:
    ranked: list[int] = networks[np.argsort(-accuracies[networks], kind="stable")].tolist()
    return ranked


def pools(curves: Curves, tasks: Sequence[str], epochs: Sequence[int], full: Name) -> dict[tuple[str, int], Pool]:
    """Return the pools by task and seed, for the seeds that have all of `epochs` and the full recipe."""
    found = {}
    for task in tasks:
        final = curves.accuracies(task, full)
        truth = np.mean(list(final.values()), axis=0)
        seconds = np.array([curves.seconds[network] for network in curves.networks])
        by_epochs = {n: curves.accuracies(task, ("search", n)) for n in epochs}
        for seed in final:
            if all(seed in known for known in by_epochs.values()):
                accuracies = {n: known[seed] for n, known in by_epochs.items()}
                found[task, seed] = Pool(accuracies, seconds, final[seed], truth)
    return found


def mean_regret(pool: Pool, search: Search, evaluations: float, promoted: int, *, epochs: int) -> float:
    """Return the regret of `search`, averaged over random orders.

    Args:
        pool: what is searched.
        search: how.
        evaluations: the budget: so many trainings of a network of average cost for `epochs`.
        promoted: networks that get the full recipe in the end; not charged, since all searches pay the same.
        epochs: of the fidelity that the budget is counted in.
    """
    generator = stream(0, "gate", "orders")
    budget = evaluations * epochs * float(pool.seconds.mean())
    orders = [generator.permutation(len(pool.truth)) for _ in range(ORDERS)]
    return float(np.mean([pool.regret(search(pool, order, budget), promoted) for order in orders]))
