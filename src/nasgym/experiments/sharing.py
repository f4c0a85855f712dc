"""Evaluations that a search shares with whoever works on the same store, so that none is made twice."""

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from nasgym.architectures import format_architecture
from nasgym.evaluation import Estimator, EvaluationKey, EvaluationRequest, Failed, Outcome
from nasgym.executors import LOSSES, Evaluations, Lost, lost_worker
from nasgym.experiments.leases import Leases
from nasgym.store import Answered, Claim, Held, QueuedRequest, Store, Won
from nasgym.store.rows import is_kept

SHORTEST_PAUSE, LONGEST_PAUSE = 0.02, 0.5
"""Seconds between looks into the store for what others have evaluated; longer while nothing comes."""

_log = logging.getLogger(__name__)

Finished = tuple[int, EvaluationRequest, Outcome]


class InFlight(Protocol):
    """Requests that are being evaluated; `nasgym.executors.Evaluations` is one."""

    def __len__(self) -> int:
        """Return how many have no outcome yet."""
        ...

    def start(self, number: int, request: EvaluationRequest) -> None:
        """Start evaluating `request`, to be known by `number`."""
        ...

    def finished(self, *, timeout: float | None = None) -> Iterator[Finished]:
        """Yield what has finished, after waiting for at least one or for `timeout` seconds."""
        ...

    def withdraw(self) -> None:
        """Forget the requests that no worker has taken yet."""
        ...

    def abandon(self) -> None:
        """Forget every request."""
        ...


def given_up(losses: int) -> Failed | None:
    """Return the outcome of a network with which so many workers were lost; `None` if it is to be tried again."""
    return lost_worker(Lost(losses, "its lease ran out")) if losses >= LOSSES else None


@dataclass(frozen=True, slots=True)
class _Waiting:
    request: EvaluationRequest
    key: EvaluationKey


class SharedEvaluations:
    """Requests of one run, evaluated by its own workers, by those that join, or by another run that asks the same.

    A request goes to a worker of the run if one is idle and nobody else is at it; else it waits in the store, where
    joined workers find it. Every evaluation is made under a lease; one whose worker is lost is taken over when the
    lease runs out.

    Args:
        evaluations: on the workers of the run.
        estimator: whose fingerprint is part of the keys.
        store: where requests wait and outcomes are found. Outcomes are kept by the caller, while they are yielded.
        leases: of the run.
        run: its id.
        hands: evaluations that its own workers make at once, at least 1.
    """

    def __init__(
        self, evaluations: Evaluations, estimator: Estimator, store: Store, leases: Leases, run: str, hands: int
    ) -> None:
        self._evaluations = evaluations
        self._estimator = estimator
        self._store = store
        self._leases = leases
        self._run = run
        self._hands = hands
        self._waiting: dict[int, _Waiting] = {}
        self._at_work: dict[int, EvaluationKey] = {}
        self._ready: list[Finished] = []
        self._withdrawn = False
        self._pause = SHORTEST_PAUSE
        self._next_look = 0.0

    def __len__(self) -> int:
        return len(self._waiting) + len(self._evaluations) + len(self._ready)

    def start(self, number: int, request: EvaluationRequest) -> None:
        """Have `request` evaluated by whoever comes first, to be known by `number`."""
        key = request.key(self._estimator)
        self._waiting[number] = _Waiting(request, key)
        self._take()
        if number in self._waiting:
            text = format_architecture(request.architecture)
            self._store.queue([QueuedRequest(self._run, number, key, text)])

    def finished(self, *, timeout: float | None = None) -> Iterator[Finished]:
        """Yield what has finished, wherever, after waiting for at least one or for `timeout` seconds."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            found = False
            for number, request, outcome in self._look(end):
                found = True
                yield number, request, outcome
                self._let_go(number, outcome)
            if found:
                self._pause = SHORTEST_PAUSE
                self._take()
            if found or not len(self) or (end is not None and time.monotonic() >= end):
                return

    def withdraw(self) -> None:
        """Forget the requests that no worker, of this run or another, has taken yet."""
        self._withdrawn = True
        self._evaluations.withdraw()
        self._store.withdraw(self._run)
        self._take()

    def abandon(self) -> None:
        """Forget every request; workers of the run in the middle of one are killed, others keep what they find out."""
        self._evaluations.abandon()
        self._store.withdraw(self._run)
        self._leases.release(*self._at_work.values())
        for forgotten in (self._waiting, self._at_work, self._ready):
            forgotten.clear()

    def _look(self, end: float | None) -> Iterator[Finished]:
        """Yield what is there, after waiting for a while for what own workers are at."""
        ready, self._ready = self._ready, []
        yield from ready
        left = LONGEST_PAUSE if end is None else max(0.0, end - time.monotonic())
        pause = 0.0 if ready else min(self._pause if self._waiting else LONGEST_PAUSE, left)
        if len(self._evaluations):
            yield from self._evaluations.finished(timeout=pause)
        elif self._waiting:
            time.sleep(pause)
        if self._waiting and time.monotonic() >= self._next_look:
            yield from self._found_elsewhere()
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
            self._next_look = time.monotonic() + self._pause

    def _found_elsewhere(self) -> Iterator[Finished]:
        """Yield what others have evaluated, and take what they have lost."""
        known = self._store.get_many([waiting.key for waiting in self._waiting.values()])
        for number, waiting in list(self._waiting.items()):
            if waiting.key in known:
                del self._waiting[number]
                yield number, waiting.request, known[waiting.key]
        self._take()

    def _take(self) -> None:
        """Give own workers that are idle what nobody is at, the first proposals first."""
        for number in sorted(self._waiting):
            if len(self._evaluations) >= self._hands and not self._withdrawn:
                return
            waiting = self._waiting[number]
            if waiting.key not in self._at_work.values():
                self._settle(number, waiting, self._leases.claim(waiting.key)[waiting.key])

    def _settle(self, number: int, waiting: _Waiting, claim: Claim) -> None:
        """Act on what became of a claim."""
        match claim:
            case Held(owner=owner):
                _log.debug("Network %d is evaluated by %s.", number + 1, owner)
                return
            case Answered(outcome=outcome):
                self._ready.append((number, waiting.request, outcome))
            case Won() if self._withdrawn:
                self._leases.release(waiting.key)
            case Won(losses=losses):
                self._at_work[number] = waiting.key
                failed = given_up(losses)
                if failed is None:
                    self._evaluations.start(number, waiting.request)
                else:
                    self._ready.append((number, waiting.request, failed))
        del self._waiting[number]

    def _let_go(self, number: int, outcome: Outcome) -> None:
        """End the lease under which an outcome was found; keeping the outcome has ended it in the store."""
        key = self._at_work.pop(number, None)
        if key is None:
            return
        if is_kept(outcome):
            self._leases.forget(key)
        else:
            self._leases.release(key)
