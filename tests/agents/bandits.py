"""Bandits whose best agents are known by hand, as Gymnasium vector environments."""

from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

Numbers = NDArray[np.int64]


class HiddenArm(VectorEnv[Any, Any, NDArray[Any]]):
    """Meta-episodes of `episodes` episodes of two steps, in which one arm pays 1 and the others nothing.

    In the first step an arm is pulled. In the second only action 0 is legal and nothing is paid, so that the first
    observation of the next episode, which holds the last action, its reward and the flag that an episode ended, says
    nothing of the pull: only a memory can have kept it. Which arm pays is drawn for each meta-episode.

    With A arms and K episodes:

    - an agent with memory tries one arm after another and stays with the one that pays, which it knows after A - 1
      pulls at the latest: K - (number of pulls that did not pay), in the mean K - (A - 1) / 2;
    - an agent that the pulls tell nothing is paid K / A in the mean, whatever it does.

    Args:
        num_envs: n.
        arms: A.
        episodes: K.
        shows_reward: whether the observation holds the last reward.
    """

    def __init__(self, num_envs: int, arms: int = 4, episodes: int = 8, *, shows_reward: bool = True) -> None:
        self.num_envs, self.arms, self.episodes, self.shows_reward = num_envs, arms, episodes, shows_reward
        self.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}
        self.single_action_space = spaces.Discrete(arms)
        n_signals = 3 + shows_reward
        self.single_observation_space = spaces.Dict(
            {"action": spaces.Discrete(arms + 1), "signals": spaces.Box(0.0, 1.0, (n_signals,), np.float32)}
        )
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self._draws = [np.random.default_rng() for _ in range(num_envs)]

    @property
    def best(self) -> float:
        """Mean return of the best agent."""
        return self.episodes - (self.arms - 1) / 2

    @property
    def without_feedback(self) -> float:
        """Mean return of every agent that the pulls tell nothing."""
        return self.episodes / self.arms

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin meta-episodes; a seed decides all arms drawn from now on."""
        if seed is not None:
            seeds = range(seed, seed + self.num_envs) if isinstance(seed, int) else seed
            self._draws = [np.random.default_rng(one) for one in seeds]
        n = self.num_envs
        self._paying = np.zeros(n, dtype=np.int64)
        self._pulled = np.zeros(n, dtype=np.bool_)
        self._ended = np.zeros(n, dtype=np.int64)
        self._begin(np.ones(n, dtype=np.bool_))
        return self._observation(np.full(n, self.arms), np.zeros(n), np.zeros(n, dtype=np.bool_)), self._infos()

    def step(self, actions: Any) -> tuple[Any, NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """Pull arms, or go on to the next pull; meta-episodes that are over begin anew in the same step."""
        actions = np.asarray(actions)
        episode_ends = self._pulled.copy()
        assert (actions[episode_ends] == 0).all(), "only action 0 is legal after a pull"
        rewards = np.where(~episode_ends & (actions == self._paying), 1.0, 0.0)
        self._pulled = ~episode_ends
        self._ended = self._ended + episode_ends
        over = self._ended == self.episodes
        infos: dict[str, Any] = {}
        if over.any():
            last = self._observation(actions, rewards, episode_ends)
            final = np.full(self.num_envs, None, dtype=object)
            for place in np.flatnonzero(over).tolist():
                final[place] = {name: part[place] for name, part in last.items()}
            infos = {"final_obs": final, "_final_obs": over}
        self._begin(over)
        observation = self._observation(
            np.where(over, self.arms, actions), np.where(over, 0.0, rewards), episode_ends & ~over
        )
        return observation, rewards, over, np.zeros_like(over), infos | self._infos()

    def _begin(self, which: NDArray[np.bool_]) -> None:
        for place in np.flatnonzero(which).tolist():
            self._paying[place] = self._draws[place].integers(self.arms)
        self._ended = np.where(which, 0, self._ended)

    def _infos(self) -> dict[str, Any]:
        mask = np.ones((self.num_envs, self.arms), dtype=np.int8)
        mask[self._pulled, 1:] = 0
        everywhere = np.ones(self.num_envs, dtype=np.bool_)
        return {
            "action_mask": mask,
            "_action_mask": everywhere,
            "episodes_ended": self._ended.copy(),
            "_episodes_ended": everywhere,
        }

    def _observation(self, actions: Numbers, rewards: NDArray[Any], ends: NDArray[np.bool_]) -> dict[str, NDArray[Any]]:
        numbers = [self._pulled / 2, ends, self._ended / self.episodes]
        if self.shows_reward:
            numbers.insert(0, rewards)
        return {"action": actions.astype(np.int64), "signals": np.stack(numbers, axis=1).astype(np.float32)}


class PlainBandit(VectorEnv[Any, Any, NDArray[Any]]):
    """Arm `a` pays 1 with probability `odds[a]`, always the same; an episode is one pull, and nothing is observed.

    The best agent is paid `max(odds)` in the mean, one that draws arms uniformly their mean.
    """

    def __init__(self, num_envs: int, odds: tuple[float, ...] = (0.2, 0.5, 0.9, 0.4)) -> None:
        self.num_envs, self.odds = num_envs, np.array(odds)
        self.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}
        self.single_action_space = spaces.Discrete(len(odds))
        self.single_observation_space = spaces.Box(0.0, 1.0, (1,), np.float32)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self._generator = np.random.default_rng()

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin anew; a seed decides all payments from now on."""
        if seed is not None:
            self._generator = np.random.default_rng(seed)
        return np.ones((self.num_envs, 1), dtype=np.float32), {}

    def step(self, actions: Any) -> tuple[Any, NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """Pull arms."""
        rewards = (self._generator.random(self.num_envs) < self.odds[np.asarray(actions)]).astype(np.float64)
        over = np.ones(self.num_envs, dtype=np.bool_)
        observation = np.ones((self.num_envs, 1), dtype=np.float32)
        final = np.full(self.num_envs, None, dtype=object)
        for place in range(self.num_envs):
            final[place] = observation[place]
        return observation, rewards, over, np.zeros_like(over), {"final_obs": final, "_final_obs": over}
