"""From a request to an outcome and its reward, each (task, architecture) trained once. No torch."""

from dataclasses import dataclass
from typing import Any

from nasgym.core.errors import ConfigurationError
from nasgym.evaluation.feasibility import Feasibility
from nasgym.evaluation.outcome import Failed, FailureKind, Outcome
from nasgym.evaluation.request import Estimator, EvaluationKey, EvaluationRequest, OutcomeCache
from nasgym.evaluation.rewards import AccuracyReward, Reward
from nasgym.tasks import Task


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The answer to a request.

    Attributes:
        outcome: what came out.
        architecture_id: canonical id under the estimator's profile.
        from_store: whether it was known before, so that nothing was trained for it.
        reward: in [0, 1].
    """

    outcome: Outcome
    architecture_id: str
    from_store: bool
    reward: float


class MemoryCache:
    """Outcomes in a dictionary, for as long as the process lives."""

    def __init__(self) -> None:
        self._outcomes: dict[EvaluationKey, Outcome] = {}

    def __len__(self) -> int:
        return len(self._outcomes)

    def get(self, key: EvaluationKey) -> Outcome | None:
        """Return the outcome kept under `key`, or `None`."""
        return self._outcomes.get(key)

    def put(self, request: EvaluationRequest, key: EvaluationKey, outcome: Outcome) -> None:
        """Keep `outcome` under `key`; the key says all of `request` that matters."""
        del request
        self._outcomes[key] = outcome


class Evaluator:
    """Joins an estimator, a cache and a reward function; in this process, one request at a time.

    A network that cannot exist or is over the task's budget fails by its plan: the estimator is not asked, and
    nothing is kept, since plans are quick and no key holds the budget.

    Args:
        estimator: tells how good a network is.
        cache: where outcomes are looked up and kept; a new `MemoryCache` unless given.
        reward: from an outcome to a number in [0, 1]; the accuracy unless given.
    """

    def __init__(self, estimator: Estimator, cache: OutcomeCache | None = None, reward: Reward | None = None) -> None:
        self.estimator = estimator
        self.cache: OutcomeCache = MemoryCache() if cache is None else cache
        self.reward: Reward = AccuracyReward() if reward is None else reward
        self._task: Task | None = None
        self._feasibility: Feasibility | None = None

    def evaluate(self, request: EvaluationRequest) -> Evaluation:
        """Return the evaluation of `request`, from the cache where it is known.

        A bug in the estimator raises; a network that fails is an outcome.

        Raises:
            ConfigurationError: the reward lies outside [0, 1].
        """
        key = request.key(self.estimator)
        problem = self.feasibility(request.task).problem(request.architecture)
        if problem is not None:
            return self._evaluation(problem, key, from_store=False)
        known = self.cache.get(key)
        if known is not None:
            return self._evaluation(known, key, from_store=True)
        outcome = self.estimator.evaluate(request)
        if not (isinstance(outcome, Failed) and outcome.kind is FailureKind.OVER_BUDGET):
            self.cache.put(request, key, outcome)
        return self._evaluation(outcome, key, from_store=False)

    def feasibility(self, task: Task) -> Feasibility:
        """Return what tells whether a network exists on `task` and is within its budget."""
        if self._feasibility is None or self._task is not task:
            self._task, self._feasibility = task, Feasibility(task, self.estimator.profile)
        return self._feasibility

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is found again: the plans."""
        return self.__dict__ | {"_task": None, "_feasibility": None}

    def _evaluation(self, outcome: Outcome, key: EvaluationKey, *, from_store: bool) -> Evaluation:
        reward = self.reward(outcome)
        if not 0 <= reward <= 1:
            raise ConfigurationError(
                f"The reward of network {key.architecture_id} is {reward}, from {outcome}; rewards lie in [0, 1]: "
                "correct the reward function, or the estimator's accuracy."
            )
        return Evaluation(outcome, key.architecture_id, from_store, reward)
