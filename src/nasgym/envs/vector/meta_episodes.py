"""Meta-episodes in native vector form."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from nasgym.core.errors import ConfigurationError
from nasgym.core.randomness import stream
from nasgym.envs.parts import task_for
from nasgym.envs.signals import MetaEpisodes, Signal, SignalLayout, Signals
from nasgym.envs.vector.episodes import Step
from nasgym.envs.vector.infos import Deferred, Infos
from nasgym.envs.vector.options import Observing
from nasgym.envs.vector.rows import Flags, Numbers
from nasgym.envs.vector.vector_env import ArchitectureVectorEnv, Moment
from nasgym.envs.vector.walk import Snapshot


@dataclass(frozen=True)
class MetaMoment(Moment):
    """What can be observed now in meta-episodes.

    Attributes:
        signals: beside the architectures.
    """

    signals: Signals


class MetaEpisodeVectorEnv(ArchitectureVectorEnv):
    """`num_envs` environments that behave as so many `MetaEpisode`, each step done for all of them at once.

    Observations are flat as those of the single form; with `observation="compact"` they are a dictionary:

    | key | values |
    |---|---|
    | `architecture` | as of `ArchitectureVectorEnv`, uint8, shape `(n, n_groups)` |
    | `action` | the previous action, the number of actions for "none yet", int64, shape `(n,)`, if observed |
    | `signals` | the other signals in their order, then the task's description, float32, shape `(n, m)` |

    Args:
        num_envs: n.
        meta: K, tasks, signals.
        **settings: as of `ArchitectureVectorEnv`.

    Raises:
        ConfigurationError: as of `ArchitectureVectorEnv`.
    """

    def __init__(self, num_envs: int, meta: MetaEpisodes, **settings: Any) -> None:
        self.meta = meta
        self._distribution = meta.distribution
        self._draws_tasks = True
        super().__init__(num_envs, **settings)

    def _prepare(self) -> None:
        """Make room for what is observed, before the observation space is made."""
        n, space = self.num_envs, self.search_space
        self._layout = SignalLayout(
            tuple(Signal(signal) for signal in self.meta.observe),
            len(space.actions),
            space.max_layers,
            self.episodes.max_steps,
            self.meta.episodes,
        )
        self._draws = [np.random.default_rng() for _ in range(n)] if self._distribution is not None else []
        self._actions = np.full(n, len(space.actions), dtype=np.int64)
        self._rewards = np.zeros(n)
        self._ends = np.zeros(n, dtype=np.bool_)
        self._ended = np.zeros(n, dtype=np.int64)

    def _begin(self, which: Flags) -> None:
        """Begin meta-episodes where `which` says so."""
        if self._distribution is not None and self._draws_tasks:
            drawn = [self._distribution.draw(self._draws[place]) for place in np.flatnonzero(which).tolist()]
            self._put_on(which, [task_for(self.config, task, self.evaluator) for task in drawn])
        self.episodes.incumbents[which] = 0.0
        np.putmask(self._actions, which, self._layout.n_actions)
        np.putmask(self._rewards, which, 0.0)
        np.putmask(self._ends, which, False)
        np.putmask(self._ended, which, 0)
        super()._begin(which)

    def _seed(self, which: Flags, seeds: list[int | None], *, draws: bool) -> None:
        """Hear of the seeds of a reset, and whether tasks are drawn in it."""
        self._draws_tasks = draws
        for place in np.flatnonzero(which).tolist() if self._draws else ():
            seed = seeds[place]
            if seed is not None:
                self._draws[place] = stream(seed, "tasks")

    def _settle(self, step: Step, actions: Numbers, playing: Flags) -> tuple[Flags, Flags]:
        """Return where meta-episodes terminated; begin the next episode of those that go on."""
        self._draws_tasks = True
        ended = (step.stops != 0) & playing
        self._actions, self._rewards, self._ends = actions.copy(), step.rewards.copy(), ended
        self._ended = self._ended + ended
        finished = ended & (self._ended >= self.meta.episodes)
        goes_on = ended & ~finished
        if goes_on.any():
            self.episodes.start(goes_on)
        return finished, np.zeros_like(finished)

    def _moment(self, networks: Snapshot | None = None) -> MetaMoment:
        moment = super()._moment(networks)
        signals = Signals(
            self._actions.copy(),
            self._rewards.copy(),
            self.episodes.steps.copy(),
            self._ends.copy(),
            self._ended.copy(),
        )
        return MetaMoment(moment.networks, moment.tasks, signals)

    def _observe(self, moment: Moment, which: Numbers | slice, out: NDArray[Any] | None = None) -> Any:
        """Return what the environments `which` observe."""
        if not isinstance(moment, MetaMoment):
            raise AssertionError("a meta-episode is observed with its signals")
        signals = _chosen(moment.signals, which)
        if self.observing is Observing.ONE_HOT:
            architectures = super()._observe(moment, which)
            return np.concatenate([architectures, self._layout.flat(signals)], axis=1, out=out)
        networks, numbers = moment.networks, self._layout.numbers(signals)
        if self._descriptions:
            descriptions = np.stack(self._descriptions).take(moment.tasks[which], axis=0)
            numbers = np.concatenate([numbers, descriptions], axis=1)
        observed = {
            "architecture": self._observer.observe(
                networks.window[which], networks.slots[which], networks.chosen[which], None
            )
        }
        if Signal.ACTION in self._layout.observe:
            observed["action"] = signals.actions
        return observed | {"signals": numbers}

    def _tell(self, infos: Infos, moment: Moment, mask: NDArray[np.int8] | Deferred, which: Flags) -> None:
        super()._tell(infos, moment, mask, which)
        infos.add("episodes_ended", which.copy, self._ended.copy())

    def _single_observation_space(self) -> spaces.Space[Any]:
        self._prepare()
        described = np.ones(sum(len(one) for one in self._descriptions[:1]), dtype=np.float32)
        if self.observing is Observing.ONE_HOT:
            rows = np.ones(self._observer.length, dtype=np.float32)
            high = np.concatenate([rows, described, self._layout.flat_bounds])
            return spaces.Box(np.zeros_like(high), high, dtype=np.float32)
        high = np.concatenate([self._layout.bounds, described])
        parts: dict[str, spaces.Space[Any]] = {
            "architecture": spaces.MultiDiscrete(np.array(self.episodes.walk.layout.groups), dtype=np.uint8)
        }
        if Signal.ACTION in self._layout.observe:
            parts["action"] = spaces.Discrete(self._layout.n_actions + 1)
        return spaces.Dict(parts | {"signals": spaces.Box(np.zeros_like(high), high, dtype=np.float32)})


def make_vector_env(num_envs: int, *, meta: MetaEpisodes | None = None, **settings: Any) -> ArchitectureVectorEnv:
    """Return `num_envs` environments in native vector form: what `gymnasium.make_vec` calls.

    Args:
        num_envs: n.
        meta: what meta-episodes are made of; single episodes if `None`.
        **settings: as of `ArchitectureVectorEnv`.

    Raises:
        ConfigurationError: as of `ArchitectureVectorEnv`.
    """
    if meta is None:
        return ArchitectureVectorEnv(num_envs, **settings)
    if not isinstance(meta, MetaEpisodes):
        raise ConfigurationError(f"meta is a nasgym.envs.MetaEpisodes, got {meta!r}.")
    return MetaEpisodeVectorEnv(num_envs, meta, **settings)


def _chosen(signals: Signals, which: Numbers | slice) -> Signals:
    return Signals(
        signals.actions[which],
        signals.rewards[which],
        signals.steps[which],
        signals.ends[which],
        signals.episodes[which],
    )
