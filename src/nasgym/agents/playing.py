"""Environments as a policy meets them: inputs to arrays, borders of episodes and meta-episodes, seeds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray

from nasgym.agents.config import Defects
from nasgym.agents.observations import Reader
from nasgym.agents.spec import PolicySpec
from nasgym.core.randomness import torch_seed

Flags = NDArray[np.bool_]
Numbers = NDArray[np.float64]


class Seen(NamedTuple):
    """Arrays for what a policy is fed with in one step; see `nasgym.agents.policy.Inputs`.

    Attributes:
        rows: int32, shape `(n, len(spec.all_groups))`.
        numbers: float32, shape `(n, spec.n_numbers)`.
        mask: bool, shape `(n, n_actions)`.
        begins: bool, shape `(n,)`.
    """

    rows: NDArray[np.int32]
    numbers: NDArray[np.float32]
    mask: Flags
    begins: Flags

    @classmethod
    def empty(cls, spec: PolicySpec, *shape: int) -> "Seen":
        """Return arrays with these leading dimensions."""
        return cls(
            np.zeros((*shape, len(spec.all_groups)), dtype=np.int32),
            np.zeros((*shape, spec.n_numbers), dtype=np.float32),
            np.ones((*shape, spec.n_actions), dtype=np.bool_),
            np.ones(shape, dtype=np.bool_),
        )

    def at(self, steps: int | slice) -> "Seen":
        """Return the arrays of one step, or of some."""
        return Seen(self.rows[steps], self.numbers[steps], self.mask[steps], self.begins[steps])


@dataclass(frozen=True)
class Transition:
    """What came of one action in each environment.

    Attributes:
        actions: taken, shape `(n,)`.
        rewards: for them, shape `(n,)`.
        terminated: where a meta-episode ended for good.
        truncated: where it was cut off.
        episode_ended: where an episode ended, be it the last of a meta-episode or not.
        indices: of the episodes in which the actions were taken; 0 is the first of a meta-episode.
        infos: as the environments gave them.
    """

    actions: NDArray[np.int64]
    rewards: Numbers
    terminated: Flags
    truncated: Flags
    episode_ended: Flags
    indices: NDArray[np.int64]
    infos: Mapping[str, Any]

    @property
    def ended(self) -> Flags:
        """Where a meta-episode ended in either way."""
        return self.terminated | self.truncated

    def told(self, key: str, place: int) -> Any:
        """Return what the infos tell of the episode that ended in environment `place`; `None` if nothing."""
        infos: Mapping[str, Any] = self.infos["final_info"] if self.ended[place] else self.infos
        if not isinstance(infos, Mapping) or key not in infos:
            return None
        flags = infos.get(f"_{key}")
        return infos[key][place] if flags is None or flags[place] else None


class Environments:
    """A vector environment as a policy meets it.

    Episodes inside a meta-episode are told apart by `infos["episodes_ended"]`, how many of them have ended; where
    environments do not tell it, each of Gymnasium's episodes is one. `infos["action_mask"]` masks actions; a row that
    allows none masks none.

    Args:
        envs: as `PolicySpec.of` wants them.
        spec: what is observed.
        defects: which of them apply when a policy acts: memory reset in each episode, shifted inputs.
    """

    def __init__(self, envs: "VectorEnv[Any, Any, NDArray[Any]]", spec: PolicySpec, defects: Defects) -> None:
        self.envs = envs
        self.n = envs.num_envs
        self.reader = Reader(spec, envs.single_observation_space, defects)
        self._forgets_each_episode = defects.memory_reset_each_episode
        self._indices = np.zeros(self.n, dtype=np.int64)

    def reset(self, seeds: Sequence[int], into: Seen, options: dict[str, Any] | None = None) -> None:
        """Begin a meta-episode everywhere.

        Args:
            seeds: one for each environment.
            into: where what is seen first is written.
            options: of the environments.
        """
        observations, infos = self.envs.reset(seed=list(seeds), options=options)  # type: ignore[arg-type]  # Gymnasium's own take lists
        self._indices[:] = 0
        self._see(observations, infos, into)
        into.begins[:] = True

    def step(
        self, actions: NDArray[np.int64], into: Seen, shown: Callable[[Transition], NDArray[Any]] | None = None
    ) -> Transition:
        """Take one action in each environment; write what is seen next to `into`.

        Args:
            actions: shape `(n,)`.
            into: where it is written.
            shown: rewards to see in place of those that the actions earned; for policies that observe rewards.
        """
        observations, rewards, terminated, truncated, infos = self.envs.step(actions)
        truncated = truncated & ~terminated
        ended = terminated | truncated
        told = infos.get("episodes_ended")
        following = np.where(ended, 0, 0 if told is None else told)
        episode_ended = ended | (following > self._indices)
        transition = Transition(actions, rewards, terminated, truncated, episode_ended, self._indices, infos)
        self._indices = following
        self._see(observations, infos, into)
        column = self.reader.spec.column("reward")
        if shown is not None and column is not None:
            into.numbers[:, column] = np.where(ended, 0.0, shown(transition))
        into.begins[:] = ended
        if self._forgets_each_episode:
            into.begins[:] = episode_ended
            self.reader.forget(episode_ended, into.rows, into.numbers)
        return transition

    def _see(self, observations: Any, infos: Mapping[str, Any], into: Seen) -> None:
        self.reader.read(observations, into.rows, into.numbers)
        mask = infos.get("action_mask")
        if mask is None:
            into.mask[:] = True
            return
        np.not_equal(mask, 0, out=into.mask)
        nothing = ~into.mask.any(axis=1)
        if nothing.any():
            into.mask[nothing] = True


def environment_seeds(seed: int, n: int, *names: str | int) -> list[int]:
    """Return a seed for each of `n` environments."""
    return [torch_seed(seed, "environment", *names, place) for place in range(n)]
