"""Wrappers around environments: what agents do in them step by step, and what is kept from agents."""

from typing import Any, cast

import numpy as np
from gymnasium.vector import VectorEnv, VectorWrapper
from numpy.typing import NDArray

from nasgym.envs.vector.vector_env import ArchitectureVectorEnv
from nasgym.store import Trace

Environments = VectorEnv[Any, Any, Any]
DIGITS = 7
"""Decimals of a reward that are kept: more than single precision has."""


class Unmasked(VectorWrapper):
    """Environments that do not tell which actions lead nowhere, as those of the paper: agents have to find out.

    Args:
        envs: whose infos have `action_mask`.
    """

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin anew."""
        observations, infos = self.env.reset(seed=seed, options=options)
        return observations, _without_mask(infos)

    def step(self, actions: Any) -> tuple[Any, NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """Take one action in every environment."""
        observations, rewards, terminations, truncations, infos = self.env.step(actions)
        return observations, rewards, terminations, truncations, _without_mask(infos)


class Traced(VectorWrapper):
    """Environments that remember what is done in them until somebody takes it.

    Args:
        envs: with `SameStep` autoreset, and infos that tell how many episodes of a meta-episode have ended.
        tasks: names of those that meta-episodes draw from.
    """

    def __init__(self, envs: Environments, tasks: tuple[str, ...]) -> None:
        super().__init__(envs)
        self._numbers = {name: number for number, name in enumerate(tasks)} if len(tasks) > 1 else {}
        self._forget()
        self._ended = np.zeros(self.num_envs, dtype=np.int64)

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin anew."""
        self._resets.append(len(self._actions))
        self._ended[:] = 0
        return self.env.reset(seed=seed, options=options)

    def step(self, actions: Any) -> tuple[Any, NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """Take one action in every environment."""
        if self._numbers:
            self._tasks.append(
                tuple(self._numbers[task.name] for task in cast("ArchitectureVectorEnv", self.unwrapped).tasks)
            )
        observations, rewards, terminations, truncations, infos = self.env.step(actions)
        over = terminations | truncations
        told = np.asarray(infos["episodes_ended"])
        ends = np.where(over, 2, told > self._ended)
        self._ended = np.where(over, 0, told)
        self._actions.append(tuple(np.asarray(actions).tolist()))
        self._rewards.append(tuple(round(reward, DIGITS) for reward in rewards.tolist()))
        self._ends.append(tuple(ends.tolist()))
        return observations, rewards, terminations, truncations, infos

    def take(self) -> Trace:
        """Return what was done since the last call."""
        steps = (tuple(self._actions), tuple(self._rewards), tuple(self._ends))
        taken = Trace(*steps, tuple(self._resets), tuple(self._tasks))
        self._forget()
        return taken

    def _forget(self) -> None:
        self._actions: list[tuple[int, ...]] = []
        self._rewards: list[tuple[float, ...]] = []
        self._ends: list[tuple[int, ...]] = []
        self._resets: list[int] = []
        self._tasks: list[tuple[int, ...]] = []


def _without_mask(infos: dict[str, Any]) -> dict[str, Any]:
    for name in ("action_mask", "_action_mask"):
        infos.pop(name, None)
    return infos
