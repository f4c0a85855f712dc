"""The search itself: propose, evaluate, tell, in an order that does not depend on who finishes first."""

import logging
from dataclasses import dataclass

from nasgym.architectures import Architecture, format_architecture
from nasgym.evaluation import Estimator, EvaluationRequest, Outcome
from nasgym.evaluation.outcome import in_words
from nasgym.evaluation.rewards import Reward
from nasgym.experiments.clock import Clock
from nasgym.experiments.events import Evaluated, Listener
from nasgym.experiments.sharing import InFlight
from nasgym.store import Step, Store
from nasgym.strategies import Strategy
from nasgym.tasks import Task

TIME_IS_OVER = "the time for searching is over"
LOOK_EVERY = 0.5
"""Seconds between looks at the clock while evaluations are at work."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Bounds:
    """When to stop proposing.

    Attributes:
        evaluations: largest number of candidates; `None` for no limit.
        in_flight: proposals that may be without outcome at once.
        known: proposals that an earlier part of the run made; time does not cut these off.
        clock: tells when the time for searching is over.
    """

    evaluations: int | None
    in_flight: int
    known: int
    clock: Clock


class CandidateSearch:
    """Lets a strategy propose candidates for a task, and keeps every outcome in a store as soon as it is known.

    Before proposal n the strategy has heard of proposals up to n - in_flight, no more and no less: the
    candidates depend on the seed and not on which evaluation happens to end first.

    Args:
        task: what candidates are trained on.
        strategy: proposes.
        estimator: its fingerprint and profile name the outcomes in the store.
        reward: from an outcome to what the strategy hears.
        store: where outcomes are looked up and kept.
        run: id of the run in the store.
    """

    def __init__(
        self, task: Task, strategy: Strategy, estimator: Estimator, reward: Reward, store: Store, run: str
    ) -> None:
        self._task = task
        self._strategy = strategy
        self._estimator = estimator
        self._reward = reward
        self._store = store
        self._run = run
        self._proposals: list[Architecture] = []
        self._steps: dict[int, Step] = {}
        self._told = 0

    def search(self, evaluations: InFlight, bounds: Bounds, listener: Listener) -> str:
        """Search until the bounds are reached; return in words why it ended."""
        reason = ""
        deadline: float | None = None
        clock = bounds.clock
        while True:
            while not reason and self._has_heard_enough(bounds):
                reason = self._why_stop(bounds) or self._propose(evaluations, listener)
                self._collect(evaluations, listener, timeout=0)
            reason = reason or self._time_is_over(bounds)
            if reason and deadline is None and clock.is_over(self._outcomes):
                evaluations.withdraw()
                patience = clock.seconds_to_wait(self._outcomes)
                deadline = None if patience is None else clock.seconds() + patience
            if reason and not len(evaluations):
                return reason
            if deadline is not None and clock.seconds() >= deadline:
                _log.info("Time is over: %d evaluations at work are given up.", len(evaluations))
                evaluations.abandon()
                return TIME_IS_OVER
            self._collect(evaluations, listener, timeout=LOOK_EVERY)

    @property
    def steps(self) -> list[Step]:
        """Candidates with their outcomes, in proposal order."""
        return [self._steps[number] for number in sorted(self._steps)]

    @property
    def _outcomes(self) -> list[Outcome]:
        return [step.outcome for step in self._steps.values()]

    def _has_heard_enough(self, bounds: Bounds) -> bool:
        """Tell the strategy what it is to hear before its next proposal; return whether all of it is known."""
        while self._told <= len(self._proposals) - bounds.in_flight:
            step = self._steps.get(self._told)
            if step is None:
                return False
            self._strategy.feedback(self._proposals[self._told], self._reward(step.outcome))
            self._told += 1
        return True

    def _why_stop(self, bounds: Bounds) -> str:
        if bounds.evaluations is not None and len(self._proposals) >= bounds.evaluations:
            return f"{bounds.evaluations} networks were evaluated"
        return self._time_is_over(bounds)

    def _time_is_over(self, bounds: Bounds) -> str:
        over = len(self._proposals) >= bounds.known and bounds.clock.is_over(self._outcomes)
        return TIME_IS_OVER if over else ""

    def _propose(self, evaluations: InFlight, listener: Listener) -> str:
        """Make the next proposal and have it evaluated unless it is known; return why not, if not."""
        number = len(self._proposals)
        architecture = self._strategy.propose()
        if architecture is None:
            return "the space holds no more networks within the limits"
        self._proposals.append(architecture)
        request = EvaluationRequest.of(architecture, self._task)
        known = self._store.get(request.key(self._estimator))
        if known is None:
            _log.debug("Network %d is evaluated: %s", number + 1, architecture)
            evaluations.start(number, request)
        else:
            self._keep(number, request, known, from_store=True, listener=listener)
        return ""

    def _collect(self, evaluations: InFlight, listener: Listener, *, timeout: float | None) -> None:
        for number, request, outcome in evaluations.finished(timeout=timeout):
            self._keep(number, request, outcome, from_store=False, listener=listener)

    def _keep(
        self, number: int, request: EvaluationRequest, outcome: Outcome, *, from_store: bool, listener: Listener
    ) -> None:
        step = self._store.record_step(
            self._run, number, request, request.key(self._estimator), outcome, from_store=from_store
        )
        self._steps[number] = step
        text = format_architecture(request.architecture)
        _log.info("Network %d%s: %s: %s", number + 1, " (known)" if from_store else "", text, in_words(step.outcome))
        listener(Evaluated(number + 1, len(self._steps), text, step.outcome, step.from_store))
