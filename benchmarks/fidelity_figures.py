"""What the curves of a gate say of a fidelity: rank agreement with the full recipe, and accuracy lost."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from benchmarks.fidelity_table import Curves, Name, Training
from nasgym.core.randomness import stream

Array = NDArray[np.float64]
Score = Callable[[Training], float]
"""What a training is ranked by; higher is better."""
DRAWS = 2000
"""Of a bootstrap."""


def last_accuracy(training: Training) -> float:
    """Return the validation accuracy at the end."""
    return training.accuracies[-1]


def validation_loss(training: Training) -> float:
    """Return minus the validation loss at the end."""
    return -training.validation_losses[-1]


def loss_sum(training: Training) -> float:
    """Return minus the sum of training losses: TSE of Ru et al. 2021 (arXiv 2006.04492), there called SOTL at first."""
    return -sum(training.train_losses)


def last_loss(training: Training) -> float:
    """Return minus the training loss of the last epoch: TSE-E with E = 1 (the same paper)."""
    return -training.train_losses[-1]


def mean_accuracy(training: Training) -> float:
    """Return the mean validation accuracy over all epochs."""
    return float(np.mean(training.accuracies))


SCORES: dict[str, Score] = {
    "accuracy": last_accuracy,
    "validation loss": validation_loss,
    "sum of training losses": loss_sum,
    "last training loss": last_loss,
    "mean accuracy of all epochs": mean_accuracy,
}


def tau(first: Array, second: Array, weights: Array | None = None) -> Array:
    """Return Kendall's τ-b of two score vectors of n networks.

    Args:
        first: shape (n,).
        second: shape (n,).
        weights: shape (m, n): how often each network counts in each of m samples; two copies of one network are no
            pair. One sample that counts each once unless given.

    Returns:
        Shape (m,); 0 where a vector tells no pair apart.
    """
    counts = np.ones((1, len(first))) if weights is None else weights
    signs = [np.sign(scores[:, None] - scores[None, :]) for scores in (first, second)]
    both, *each = (
        np.einsum("mi,ij,mj->m", counts, matrix, counts, optimize=True)
        for matrix in (signs[0] * signs[1], abs(signs[0]), abs(signs[1]))
    )
    pairs = np.sqrt(each[0] * each[1])
    agreement: Array = np.divide(both, pairs, out=np.zeros_like(both), where=pairs > 0)
    return agreement


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def estimate(value: float, draws: Array) -> Estimate:
    """Return `value` with the central 95 % of `draws`."""
    low, high = np.quantile(draws, [0.025, 0.975])
    return Estimate(value, float(low), float(high))


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a fidelity stands against the noise of the full recipe.

    Attributes:
        agreement: τ of the fidelity with the full recipe of another seed.
        ceiling: τ of the full recipe with itself under another seed.
        shortfall: ceiling minus agreement.
        accuracy_lost: mean accuracy of the full recipe minus that of the fidelity.
    """

    agreement: Estimate
    ceiling: Estimate
    shortfall: Estimate
    accuracy_lost: Estimate


def verdict(
    curves: Curves, tasks: Sequence[str], name: Name, full: Name, score: Score = last_accuracy, best: float = 1.0
) -> Verdict:
    """Return the verdict on a fidelity, averaged over `tasks`.

    Every pair of different seeds is one comparison. The bootstrap draws networks and pairs of seeds with replacement,
    the same for agreement and ceiling.

    Args:
        curves: of the gate.
        tasks: names of data sets.
        name: the fidelity.
        full: the full recipe.
        score: what the fidelity ranks networks by.
        best: only this fraction of the networks, by the full recipe, seeds averaged.
    """
    generator = stream(0, "gate", "bootstrap")
    parts: list[tuple[Array, Array]] = []
    for task in tasks:
        short = {
            seed: np.array([score(training) for training in curves.of(task, name, seed)])
            for seed in curves.seeds(task, name)
        }
        parts.append(_compared(short, curves, task, name, full, best, generator))
    values = np.mean([value for value, _ in parts], axis=0)
    draws = np.mean([drawn for _, drawn in parts], axis=0)
    return Verdict(*(estimate(float(value), drawn) for value, drawn in zip(values, draws, strict=True)))


def _compared(
    short: dict[int, Array],
    curves: Curves,
    task: str,
    name: Name,
    full: Name,
    best: float,
    generator: np.random.Generator,
) -> tuple[Array, Array]:
    """Return agreement, ceiling, shortfall and accuracy lost on a task, shape (4,), and their draws, (4, DRAWS)."""
    long, accuracies = curves.accuracies(task, full), curves.accuracies(task, name)
    chosen = top(np.mean(list(long.values()), axis=0), best)
    pairs = [(one, other) for one, other in permutations(sorted(long), 2) if one in short]
    counts = generator.multinomial(len(chosen), np.full(len(chosen), 1 / len(chosen)), size=DRAWS).astype(float)
    weights = np.vstack([np.ones(len(chosen)), counts])
    agreement = np.array([tau(short[one][chosen], long[other][chosen], weights) for one, other in pairs])
    ceiling = np.array([tau(long[one][chosen], long[other][chosen], weights) for one, other in pairs])
    lost = np.array([weights @ (long[other] - accuracies[one])[chosen] / len(chosen) for one, other in pairs])
    drawn = generator.multinomial(len(pairs), np.full(len(pairs), 1 / len(pairs)), size=DRAWS) / len(pairs)
    share = np.vstack([np.full(len(pairs), 1 / len(pairs)), drawn])
    rows = [np.einsum("mp,pm->m", share, part) for part in (agreement, ceiling, ceiling - agreement, lost)]
    return np.array([row[0] for row in rows]), np.array([row[1:] for row in rows])


def top(scores: Array, fraction: float) -> NDArray[np.int64]:
    """Return the indices of the best `fraction` of networks."""
    return np.sort(np.argsort(-scores, kind="stable")[: max(2, round(fraction * len(scores)))])
