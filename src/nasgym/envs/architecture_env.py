"""Neural architecture search as a Gymnasium environment: one step is one action on an architecture (SPEC §3)."""

import operator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from numpy.typing import NDArray

from nasgym.architectures import Architecture, architecture_id
from nasgym.architectures.actions import SetHeader, ShiftPointer
from nasgym.core.errors import ArchitectureError, ConfigurationError, nearest
from nasgym.envs.config import EnvConfig, Objective, RewardTiming
from nasgym.envs.parts import description, make_evaluator, make_space, step_limit, task_for
from nasgym.envs.positions import Position, PositionTree, Stop
from nasgym.envs.rendering import as_image, as_text
from nasgym.envs.table_positions import TablePositions, table_lookups
from nasgym.envs.vector.answers import Answer
from nasgym.envs.vector.infos import Deferred, Infos
from nasgym.evaluation import Completed, EvaluationRequest
from nasgym.store import Store
from nasgym.tasks import Task

RESET_OPTIONS = ("task", "new_meta_episode")
NOTHING = np.zeros(0, dtype=np.float32)


class ArchitectureEnv(gymnasium.Env[NDArray[np.float32], np.int64]):
    """Builds an architecture by actions; the reward tells how good a network it is.

    The transitions are deterministic. What episodes leave behind are the outcomes, none of which is computed
    twice, and with `objective="improvement"` the incumbent of the meta-episode.

    Args:
        config: what the environment is made from; or the same as keywords.
        render_mode: `ansi` (text), `rgb_array` (a drawing) or `None`.
        **settings: the fields of `EnvConfig`, by name.

    Raises:
        ConfigurationError: an unknown setting, a wrong value, or settings that do not go together.
    """

    metadata = {"render_modes": ["ansi", "rgb_array"], "render_fps": 2}  # noqa: RUF012 - declared by Gymnasium

    def __init__(self, config: EnvConfig | None = None, *, render_mode: str | None = None, **settings: Any) -> None:
        if config is not None and settings:
            raise ConfigurationError(f"Give a configuration or settings, not both; got {', '.join(settings)} as well.")
        modes = self.metadata["render_modes"]
        if render_mode is not None and render_mode not in modes:
            known = ", ".join(modes)
            raise ConfigurationError(
                f"Unknown render_mode {render_mode!r} (known: {known}).{nearest(render_mode, modes)}"
            )
        self.config = EnvConfig.of(**settings) if config is None else config
        self.render_mode = render_mode
        self.search_space = make_space(self.config)
        self.max_steps = step_limit(self.config, self.search_space)
        self.evaluator = make_evaluator(self.config)
        self._lookups = table_lookups(self.search_space, self.evaluator)
        self._descriptions: dict[str, NDArray[np.float32]] = {}
        self._begin_task(task_for(self.config, self.config.task, self.evaluator))
        self._step = 0
        self._position: Position | None = None
        self._stop: Stop | None = None
        self._reward = 0.0
        length = self.search_space.observation_length + self._description().size
        self.observation_space = spaces.Box(0.0, 1.0, (length,), np.float32)
        self.action_space = spaces.Discrete(len(self.search_space.actions))

    @property
    def task(self) -> Task:
        """The task of the current episode."""
        return self._task

    @property
    def incumbent(self) -> float:
        """The highest reward of a network since the meta-episode began; 0 at its start."""
        return self._incumbent

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin an episode with the empty architecture.

        Args:
            seed: as Gymnasium has it; an explicit seed also begins a new meta-episode.
            options: `task`: a task, or the path or name of a data set, to go on with from now on; another task begins
                a new meta-episode. `new_meta_episode`: whether to forget the incumbent.

        Raises:
            ConfigurationError: an unknown option.
        """
        super().reset(seed=seed)
        options = options or {}
        for name in options:
            if name not in RESET_OPTIONS:
                known = ", ".join(RESET_OPTIONS)
                raise ConfigurationError(
                    f"Unknown reset option {name!r} (known: {known}).{nearest(name, RESET_OPTIONS)}"
                )
        if options.get("task") is not None:
            task = task_for(self.config, options["task"], self.evaluator)
            if task != self._task:
                self._begin_task(task)
        if seed is not None or options.get("new_meta_episode", False):
            self._incumbent = 0.0
        self._step = 0
        self._position = self._positions.start()
        self._stop = None
        self._reward = 0.0
        return self._observation(self._position), self._info(self._position)

    def step(self, action: np.int64 | int) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Take one action.

        Returns:
            observation, reward in [0, 1], terminated, truncated, info.

        Raises:
            ArchitectureError: `action` is not one of the action space.
            ResetNeeded: the episode has ended, or none has begun.
        """
        number = self._number(action)
        if self._position is None or self._stop is not None:
            raise ResetNeeded("The episode has ended, or none has begun: call reset() before step().")
        self._position = position = self._positions.step(self._position, number)
        self._step += 1
        truncated = position.stop is None and self._step >= self.max_steps
        self._stop = Stop.MAX_STEPS if truncated else position.stop
        answer = self._answer(position) if self._is_evaluated(number) else None
        self._reward = 0.0 if answer is None else self._rewarded(number, answer)
        info = self._info(position, answer)
        return self._observation(position), self._reward, position.stop is not None, truncated, info

    def action_masks(self) -> NDArray[np.bool_]:
        """Return which actions are not masked, shape `(n_actions,)`, as sb3-contrib asks for it.

        Raises:
            ResetNeeded: no episode has begun.
        """
        if self._position is None:
            raise ResetNeeded("No episode has begun: call reset() before action_masks().")
        return self._mask(self._position).astype(np.bool_)

    def render(self) -> str | NDArray[np.uint8] | None:
        """Return the architecture as text (`ansi`) or as a picture (`rgb_array`, height × width × 3, uint8)."""
        if self._position is None:
            raise ResetNeeded("No episode has begun: call reset() before render().")
        if self.render_mode == "ansi":
            return as_text(self._position, self._step, self._reward, self._stop)
        if self.render_mode == "rgb_array":
            return as_image(self._position, self._task)
        return None

    def close(self) -> None:
        """Close the store, if the environment opened it."""
        if isinstance(self.config.store, str | Path) and isinstance(self.evaluator.cache, Store):
            self.evaluator.cache.close()

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is found again: the positions. A copy begins with `reset()`."""
        left_out = ("_positions", "_position", "_lookups")
        return {name: value for name, value in self.__dict__.items() if name not in left_out}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lookups = table_lookups(self.search_space, self.evaluator)
        self._positions = self._new_positions()
        self._position = None

    def _begin_task(self, task: Task) -> None:
        self._task = task
        self._positions = self._new_positions()
        self._incumbent = 0.0
        if self.config.describe_task and task.fingerprint not in self._descriptions:
            self._descriptions[task.fingerprint] = description(task)

    def _new_positions(self) -> PositionTree:
        """Return the positions on the task; where a table answers, those that are known by look-ups."""
        quick = None if self._lookups is None else self._lookups.on(self._task)
        return quick or PositionTree(self.search_space, self._task, self.evaluator.estimator.profile)

    def _number(self, action: np.int64 | int) -> int:
        try:
            number = operator.index(action)
        except TypeError as error:
            raise ArchitectureError(f"An action is a whole number, got {action!r}.") from error
        if not 0 <= number < len(self.search_space.actions):
            raise ArchitectureError(
                f"Action {number} is outside the action space: space {self.search_space.name!r} has actions "
                f"0 to {len(self.search_space.actions) - 1}."
            )
        return number

    def _is_evaluated(self, action: int) -> bool:
        """Return whether the position reached by `action` is a network that is trained now."""
        if (
            self._stop is Stop.ILLEGAL
            or self._stop is Stop.INVALID
            or isinstance(self.search_space.actions[action], SetHeader)
        ):
            return False
        return self._stop is not None or self.config.reward_timing is RewardTiming.EVERY_STEP

    def _answer(self, position: Position) -> Answer | None:
        """Return what is told of the network at `position`, if there is one; the second time without asking."""
        if isinstance(self._positions, TablePositions):
            return self._positions.answer(position)
        if position.architecture is None:
            return None
        evaluation = position.evaluation
        if evaluation is None:
            evaluation = self.evaluator.evaluate(EvaluationRequest.of(position.architecture, self._task))
            if isinstance(evaluation.outcome, Completed):
                position.evaluation = replace(evaluation, from_store=True)
        return Answer.of(evaluation.outcome, evaluation.reward, from_store=evaluation.from_store)

    def _rewarded(self, action: int, answer: Answer) -> float:
        """Return the reward of a step that led to `answer`, and keep the incumbent."""
        reward = answer.reward
        if self.config.objective is Objective.IMPROVEMENT:
            reward = max(0.0, reward - self._incumbent)
        self._incumbent = max(self._incumbent, answer.reward)
        shifted = isinstance(self.search_space.actions[action], ShiftPointer)
        return float(self.config.shift_reward * reward if shifted else reward)

    def _mask(self, position: Position) -> NDArray[np.int8]:
        if self._stop is not None:
            return np.zeros(len(self.search_space.actions), dtype=np.int8)
        return self._positions.mask(position, last=self._step + 1 >= self.max_steps)

    def _observation(self, position: Position) -> NDArray[np.float32]:
        description = self._description()
        return np.concatenate([position.observation, description]) if description.size else position.observation.copy()

    def _description(self) -> NDArray[np.float32]:
        """Return what of the task is observed: nothing unless the configuration asks for it."""
        return self._descriptions.get(self._task.fingerprint, NOTHING)

    def _info(self, position: Position, answer: Answer | None = None) -> dict[str, Any]:
        info = Infos(
            nsc=Deferred(lambda: position.nsc.copy()),
            step=self._step,
            pointers=Deferred(lambda: np.array(position.draft.pointers, dtype=np.int64)),
            valid=self._stop is not Stop.ILLEGAL and self._stop is not Stop.INVALID,
            action_mask=self._mask(position).copy(),
        )
        if self._stop is not None:
            info["stop"] = self._stop.value
        if answer is not None:
            leaves = self.evaluator.estimator.profile.leaves
            info["architecture"] = Deferred(lambda: position.text)
            info["architecture_id"] = Deferred(lambda: architecture_id(_network(position), leaves))
            info["accuracy"] = answer.accuracy
            info["from_store"] = answer.from_store
            if answer.failure is not None:
                info["failure"] = answer.failure
        return info


def _network(position: Position) -> Architecture:
    if position.architecture is None:
        raise AssertionError("a network was evaluated where there is none")
    return position.architecture
