"""Rewards: from an outcome to a number in [0, 1]. No torch."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from nasgym.core.errors import ConfigurationError, nearest
from nasgym.evaluation.outcome import Completed, Failed, Outcome


class Reward(Protocol):
    """A function from outcomes to [0, 1]."""

    def __call__(self, outcome: Outcome) -> float:
        """Return the reward of `outcome`; a network that failed earns 0."""
        ...


@dataclass(frozen=True, slots=True)
class AccuracyReward:
    """The validation accuracy (arXiv 1911.03769)."""

    def __call__(self, outcome: Outcome) -> float:
        """Return the reward of `outcome`; a network that failed earns 0."""
        match outcome:
            case Completed(accuracy=accuracy):
                return min(1.0, max(0.0, accuracy))
            case Failed():
                return 0.0


@dataclass(frozen=True, slots=True)
class BlockReward:
    """The full reward of BlockQNN: `(100·accuracy − μ·ln(FLOPs) − ρ·ln(density)) / 100`, clipped to [0, 1].

    A network without FLOPs, or without edges, pays nothing for them: the logarithm of less than 1 FLOP is taken
    as 0, and so is that of a density of 0.

    Attributes:
        mu: μ, weight of the FLOPs.
        rho: ρ, weight of the density.

    >>> from nasgym.evaluation import Completed, Metrics
    >>> round(BlockReward()(Completed(0.9, Metrics(flops=1_000_000, density=1.0))), 4)  # (90 − 0.5 · 13.8155) / 100
    0.8309
    """

    mu: float = 0.5
    rho: float = 0.5

    def __call__(self, outcome: Outcome) -> float:
        """Return the reward of `outcome`; a network that failed earns 0."""
        match outcome:
            case Completed(accuracy=accuracy, metrics=metrics):
                flops = math.log(max(1, metrics.flops))
                density = math.log(metrics.density) if metrics.density > 0 else 0.0
                return min(1.0, max(0.0, (100 * accuracy - self.mu * flops - self.rho * density) / 100))
            case Failed():
                return 0.0


REWARDS: Mapping[str, Reward] = MappingProxyType({"accuracy": AccuracyReward(), "blockqnn": BlockReward()})
"""The rewards by name."""


def reward(name: str) -> Reward:
    """Return the reward called `name`.

    Raises:
        ConfigurationError: there is none; names the nearest.

    >>> reward("blockqnn")
    BlockReward(mu=0.5, rho=0.5)
    """
    if name not in REWARDS:
        raise ConfigurationError(f"Unknown reward {name!r} (known: {', '.join(REWARDS)}).{nearest(name, REWARDS)}")
    return REWARDS[name]
