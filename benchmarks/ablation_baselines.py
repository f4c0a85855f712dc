"""What the agents of the ablation are compared with: searches with and without feedback, at equal budget.

Each returns the rows of the K networks proposed on each task, in order, shape `(n_tasks, repeats, K)`. What is *without
feedback* proposes the same K networks on every task.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from benchmarks.hidden_tasks import EPISODES, HiddenTasks
from nasgym.architectures.spaces import load_space
from nasgym.core.randomness import stream
from nasgym.strategies import EvolutionSettings, RandomSearch, RegularisedEvolution, Sampler, Strategy

REPEATS = 8
EVOLUTION = EvolutionSettings(population=3, tournament=2)
"""A population that leaves most of ten networks to mutation."""
EXPLORATION = 0.3
"""Standard deviations that transfer Bayesian optimisation adds to what it expects."""
NOISE = 1e-3

Rows = NDArray[np.int64]


def best_single(train: HiddenTasks, test: HiddenTasks) -> Rows:
    """Return the K networks with the lowest mean regret on the training tasks, the best first."""
    order = train.regrets.mean(axis=0).argsort()[:EPISODES]
    return _everywhere(order, test)


def portfolio(train: HiddenTasks, test: HiddenTasks) -> Rows:
    """Return K networks that complement each other: each lowers the mean regret of the best of them the most."""
    regrets = train.regrets
    best = np.full(len(regrets), np.inf)
    chosen: list[int] = []
    for _ in range(EPISODES):
        chosen.append(int(np.minimum(best[:, np.newaxis], regrets).mean(axis=0).argmin()))
        best = np.minimum(best, regrets[:, chosen[-1]])
    return _everywhere(np.array(chosen), test)


def transfer_optimisation(train: HiddenTasks, test: HiddenTasks) -> Rows:
    """Return what Bayesian optimisation proposes whose prior is the mean and covariance over the training tasks.

    It proposes the network with the highest mean plus `EXPLORATION` standard deviations of minus the regret; that it
    is told regrets, and not rewards, is to its advantage.
    """
    mean = -train.regrets.mean(axis=0)
    deviations = (-train.regrets - mean) / len(train.regrets) ** 0.5
    variances = np.square(deviations).sum(axis=0)
    return np.array([_optimised(mean, deviations, variances, -regrets) for regrets in test.regrets])[:, np.newaxis]


def _optimised(
    mean: NDArray[np.float64],
    deviations: NDArray[np.float64],
    variances: NDArray[np.float64],
    values: NDArray[np.float64],
) -> Rows:
    chosen: list[int] = []
    expected, left = mean.copy(), variances
    for _ in range(EPISODES):
        bound = expected + EXPLORATION * np.sqrt(np.maximum(left, 0.0))
        bound[chosen] = -np.inf
        chosen.append(int(bound.argmax()))
        known = deviations[:, chosen]
        covariance = known.T @ known + NOISE * np.eye(len(chosen))
        across = known.T @ deviations
        gain = np.linalg.solve(covariance, across)
        expected = mean + (values[chosen] - mean[chosen]) @ gain
        left = variances - (across * gain).sum(axis=0)
    return np.array(chosen)


def random_search(_: HiddenTasks, test: HiddenTasks) -> Rows:
    """Return what random search proposes."""
    return _strategy(test, RandomSearch)


def evolution(_: HiddenTasks, test: HiddenTasks) -> Rows:
    """Return what regularised evolution from scratch proposes."""
    return _strategy(test, lambda sampler, seed: RegularisedEvolution(sampler, seed, EVOLUTION))


def _strategy(test: HiddenTasks, make: Callable[[Sampler, int], Strategy]) -> Rows:
    rows = np.zeros((len(test.tasks), REPEATS, EPISODES), dtype=np.int64)
    for place, _ in np.ndenumerate(rows[..., 0]):
        task, repeat = place
        sampler = Sampler(load_space("cell201"), test.tasks[task], test.table.profile)
        strategy = make(sampler, repeat)
        for k in range(EPISODES):
            proposed = strategy.propose()
            row = None if proposed is None else test.table.row(proposed)
            if proposed is None or row is None:
                raise RuntimeError(f"{strategy} proposed {proposed}, which is not in the table")
            strategy.feedback(proposed, float(test.rewards[task, row]))
            rows[task, repeat, k] = row
    return rows


def local_search(_: HiddenTasks, test: HiddenTasks) -> Rows:
    """Return what local search proposes: from a random cell, a random neighbour of the best so far, never one twice."""
    rows = np.zeros((len(test.tasks), REPEATS, EPISODES), dtype=np.int64)
    cells = test.rows_of_actions
    for task, repeat in np.ndindex(rows.shape[:2]):
        generator = stream(repeat, "local search", task)
        best = tuple(generator.integers(5, size=cells.ndim).tolist())
        tried = {best: test.rewards[task, cells[best]]}
        rows[task, repeat, 0] = cells[best]
        for k in range(1, EPISODES):
            neighbours = [
                (*best[:slot], choice, *best[slot + 1 :]) for slot in range(cells.ndim) for choice in range(5)
            ]
            fresh = [neighbour for neighbour in neighbours if neighbour not in tried]
            chosen = fresh[generator.integers(len(fresh))]
            tried[chosen] = test.rewards[task, cells[chosen]]
            rows[task, repeat, k] = cells[chosen]
            best = max(tried, key=lambda cell: tried[cell])
    return rows


def _everywhere(chosen: Rows, test: HiddenTasks) -> Rows:
    return np.broadcast_to(chosen, (len(test.tasks), 1, len(chosen)))


BASELINES: Mapping[str, tuple[str, Callable[[HiddenTasks, HiddenTasks], Rows]]] = MappingProxyType(
    {
        "random": ("random search", random_search),
        "local-search": ("local search", local_search),
        "evolution": ("regularised evolution", evolution),
        "best-single": ("best networks of the training tasks", best_single),
        "portfolio": ("portfolio", portfolio),
        "transfer": ("transfer Bayesian optimisation", transfer_optimisation),
    }
)
"""Title and function of each."""
WITHOUT_FEEDBACK = ("random", "best-single", "portfolio")
