"""What one update came to, as frozen numbers."""

import math
from dataclasses import dataclass

import numpy as np

from nasgym.agents.losses import Losses
from nasgym.agents.rollout import Batch
from nasgym.agents.tally import Ended


@dataclass(frozen=True)
class Seconds:
    """Where the time of an update went.

    Attributes:
        environment: in the environments, observations being read included.
        policy: in the policy, while it acted.
        learning: in credits, gradients and weights.
    """

    environment: float
    policy: float
    learning: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.environment + self.policy + self.learning


@dataclass(frozen=True)
class Learned:
    """What learning came to: means over the minibatches of an update.

    Attributes:
        policy_loss: of the policy alone.
        value_loss: mean squared error of the values.
        entropy: of the distributions over actions, in nats.
        auxiliary_loss: mean squared error of the predicted rewards; 0 without auxiliary head.
        kl: how far the policy has come from the one that acted.
        clip_fraction: share of the actions whose gradient was cut; 0 but for PPO.
        gradient_norm: before it was scaled down.
        learning_rate: of the update.
        entropy_weight: of the update.
    """

    policy_loss: float
    value_loss: float
    entropy: float
    auxiliary_loss: float
    kl: float
    clip_fraction: float
    gradient_norm: float
    learning_rate: float
    entropy_weight: float

    @classmethod
    def of(cls, losses: Losses, gradient_norm: float, learning_rate: float, entropy_weight: float) -> "Learned":
        """Return the numbers of mean losses."""
        return cls(
            losses.policy.item(),
            losses.value.item(),
            losses.entropy.item(),
            losses.auxiliary.item(),
            losses.kl.item(),
            losses.clipped.item(),
            gradient_norm,
            learning_rate,
            entropy_weight,
        )


@dataclass(frozen=True)
class Update:
    """One update.

    Attributes:
        number: 0 is the first.
        steps: taken in all environments together, up to and with this update.
        rollout_steps: of them in this update.
        n_meta_episodes: that ended in it.
        mean_return: of those meta-episodes, not discounted; NaN if none ended.
        mean_length: of those meta-episodes, in steps; NaN if none ended.
        episode_length: mean of the episodes that ended, in steps; NaN if none ended.
        episode_counts: episodes that ended, by their index in the meta-episode.
        episode_rewards: mean last reward of those episodes, by index; NaN where none ended.
        episode_returns: mean sum of the rewards of those episodes, by index; NaN where none ended.
        action_counts: how often each action was taken.
        learned: what learning came to.
        seconds: where the time went.
    """

    number: int
    steps: int
    rollout_steps: int
    n_meta_episodes: int
    mean_return: float
    mean_length: float
    episode_length: float
    episode_counts: tuple[int, ...]
    episode_rewards: tuple[float, ...]
    episode_returns: tuple[float, ...]
    action_counts: tuple[int, ...]
    learned: Learned
    seconds: Seconds

    @classmethod
    def of(
        cls,
        number: int,
        steps: int,
        batch: Batch,
        ended: tuple[Ended, Ended],
        learned: Learned,
        seconds: Seconds,
    ) -> "Update":
        """Return the numbers of an update whose rollout was `batch`, in which episodes and meta-episodes `ended`."""
        episodes, meta_episodes = ended
        counts = np.bincount(episodes.indices)
        with np.errstate(invalid="ignore"):
            rewards, returns = (
                np.bincount(episodes.indices, values, len(counts)) / counts
                for values in (episodes.last_rewards, episodes.returns)
            )
        return cls(
            number=number,
            steps=steps,
            rollout_steps=batch.actions.size,
            n_meta_episodes=len(meta_episodes.returns),
            mean_return=_mean(meta_episodes.returns),
            mean_length=_mean(meta_episodes.lengths),
            episode_length=_mean(episodes.lengths),
            episode_counts=tuple(counts.tolist()),
            episode_rewards=tuple(rewards.tolist()),
            episode_returns=tuple(returns.tolist()),
            action_counts=tuple(np.bincount(batch.actions.ravel(), minlength=batch.logits.shape[2]).tolist()),
            learned=learned,
            seconds=seconds,
        )


def _mean(values: "np.typing.NDArray[np.float64]") -> float:
    return float(values.mean()) if len(values) else math.nan
