"""The yoked control: does a policy use what it is shown?"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasgym.agents.playing import Transition
from nasgym.core.errors import ConfigurationError
from nasgym.experiments.meta.watching import Environments


class YokedRewards:
    """Rewards that the same actions earn on another task, shown to a policy in place of its own.

    Args:
        envs: on the other task, as many.
        seed: of their reset.
        names: of both tasks, for the error.
    """

    def __init__(self, envs: Environments, seed: int, names: str) -> None:
        self._envs = envs
        self._seed = seed
        self._names = names

    def begin(self) -> None:
        """Begin with the first meta-episodes."""
        self._envs.reset(seed=self._seed)

    def __call__(self, transition: Transition) -> NDArray[Any]:
        """Take the same actions on the other task; return the rewards there.

        Raises:
            ConfigurationError: an episode ends on one of the tasks and not on the other.
        """
        rewards: NDArray[Any]
        _, rewards, terminated, truncated, infos = self._envs.step(transition.actions)
        indices = np.where(terminated | truncated, transition.indices, infos["episodes_ended"])
        if not np.array_equal(transition.ended, terminated | truncated) or not np.array_equal(
            indices, transition.indices + (transition.episode_ended & ~transition.ended)
        ):
            raise ConfigurationError(
                f"Tasks {self._names} cannot be yoked: the same actions end an episode on one and not on the other, as "
                "where images differ in size, or budgets do. Choose tasks that allow the same networks."
            )
        return rewards
