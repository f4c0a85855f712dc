"""Several episodes on one task as one: what an agent needs whose memory is to learn how to search."""

from collections.abc import Callable, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs
from numpy.typing import NDArray

from nasgym.core.errors import ConfigurationError
from nasgym.core.randomness import stream
from nasgym.envs.architecture_env import ArchitectureEnv
from nasgym.envs.signals import MetaEpisodes, Signal, SignalLayout, Signals
from nasgym.envs.vector.infos import Infos
from nasgym.tasks import Task
from nasgym.tasks.distribution import TaskDistribution

Observation = NDArray[np.float32]


class MetaEpisode(gymnasium.Wrapper[Observation, np.int64, Observation, np.int64], RecordConstructorArgs):
    """One Gymnasium episode is K architectures on one task (RL², arXiv 1611.02779).

    When an episode inside ends, the next begins in the same step: the observation is the empty architecture's, and with
    it come the last action, its reward and the flag that an episode ended. After the K-th the meta-episode terminates.
    Every `reset` begins a meta-episode, with a task drawn from `tasks` unless `options["task"]` gives one, and with an
    incumbent of 0. The observation is the environment's, followed by the signals.

    With `reward_timing="terminal"` a meta-episode trains at most K networks.

    Args:
        env: an `ArchitectureEnv`, wrapped or not.
        episodes: K.
        tasks: what tasks are drawn from: a sequence, a function from a generator to a task, or a distribution; the
            environment's own task if `None`. What is drawn follows from the seed of `reset` alone.
        observe: names of the signals that are observed; see `nasgym.envs.Signal`.

    Raises:
        ConfigurationError: K is not at least 1, an unknown signal, no task distribution, or another environment.
    """

    def __init__(
        self,
        env: gymnasium.Env[Observation, np.int64],
        episodes: int,
        tasks: TaskDistribution | Sequence[Task] | Callable[[np.random.Generator], Task] | None = None,
        observe: Sequence[Signal | str] = tuple(Signal),
    ) -> None:
        RecordConstructorArgs.__init__(self, episodes=episodes, tasks=tasks, observe=observe)
        gymnasium.Wrapper.__init__(self, env)
        inner = env.unwrapped
        if not isinstance(inner, ArchitectureEnv) or not isinstance(env.observation_space, spaces.Box):
            raise ConfigurationError(f"Meta-episodes are made of an ArchitectureEnv, got {env}.")
        self.settings = MetaEpisodes(episodes, tasks, observe)
        self._distribution = self.settings.distribution
        self._n_actions = len(inner.search_space.actions)
        self._layout = SignalLayout(
            tuple(Signal(signal) for signal in self.settings.observe),
            self._n_actions,
            inner.search_space.max_layers,
            inner.max_steps,
            episodes,
        )
        self._draws = np.random.default_rng()
        self._ended = 0
        self._last: tuple[int, float, bool] = (self._n_actions, 0.0, False)
        high = np.concatenate([env.observation_space.high, self._layout.flat_bounds])
        self.observation_space = spaces.Box(np.zeros_like(high), high, dtype=np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin a meta-episode.

        Args:
            seed: as Gymnasium has it; decides which tasks are drawn from now on.
            options: as of the environment; `task` is used in place of a drawn one.
        """
        if seed is not None:
            self._draws = stream(seed, "tasks")
        options = {**(options or {}), "new_meta_episode": True}
        if options.get("task") is None and self._distribution is not None:
            options["task"] = self._distribution.draw(self._draws)
        observation, info = self.env.reset(seed=seed, options=options)
        self._ended = 0
        self._last = (self._n_actions, 0.0, False)
        return self._with_signals(observation, info), info

    def step(self, action: np.int64) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Take one action.

        Returns:
            observation, reward in [0, 1], terminated (after the K-th episode), `False`, info: where an episode ended,
            what is told of its last network stays, beside the rows and the mask of the next episode.
        """
        observation, reward, terminated, truncated, info = self.env.step(action)
        ended = terminated or truncated
        self._last = (int(action), float(reward), ended)
        self._ended += ended
        if ended and self._ended < self.settings.episodes:
            observation, first = self.env.reset()
            info = info.overridden_by(first) if isinstance(info, Infos) else info | first
        return (
            self._with_signals(observation, info),
            float(reward),
            self._ended == self.settings.episodes,
            False,
            info,
        )

    def action_masks(self) -> NDArray[np.bool_]:
        """Return which actions are not masked, shape `(n_actions,)`, as sb3-contrib asks for it."""
        masks: NDArray[np.bool_] = self.env.get_wrapper_attr("action_masks")()
        return masks

    def _with_signals(self, observation: Observation, info: dict[str, Any]) -> Observation:
        """Return the observation with the signals behind it; tell the number of episodes ended in `info`."""
        action, reward, ended = self._last
        signals = Signals(
            np.array([action]), np.array([reward]), np.array([info["step"]]), np.array([ended]), np.array([self._ended])
        )
        info["episodes_ended"] = self._ended
        return np.concatenate([observation, self._layout.flat(signals)[0]])
