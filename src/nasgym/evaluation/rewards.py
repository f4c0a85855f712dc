"""Reward functions: from an outcome to a number in [0, 1]. A network that failed earns 0."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from nasgym.core.errors import ConfigurationError, nearest
from nasgym.evaluation.outcome import Completed, Outcome

RewardFunction = Callable[[Outcome], float]


def accuracy_reward(outcome: Outcome) -> float:
    """Return the validation accuracy; 0 for a failure."""
    return outcome.accuracy if isinstance(outcome, Completed) else 0.0


@dataclass(frozen=True, slots=True)
class BlockQNNReward:
    """`(100·accuracy − μ·ln(FLOPs) − ρ·ln(density)) / 100`, clipped to [0, 1] (arXiv 1808.05584, eq. 9).

    Attributes:
        mu: μ, weight of the FLOPs per image, head included.
        rho: ρ, weight of the density: edges / nodes.
    """

    mu: float = 0.5
    rho: float = 0.5

    def __call__(self, outcome: Outcome) -> float:
        """Return the reward of `outcome`; 0 for a failure.

        Raises:
            ConfigurationError: the estimator reports no FLOPs or no density.
        """
        if not isinstance(outcome, Completed):
            return 0.0
        flops, density = outcome.metrics.flops, outcome.metrics.density
        if flops <= 0 or density <= 0:
            raise ConfigurationError(
                f"Reward 'blockqnn' needs FLOPs and density of each network, and this estimator reports {flops} "
                f"and {density}; use reward='accuracy', or an estimator that fills Metrics.flops and Metrics.density."
            )
        value = 100 * outcome.accuracy - self.mu * math.log(flops) - self.rho * math.log(density)
        return min(max(value / 100, 0.0), 1.0)


REWARDS: dict[str, RewardFunction] = {"accuracy": accuracy_reward, "blockqnn": BlockQNNReward()}


def reward_function(reward: str | RewardFunction) -> RewardFunction:
    """Return the reward function of that name; a function is returned as it is.

    Raises:
        ConfigurationError: no such name.
    """
    if not isinstance(reward, str):
        return reward
    if reward not in REWARDS:
        raise ConfigurationError(f"Unknown reward {reward!r} (known: {', '.join(REWARDS)}).{nearest(reward, REWARDS)}")
    return REWARDS[reward]
