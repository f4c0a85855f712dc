"""`n` episodes side by side: steps, endings, rewards and tasks. What Gymnasium makes of them is decided elsewhere."""

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nasgym.architectures.spaces.space import SearchSpace
from nasgym.core.errors import ArchitectureError
from nasgym.envs.config import EnvConfig, Objective, RewardTiming
from nasgym.envs.identity import Identity, identity
from nasgym.envs.parts import step_limit
from nasgym.envs.vector.answers import Answer, Asked, TableColumns
from nasgym.envs.vector.lookup import MISSING, Lookup, lookup
from nasgym.envs.vector.rows import Flags, Numbers
from nasgym.envs.vector.walk import ILLEGAL, INVALID, MAX_STEPS
from nasgym.envs.vector.walks import make_walk
from nasgym.evaluation.evaluator import Evaluation, Evaluator
from nasgym.evaluation.rewards import AccuracyReward
from nasgym.evaluation.tables import TabularBenchmark
from nasgym.tasks import Budget, Task


@dataclass(frozen=True)
class Step:
    """What one step came to.

    Attributes:
        rewards: in [0, 1], shape `(n,)`.
        values: rewards of the networks themselves, before objective and σ; 0 where none was evaluated.
        stops: stop codes (`nasgym.envs.vector.walk.STOPS`), 0 while an episode goes on, shape `(n,)`, int8.
        evaluated: where a network was evaluated, shape `(n,)`.
        tasks: number of the task of each place, shape `(n,)`.
        rows: of a table, where the network was not asked for; `None` without a table.
        asked: what was asked, by place.
    """

    rewards: NDArray[np.float64]
    values: NDArray[np.float64]
    stops: NDArray[np.int8]
    evaluated: Flags
    tasks: Numbers
    rows: Numbers | None
    asked: dict[int, Evaluation] = field(default_factory=dict)


class Episodes:
    """`n` episodes side by side.

    Args:
        n: episodes.
        space: of all of them.
        config: when networks are evaluated, and what is rewarded.
        evaluator: joins estimator, cache and reward.
        executor: where estimators run; in this thread if `None`.
    """

    def __init__(
        self, n: int, space: SearchSpace, config: EnvConfig, evaluator: Evaluator, executor: Executor | None = None
    ) -> None:
        self.n = n
        self.walk = make_walk(n, space, evaluator.estimator.profile)
        self.max_steps = step_limit(config, space)
        self.steps = np.zeros(n, dtype=np.int64)
        self.incumbents = np.zeros(n)
        self.stops = np.zeros(n, dtype=np.int8)
        self.task_numbers = np.zeros(n, dtype=np.int64)
        self.tasks: list[Task] = []
        self.asked = Asked(evaluator, executor)
        self.rewards_accuracy = isinstance(evaluator.reward, AccuracyReward)
        self.leaves = evaluator.estimator.profile.leaves
        self._n_actions = len(space.actions)
        self._at_the_end = config.reward_timing is RewardTiming.TERMINAL
        self._improves = config.objective is Objective.IMPROVEMENT
        self._factors = np.where(self.walk.shifts, config.shift_reward, 1.0) if self.walk.shifts.any() else None
        self._numbers: dict[Identity, int] = {}
        self._shapes = np.zeros(0, dtype=np.int64)
        self._classes = np.zeros(0, dtype=np.int64)
        self._limited = np.zeros(0, dtype=np.bool_)
        self._lookup: Lookup | None = None
        self.columns: TableColumns | None = None
        estimator = evaluator.estimator
        if isinstance(estimator, TabularBenchmark):
            self._lookup = lookup(self.walk, estimator.table)
        if self._lookup is not None and isinstance(estimator, TabularBenchmark):
            self.columns = TableColumns(estimator, evaluator.reward)

    def task_number(self, task: Task) -> int:
        """Return the number of a task, which takes it in if it is new."""
        key = identity(task)
        if key not in self._numbers:
            self._numbers[key] = len(self.tasks)
            self.tasks.append(task)
            self._shapes = np.append(self._shapes, self.walk.shape_number(task.input_shape))
            self._classes = np.append(self._classes, task.n_classes)
            limited = task.budget != Budget() or self.walk.may_exceed(task.input_shape, task.n_classes)
            self._limited = np.append(self._limited, limited)
            self.asked.add(task)
            if self.columns is not None:
                self.columns.add(task)
        return self._numbers[key]

    def start(self, which: Flags) -> None:
        """Begin new episodes where `which` says so, each on the task of its place."""
        self.walk.start(which, self._shapes.take(self.task_numbers))
        if self._lookup is not None:
            self._lookup.start(which)
        np.putmask(self.steps, which, 0)
        np.putmask(self.stops, which, 0)

    def step(self, actions: Numbers, idle: Flags | None = None) -> Step:
        """Take one action in every episode.

        Args:
            actions: shape `(n,)`.
            idle: where nothing is evaluated, since the episode begins anew; all count if `None`.

        Raises:
            ArchitectureError: an action is outside the action space.
        """
        actions = self._checked(actions, idle)
        stops = self.walk.act(actions)
        if self._lookup is not None:
            self._lookup.act()
        self.steps += 1
        stops[(self.steps >= self.max_steps) & (stops == 0)] = MAX_STEPS
        self.stops = stops.copy()
        evaluated = self.walk.answerable & (stops != ILLEGAL) & (stops != INVALID)
        if self._at_the_end:
            evaluated &= stops != 0
        if idle is not None:
            evaluated &= ~idle
        values, rows, asked = self._values(evaluated)
        rewards = np.maximum(values - self.incumbents, 0.0) if self._improves else values
        self.incumbents = np.maximum(self.incumbents, values)
        if self._factors is not None:
            rewards = rewards * self._factors.take(actions)
        return Step(rewards, values, stops, evaluated, self.task_numbers.copy(), rows, asked)

    def mask(self) -> NDArray[np.int8]:
        """Return 1 for the actions that may be worth something, 0 for the masked ones, shape `(n, n_actions)`."""
        mask = self.walk.mask()
        over = self.stops == MAX_STEPS
        if over.any():
            mask[over] = 0
        limited = self._limits()
        if limited is not None and limited.any():
            self._mask_what_costs_too_much(mask, limited)
        return mask

    def answers(self, step: Step, which: Numbers) -> Sequence[Answer]:
        """Return what is told of the evaluated networks `which`."""
        answers = []
        for number in which.tolist():
            if number in step.asked:
                evaluation = step.asked[number]
                answers.append(Answer.of(evaluation.outcome, evaluation.reward, from_store=evaluation.from_store))
            elif step.rows is not None and self.columns is not None:
                place = int(step.tasks[number]), int(step.rows[number])
                answers.append(self.columns.answer(*place, from_store=True))
        return answers

    def _checked(self, actions: Numbers, idle: Flags | None) -> Numbers:
        """Return the actions, where they count, once all of those are in the action space."""
        if idle is not None:
            actions = np.where(idle, 0, actions)
        outside = (actions < 0) | (actions >= self._n_actions)
        if outside.any():
            place = int(np.flatnonzero(outside)[0])
            raise ArchitectureError(
                f"Action {int(actions[place])} of environment {place} is outside the action space: space "
                f"{self.walk.space.name!r} has actions 0 to {self._n_actions - 1}."
            )
        return actions

    def _limits(self) -> Flags | None:
        """Return which networks may cost more than is allowed; `None` where none can."""
        limited = self._limited.take(self.task_numbers) if self._limited.any() else None
        exceeding = self.walk.exceeding(self._classes.take(self.task_numbers))
        if limited is None or exceeding is None:
            return exceeding if limited is None else limited
        return limited | exceeding

    def _values(self, evaluated: Flags) -> tuple[NDArray[np.float64], Numbers | None, dict[int, Evaluation]]:
        """Return the rewards of the networks, 0 where none is evaluated, and where they are from."""
        rewards, rows, ask = np.zeros(self.n), None, evaluated
        if not evaluated.any():
            return rewards, rows, {}
        if self._lookup is not None and self.columns is not None:
            limited = self._limits()
            ask = np.zeros(self.n, dtype=np.bool_) if limited is None else evaluated & limited
            rows = np.where(evaluated & ~ask, self._lookup.rows(evaluated & ~ask), MISSING)
            rewards = self.columns.rewards(self.task_numbers, rows)
        which = np.flatnonzero(ask)
        if not which.size:
            return rewards, rows, {}
        evaluations = self.asked.evaluations(which, self.task_numbers, self.walk.snapshot())
        rewards[which] = [evaluation.reward for evaluation in evaluations]
        return rewards, rows, dict(zip(which.tolist(), evaluations, strict=True))

    def _mask_what_costs_too_much(self, mask: NDArray[np.int8], limited: Flags) -> None:
        last = self.steps + 1 >= self.max_steps
        finishing = (mask == 1) & (self.walk.finishing() | last[:, np.newaxis]) & limited[:, np.newaxis]
        networks = self.walk.snapshot()
        for number in np.flatnonzero(finishing.any(axis=1)).tolist():
            task = int(self.task_numbers[number])
            mask[number] &= self.asked.affordable(task, finishing[number], number, networks, last=bool(last[number]))
