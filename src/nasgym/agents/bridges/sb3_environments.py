"""Gymnasium's vector environments as Stable-Baselines3 has them, and a tally of what is done in them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv

from nasgym.agents.bridges.protocol import Environments, Progress


class Tally:
    """Sums up steps until it is asked: returns, rewards by episode index, lengths, actions.

    Args:
        n: environments.
        n_actions: number of actions.
    """

    def __init__(self, n: int, n_actions: int) -> None:
        self._returns = np.zeros(n)
        self._rewards = np.zeros(n)
        self._lengths = np.zeros(n, dtype=np.int64)
        self._index = np.zeros(n, dtype=np.int64)
        self._actions = np.zeros(n_actions, dtype=np.int64)
        self._ended_returns: list[float] = []
        self._ended: list[tuple[int, float, int]] = []

    def step(
        self, actions: NDArray[Any], rewards: NDArray[Any], over: NDArray[np.bool_], infos: dict[str, Any]
    ) -> None:
        """Take in one step of all environments; `over` is where a meta-episode ended."""
        self._actions += np.bincount(actions, minlength=len(self._actions))
        self._returns += rewards
        self._rewards += rewards
        self._lengths += 1
        ended = np.asarray(infos.get("episodes_ended", self._index))
        for place in np.flatnonzero(over | (ended != self._index)).tolist():
            self._ended.append((int(self._index[place]), float(self._rewards[place]), int(self._lengths[place])))
        closed = over | (ended != self._index)
        self._rewards[closed], self._lengths[closed] = 0.0, 0
        self._ended_returns += self._returns[over].tolist()
        self._returns[over] = 0.0
        self._index = np.where(over, 0, ended)

    def progress(self, number: int, steps: int, seconds: float, **numbers: Any) -> Progress:
        """Return what was taken in since the last call."""
        episodes = 1 + max((index for index, _, _ in self._ended), default=-1)
        by_index = [[reward for index, reward, _ in self._ended if index == wanted] for wanted in range(episodes)]
        progress = Progress(
            number=number,
            steps=steps,
            seconds=seconds,
            meta_episodes=len(self._ended_returns),
            mean_return=_mean(self._ended_returns),
            episode_length=_mean([length for _, _, length in self._ended]),
            rewards=tuple(map(_mean, by_index)),
            actions=tuple(self._actions.tolist()),
            **numbers,
        )
        self._actions[:] = 0
        self._ended, self._ended_returns = [], []
        return progress


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


class Sb3Environments(VecEnv):
    """A Gymnasium `VectorEnv` with `SameStep` autoreset as Stable-Baselines3's `VecEnv`, which knows no other mode.

    Args:
        envs: with flat observations and discrete actions.
        seed: of the first reset.

    Attributes:
        tally: of all steps.
    """

    def __init__(self, envs: Environments, seed: int) -> None:
        if not isinstance(envs.single_action_space, spaces.Discrete):
            raise AssertionError("a policy's spec is made of discrete actions only")
        self._envs = envs
        self._seed = seed
        self._actions: NDArray[Any] = np.zeros(envs.num_envs, dtype=np.int64)
        self._masks: NDArray[np.bool_] = np.ones((envs.num_envs, int(envs.single_action_space.n)), dtype=np.bool_)
        self.tally = Tally(envs.num_envs, int(envs.single_action_space.n))
        super().__init__(envs.num_envs, envs.single_observation_space, envs.single_action_space)

    def reset(self) -> Any:
        """Begin meta-episodes everywhere."""
        observations, infos = self._envs.reset(seed=self._seed)
        self._see(infos)
        return observations

    def step_async(self, actions: NDArray[Any]) -> None:
        """Remember the actions."""
        self._actions = actions

    def step_wait(self) -> tuple[Any, NDArray[np.float32], NDArray[np.bool_], list[dict[str, Any]]]:
        """Take them."""
        observations, rewards, terminations, truncations, infos = self._envs.step(self._actions)
        over = terminations | truncations
        self.tally.step(self._actions, rewards, over, infos)
        self._see(infos)
        told: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for place in np.flatnonzero(over).tolist():
            told[place] = {
                "terminal_observation": infos["final_obs"][place],
                "TimeLimit.truncated": bool(truncations[place] and not terminations[place]),
            }
        return observations, rewards.astype(np.float32), over, told

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        """Return the masks, which is all that sb3-contrib asks for."""
        del args, indices, kwargs
        if method_name != "action_masks":
            raise AttributeError(f"environments of an agent have no {method_name}, only action_masks")
        return list(self._masks)

    def has_attr(self, attr_name: str) -> bool:
        """Say whether there are masks."""
        return attr_name == "action_masks"

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Return what SB3 looks for: how to render, which is not at all."""
        del indices
        if attr_name != "render_mode":
            raise AttributeError(f"environments of an agent have no {attr_name}")
        return [None] * self.num_envs

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Refuse: nothing of the environments can be set."""
        del value, indices
        raise AttributeError(f"environments of an agent have no {attr_name} that could be set")

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """Say no."""
        del wrapper_class, indices
        return [False] * self.num_envs

    def close(self) -> None:
        """Leave the environments to whoever made them."""

    def _see(self, infos: dict[str, Any]) -> None:
        if "action_mask" in infos:
            masks = np.asarray(infos["action_mask"], dtype=np.bool_)
            self._masks = masks | ~masks.any(axis=1, keepdims=True)  # where nothing is left, all is as good
