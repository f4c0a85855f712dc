"""Thousands of environments as one: the native vector form of `ArchitectureEnv`, in NumPy."""

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from nasgym.core.errors import ArchitectureError, ConfigurationError
from nasgym.envs.config import EnvConfig
from nasgym.envs.parts import description, make_evaluator, make_space, task_for
from nasgym.envs.vector.episodes import Episodes, Step
from nasgym.envs.vector.infos import Deferred, Infos
from nasgym.envs.vector.options import Observing, autoreset, check_reset_options, observing, reset_mask
from nasgym.envs.vector.reporting import tell_moment, tell_step
from nasgym.envs.vector.rows import Flags, Numbers, Observer
from nasgym.envs.vector.walk import MAX_STEPS, Snapshot
from nasgym.store import Store
from nasgym.tasks import Task

Seed = int | Sequence[int | None] | None


@dataclass(frozen=True)
class Moment:
    """What can be observed now, kept whatever happens next.

    Attributes:
        networks: the architectures.
        tasks: number of the task of each environment.
    """

    networks: Snapshot
    tasks: Numbers


class ArchitectureVectorEnv(VectorEnv[Any, Any, NDArray[Any]]):
    """`num_envs` environments that behave as so many `ArchitectureEnv`, each step done for all of them at once.

    Args:
        num_envs: n.
        config: what they are made from; or the same as keywords.
        autoreset_mode: `NextStep` (the default), `SameStep` or `Disabled`, as Gymnasium has them.
        observation: `one-hot` (the default) or `compact`.
        copy: whether returned observations are the caller's own; without, the next step overwrites them.
        executor: where an estimator runs, all unknown networks of a step at once; in this thread unless given.
        **settings: the fields of `EnvConfig`, by name.

    Raises:
        ConfigurationError: an unknown setting, a wrong value, settings that do not go together, or a search space
            that has no native vector form.
    """

    _opened: Store | None = None
    """The store, if the environment opened it; of the class, since Gymnasium closes what could not be made, too."""

    def __init__(
        self,
        num_envs: int,
        config: EnvConfig | None = None,
        *,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        observation: Observing | str = Observing.ONE_HOT,
        copy: bool = True,
        executor: Executor | None = None,
        **settings: Any,
    ) -> None:
        if config is not None and settings:
            raise ConfigurationError(f"Give a configuration or settings, not both; got {', '.join(settings)} as well.")
        if isinstance(num_envs, bool) or not isinstance(num_envs, int) or num_envs < 1:
            raise ConfigurationError(f"num_envs is a whole number of at least 1, got {num_envs!r}.")
        self.num_envs = num_envs
        self.config = EnvConfig.of(**settings) if config is None else config
        self.autoreset_mode = autoreset(autoreset_mode)
        self.metadata = {"render_modes": [], "autoreset_mode": self.autoreset_mode}
        self.search_space = make_space(self.config)
        self.evaluator = make_evaluator(self.config)
        if isinstance(self.config.store, str | Path) and isinstance(self.evaluator.cache, Store):
            self._opened = self.evaluator.cache
        self.episodes = Episodes(num_envs, self.search_space, self.config, self.evaluator, executor)
        self.observing = observing(observation)
        self._observer = Observer(self.episodes.walk.layout, one_hot=self.observing is Observing.ONE_HOT)
        self._copy = copy
        self._buffer: NDArray[Any] | None = None
        self._descriptions: list[NDArray[np.float32]] = []
        self._everywhere = np.ones(num_envs, dtype=np.bool_)
        self._pending = np.zeros(num_envs, dtype=np.bool_)
        self._begun = False
        self._put_on(self._everywhere, [task_for(self.config, self.config.task, self.evaluator)] * num_envs)
        self.single_action_space = spaces.Discrete(len(self.search_space.actions))
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.single_observation_space = self._single_observation_space()
        self.observation_space = batch_space(self.single_observation_space, num_envs)

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The task of each environment."""
        return tuple(self.episodes.tasks[number] for number in self.episodes.task_numbers.tolist())

    @property
    def incumbents(self) -> NDArray[np.float64]:
        """The highest reward of a network since each meta-episode began, shape `(n,)`."""
        return self.episodes.incumbents.copy()

    def reset(self, *, seed: Seed = None, options: dict[str, Any] | None = None) -> tuple[Any, Infos]:
        """Begin an episode in every environment.

        Args:
            seed: as Gymnasium has it: one for each, or a first one from which the others count up. Nothing is drawn,
                but a seed begins a new meta-episode.
            options: as in the single form, `task` being one for all or a sequence of one each; and `reset_mask`:
                which environments begin anew, the others staying as they are.

        Raises:
            ConfigurationError: an unknown option, or not one task or seed for each environment.
        """
        options = options or {}
        check_reset_options(options, ("task", "new_meta_episode", "reset_mask"))
        which = reset_mask(options.get("reset_mask"), self.num_envs)
        if not self._begun and not which.all():
            raise ConfigurationError("The first reset() begins an episode everywhere; leave out reset_mask.")
        seeds = self._seeds(seed)
        given = options.get("task")
        if given is not None:
            tasks = self._given_tasks(given)
            self._put_on(which, [task for task, chosen in zip(tasks, which.tolist(), strict=True) if chosen])
        self._seed(which, seeds, draws=given is None)
        forget = np.array([one is not None for one in seeds]) | bool(options.get("new_meta_episode", False))
        self.episodes.incumbents[which & forget] = 0.0
        self._begin(which)
        self._pending &= ~which
        self._begun = True
        return self._returned(self._moment(), self._told_after_reset(which))

    def step(
        self, actions: Any
    ) -> tuple[Any, NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Take one action in every environment.

        Returns:
            observations, rewards in [0, 1], terminations, truncations, infos. Where an environment begins anew (mode
            `NextStep`, after an end) its action does nothing and the reward is 0.

        Raises:
            ArchitectureError: an action is outside the action space.
            ResetNeeded: `reset` was not called, or (mode `Disabled`) an episode has ended.
        """
        begins = self._beginning()
        numbers = self._numbers(actions)
        step = self.episodes.step(numbers, begins)
        before = self.episodes.walk.snapshot()
        playing = self._everywhere if begins is None else ~begins
        terminations, truncations = self._settle(step, numbers, playing)
        if begins is not None:
            self._begin(begins)
        ended = terminations | truncations
        infos = Infos()
        told = playing
        if self.autoreset_mode is not AutoresetMode.SAME_STEP:
            self._pending = ended
        elif ended.any():
            self._tell_ending(infos, step, before, ended)
            self._begin(ended)
            told = ~ended
        moment = self._moment(before if begins is None and not (step.stops != 0).any() else None)
        self._tell(infos, moment, self.episodes.mask(), self._everywhere)
        tell_step(infos, self.episodes, step, before, told)
        observations, infos = self._returned(moment, infos)
        return observations, step.rewards.copy(), terminations, truncations, infos

    def action_masks(self) -> NDArray[np.bool_]:
        """Return which actions are not masked, shape `(n, n_actions)`."""
        return self.episodes.mask().astype(np.bool_)

    def close_extras(self, **kwargs: Any) -> None:
        """Close the store, if the environment opened it."""
        del kwargs
        if self._opened is not None:
            self._opened.close()

    def _seed(self, which: Flags, seeds: list[int | None], *, draws: bool) -> None:
        """Hear of the seeds of a reset, and whether tasks are drawn in it: here nothing is."""

    def _begin(self, which: Flags) -> None:
        """Begin episodes where `which` says so."""
        self.episodes.start(which)

    def _settle(self, step: Step, actions: Numbers, playing: Flags) -> tuple[Flags, Flags]:
        """Return where what Gymnasium calls an episode terminated, and where it was truncated."""
        del actions
        truncations = (step.stops == MAX_STEPS) & playing
        return (step.stops != 0) & playing & ~truncations, truncations

    def _moment(self, networks: Snapshot | None = None) -> Moment:
        """Return what can be observed now; `networks` are as they are now, if given."""
        return Moment(networks or self.episodes.walk.snapshot(), self.episodes.task_numbers.copy())

    def _observe(self, moment: Moment, which: Numbers | slice, out: NDArray[Any] | None = None) -> Any:
        """Return what the environments `which` observe."""
        networks, described = moment.networks, bool(self._descriptions)
        rows = self._observer.observe(
            networks.window[which], networks.slots[which], networks.chosen[which], None if described else out
        )
        if not described:
            return rows
        descriptions = np.stack(self._descriptions).take(moment.tasks[which], axis=0)
        return np.concatenate([rows, descriptions], axis=1, out=out)

    def _tell(self, infos: Infos, moment: Moment, mask: NDArray[np.int8] | Deferred, which: Flags) -> None:
        """Add to `infos` what is always told of the environments `which`."""
        tell_moment(infos, self.episodes, moment.networks, mask, which)

    def _single_observation_space(self) -> spaces.Space[Any]:
        length = self._observer.length + sum(len(one) for one in self._descriptions[:1])
        if self.observing is Observing.ONE_HOT:
            return spaces.Box(0.0, 1.0, (length,), np.float32)
        if self._descriptions:
            raise ConfigurationError(
                "Compact observations are whole numbers, and a task's description is not: leave out describe_task, or "
                "use meta-episodes, whose compact observations have a part for it."
            )
        return spaces.MultiDiscrete(np.array(self.episodes.walk.layout.groups), dtype=np.uint8)

    def _beginning(self) -> Flags | None:
        """Return which environments begin anew in this step; `None` for none."""
        if not self._begun:
            raise ResetNeeded("No episode has begun: call reset() before step().")
        if not self._pending.any():
            return None
        if self.autoreset_mode is AutoresetMode.DISABLED:
            place = int(np.flatnonzero(self._pending)[0])
            raise ResetNeeded(
                f"The episode of environment {place} has ended, and autoreset is disabled: "
                "call reset(options={'reset_mask': terminations | truncations})."
            )
        return self._pending

    def _tell_ending(self, infos: Infos, step: Step, before: Snapshot, ended: Flags) -> None:
        """Add what there is to tell of the episodes that `ended`, and that are about to begin anew."""
        moment = self._moment(before)
        final_info = Infos()
        shape = (self.num_envs, len(self.search_space.actions))
        self._tell(final_info, moment, Deferred(lambda: np.zeros(shape, dtype=np.int8)), ended)
        tell_step(final_info, self.episodes, step, before, ended)
        infos.add("final_obs", ended.copy, Deferred(lambda: self._final(moment, ended)))
        infos.add("final_info", ended.copy, final_info)

    def _final(self, moment: Moment, ended: Flags) -> NDArray[np.object_]:
        """Return the last observations, `None` where no episode ended."""
        final = np.full(self.num_envs, None, dtype=object)
        places = np.flatnonzero(ended)
        observations = self._observe(moment, places)
        for number, place in enumerate(places.tolist()):
            final[place] = _row(observations, number)
        return final

    def _told_after_reset(self, which: Flags) -> Infos:
        infos = Infos()
        self._tell(infos, self._moment(), self.episodes.mask(), which)
        return infos

    def _returned(self, moment: Moment, infos: Infos) -> tuple[Any, Infos]:
        observations = self._observe(moment, slice(None), None if self._copy else self._buffer)
        if not self._copy and isinstance(observations, np.ndarray):
            self._buffer = observations
        return observations, infos

    def _numbers(self, actions: Any) -> Numbers:
        numbers = np.asarray(actions)
        if numbers.shape != (self.num_envs,) or numbers.dtype.kind not in "iu":
            raise ArchitectureError(
                f"Actions are {self.num_envs} whole numbers, got {numbers.dtype} of shape {numbers.shape}."
            )
        return numbers.astype(np.int64, copy=False)

    def _seeds(self, seed: Seed) -> list[int | None]:
        """Return the seed of each environment."""
        if seed is None:
            return [None] * self.num_envs
        if isinstance(seed, int | np.integer):
            super().reset(seed=int(seed))
            return [int(seed) + number for number in range(self.num_envs)]
        if len(seed) != self.num_envs:
            raise ConfigurationError(f"{len(seed)} seeds for {self.num_envs} environments; give one, or one each.")
        return list(seed)

    def _given_tasks(self, given: Any) -> list[Task]:
        """Return the task of each environment."""
        if isinstance(given, str | Path | Task):
            return [task_for(self.config, given, self.evaluator)] * self.num_envs
        if len(given) != self.num_envs:
            raise ConfigurationError(
                f"options['task'] holds {len(given)} tasks for {self.num_envs} environments; give one, or one each."
            )
        return [task_for(self.config, task, self.evaluator) for task in given]

    def _put_on(self, which: Flags, tasks: Sequence[Task]) -> None:
        """Let the environments `which` go on with other tasks, in their order, in new meta-episodes."""
        numbers = [self.episodes.task_number(task) for task in tasks]
        while self.config.describe_task and len(self._descriptions) < len(self.episodes.tasks):
            self._descriptions.append(description(self.episodes.tasks[len(self._descriptions)]))
        self.episodes.task_numbers[which] = numbers
        self.episodes.incumbents[which] = 0.0


def _row(observations: Any, number: int) -> Any:
    """Return one environment's part of a batch of observations."""
    if isinstance(observations, dict):
        return {key: _row(value, number) for key, value in observations.items()}
    return observations[number].copy()
