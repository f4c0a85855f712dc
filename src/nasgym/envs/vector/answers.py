"""How good the networks of a step are: looked up all at once, or asked of an estimator, each network once."""

from concurrent.futures import Executor
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nasgym.envs.vector.lookup import MISSING
from nasgym.envs.vector.rows import Numbers
from nasgym.envs.vector.walk import Snapshot
from nasgym.evaluation import Completed, EvaluationRequest, Failed, Outcome
from nasgym.evaluation.batches import evaluate_batch
from nasgym.evaluation.evaluator import Evaluation, Evaluator
from nasgym.evaluation.rewards import AccuracyReward, Reward
from nasgym.evaluation.tables import Repeats, TabularBenchmark
from nasgym.evaluation.tables.table import COMPLETED
from nasgym.tasks import Task

MAX_REMEMBERED = 200_000
"""Evaluations remembered by the rows of their networks, before all of them are forgotten and asked for again."""


class Answer(NamedTuple):
    """What is told of a network.

    Attributes:
        reward: in [0, 1].
        accuracy: in [0, 1]; 0 where it failed.
        failure: why it failed, `None` where it did not.
        from_store: whether nothing was trained for it.
    """

    reward: float
    accuracy: float
    failure: str | None
    from_store: bool

    @classmethod
    def of(cls, outcome: Outcome, reward: float, *, from_store: bool) -> "Answer":
        """Return what is told of `outcome`."""
        match outcome:
            case Completed(accuracy=accuracy):
                return cls(reward, accuracy, None, from_store)
            case Failed(kind=kind):
                return cls(reward, 0.0, kind.value, from_store)


class TableColumns:
    """What a table says, as one column of rewards for each task; position 0 stands for what it does not hold.

    Args:
        benchmark: the table, and which of its repeats answers.
        reward: from an outcome to a number in [0, 1].
    """

    def __init__(self, benchmark: TabularBenchmark, reward: Reward) -> None:
        self._benchmark = benchmark
        self._reward = reward
        self._rewards_accuracy = isinstance(reward, AccuracyReward)
        self._missing = benchmark.table.missing("this network on this task")
        self._numbers: list[tuple[int, int] | None] = []
        self._size = len(benchmark.table) + 1
        self._rewards = np.zeros(0)

    def add(self, task: Task) -> int:
        """Take in one more task; return its number."""
        self._numbers.append(self._number(task))
        self._rewards = np.concatenate([self._rewards, self._column(self._numbers[-1])])
        return len(self._numbers) - 1

    def rewards(self, tasks: Numbers, rows: Numbers) -> NDArray[np.float64]:
        """Return the reward of each row on the task of this number; 0 for `MISSING`, shape `(m,)`."""
        places = tasks * self._size + (rows + 1)
        rewards: NDArray[np.float64] = self._rewards.take(places)
        unknown = np.flatnonzero(np.isnan(rewards))
        for number in unknown.tolist():
            reward = self._reward(self.outcome(int(tasks[number]), int(rows[number])))
            rewards[number] = self._rewards[places[number]] = reward
        return rewards

    def answer(self, task: int, row: int, *, from_store: bool) -> Answer:
        """Return what is told of one row on one task."""
        reward = self._rewards.item(task * self._size + row + 1)
        if reward > 0 and self._rewards_accuracy:
            return Answer(reward, reward, None, from_store)
        outcome = self.outcome(task, row)
        return Answer.of(outcome, self._reward(outcome), from_store=from_store)

    def outcome(self, task: int, row: int) -> Outcome:
        """Return what the table says of one row on one task."""
        table, place = self._benchmark.table, self._numbers[task]
        if place is None or row == MISSING:
            return self._missing
        if self._benchmark.repeats is Repeats.MEAN:
            return table.mean_outcome(place[0], row)
        return table.outcome(*place, row)

    def _number(self, task: Task) -> tuple[int, int] | None:
        """Return the position of the task and of the repeat; `None` where the table holds nothing of them."""
        table = self._benchmark.table
        number = table.task_number(task.fingerprint)
        if number is None or table.tasks[number].fidelity != task.fidelity:
            return None
        if self._benchmark.repeats is Repeats.MEAN:
            return number, 0
        seeds = table.tasks[number].seeds
        return (number, seeds.index(task.evaluation_seed)) if task.evaluation_seed in seeds else None

    def _column(self, place: tuple[int, int] | None) -> NDArray[np.float64]:
        """Return the rewards on one task, NaN where they are still to be found out."""
        column = np.zeros(self._size)
        if place is None:
            return column
        column[1:] = np.nan
        if self._rewards_accuracy and self._benchmark.repeats is Repeats.SEED:
            table = self._benchmark.table
            completed = table.states[place] == COMPLETED
            column[1:] = np.where(completed, np.clip(table.accuracies[place], 0.0, 1.0), 0.0)
        return column


class Asked:
    """Evaluations by the rows of the networks, so that equal rows are asked for once.

    Args:
        evaluator: joins estimator, cache and reward.
        executor: where estimators run; in this thread if `None`.
    """

    def __init__(self, evaluator: Evaluator, executor: Executor | None) -> None:
        self._evaluator = evaluator
        self._executor = executor
        self._tasks: list[Task] = []
        self._evaluators: list[Evaluator] = []
        self._known: dict[tuple[int, bytes], Evaluation] = {}
        self._masks: dict[tuple[int, bool, bytes, bytes], NDArray[np.int8]] = {}

    def add(self, task: Task) -> None:
        """Take in one more task; each has an evaluator of its own, which keeps its plans."""
        common = self._evaluator
        self._tasks.append(task)
        self._evaluators.append(Evaluator(common.estimator, common.cache, common.reward))

    def evaluations(self, which: Numbers, tasks: Numbers, networks: Snapshot) -> list[Evaluation]:
        """Return the evaluations of the networks `which`, each on the task of its place."""
        if len(self._known) > MAX_REMEMBERED:
            self._known.clear()
        keys = [(int(tasks[number]), networks.window[number].tobytes()) for number in which.tolist()]
        unknown: dict[tuple[int, bytes], int] = {}
        for key, number in zip(keys, which.tolist(), strict=True):
            if key not in self._known:
                unknown.setdefault(key, number)
        fresh = self._ask(unknown, networks)
        return [fresh.pop(key) if key in fresh else self._known[key] for key in keys]

    def _ask(self, unknown: dict[tuple[int, bytes], int], networks: Snapshot) -> dict[tuple[int, bytes], Evaluation]:
        """Return the evaluations of networks that are not remembered, and remember them as known."""
        asked = [
            (self._evaluators[task], EvaluationRequest.of(networks.architecture(number), self._tasks[task]))
            for (task, _), number in unknown.items()
        ]
        answers = dict(zip(unknown, evaluate_batch(asked, self._executor), strict=True))
        for (evaluator, request), (key, evaluation) in zip(asked, answers.items(), strict=True):
            hopeless = evaluator.feasibility(request.task).problem(request.architecture) is not None
            self._known[key] = evaluation if hopeless else replace(evaluation, from_store=True)
        return answers

    def affordable(
        self, task: int, actions: NDArray[np.bool_], network: int, networks: Snapshot, *, last: bool
    ) -> NDArray[np.int8]:
        """Return 0 for those of `actions` that finish a network over the budget, 1 for the rest, shape `(n_actions,)`.

        `last` says that every action finishes the network.
        """
        if len(self._masks) > MAX_REMEMBERED:
            self._masks.clear()
        key = (task, last, networks.window[network].tobytes(), networks.pointers[network].tobytes())
        if key not in self._masks:
            mask = np.ones(len(actions), dtype=np.int8)
            draft = networks.draft(network)
            feasibility = self._evaluators[task].feasibility(self._tasks[task])
            for action in np.flatnonzero(actions).tolist():
                architecture = networks.space.architecture(networks.space.apply(draft, action))
                if architecture is not None and feasibility.problem(architecture) is not None:
                    mask[action] = 0
            self._masks[key] = mask
        return self._masks[key]
