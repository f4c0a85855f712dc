"""Workers that join running searches through the store, from this machine or another."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from zlib import crc32

from nasgym.architectures import parse_architecture
from nasgym.core.errors import ConfigurationError, NasgymError
from nasgym.evaluation import Estimator, EvaluationKey, EvaluationRequest, Outcome
from nasgym.executors import Evaluations, Patience, Workforce
from nasgym.experiments.config import make_config
from nasgym.experiments.leases import Leases
from nasgym.experiments.search import Surroundings, make_search_task, patience_of, search_estimator
from nasgym.experiments.sharing import given_up
from nasgym.store import QueuedRequest, Run, Store, Won
from nasgym.store.rows import is_kept
from nasgym.tasks import Fidelity, Task

SHORTEST_PAUSE, LONGEST_PAUSE = 0.02, 1.0
"""Seconds between looks for requests that wait; longer while there are none."""
AHEAD = 32
"""Requests looked at, at a time: more than other workers are likely to take in between."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Joined:
    """The worker can serve a run.

    Attributes:
        run: its id.
        task: name of what it searches for.
    """

    run: str
    task: str


@dataclass(frozen=True, slots=True)
class Declined:
    """The worker leaves the requests of a run to others.

    Attributes:
        run: its id.
        why: in a sentence.
    """

    run: str
    why: str


@dataclass(frozen=True, slots=True)
class Worked:
    """An evaluation is made and kept.

    Attributes:
        run: id of the run that asked.
        number: order of proposal in the run, from 1.
        architecture: its text.
        outcome: what came out.
        evaluations: made by this worker so far.
        at_work: being made by this worker now.
    """

    run: str
    number: int
    architecture: str
    outcome: Outcome
    evaluations: int
    at_work: int


WorkerEvent = Joined | Declined | Worked


@dataclass(frozen=True)
class Service:
    """What it takes to answer the requests of a run.

    Attributes:
        task: with the images.
        estimator: evaluates.
        patience: tells when an evaluation hangs; unless given, one that learns from what finishes.
    """

    task: Task
    estimator: Estimator
    patience: Patience | None = None

    def request(self, queued: QueuedRequest) -> EvaluationRequest:
        """Return the request that waits, to be evaluated here.

        Raises:
            ConfigurationError: the outcome would be kept under another key; says what differs.
        """
        key = queued.key
        fidelity = Fidelity(key.epochs, key.resolution, key.samples or None)
        request = EvaluationRequest(parse_architecture(queued.architecture), self.task, fidelity, key.seed)
        here = request.key(self.estimator)
        if here != key:
            raise ConfigurationError(_difference(key, here, self.task.name))
        return request


def search_service(
    run: Run, *, data: str | None = None, device: str | None = None, cache: Path | None = None
) -> Service:
    """Return what it takes to answer the requests of a search.

    Args:
        run: of `nasgym search`, as kept in the store.
        data: where the images lie on this machine; where the run was told they are, unless given.
        device: `auto`, `cpu` or `cuda`; that of the run unless given.
        cache: where decoded images are kept.

    Raises:
        NasgymError: it is no search, or the images cannot be read here.
    """
    if run.command != "search":
        raise ConfigurationError(f"Run {run.id} is of `nasgym {run.command}`; workers join searches only.")
    config = make_config(run.configuration, source=f"the settings of run {run.id}")
    if data is not None:
        config = config.model_copy(update={"data": config.data.model_copy(update={"source": data})})
    if device is not None:
        config = config.model_copy(update={"evaluation": config.evaluation.model_copy(update={"device": device})})
    task = make_search_task(config, Surroundings(command="worker", cache_dir=cache))
    estimator = search_estimator(config)
    return Service(task, estimator, patience_of(config, estimator))


class Worker:
    """Takes requests that wait in a store, evaluates them under a lease, and keeps the outcomes.

    Args:
        store: where requests wait.
        workforce: evaluates.
        hands: evaluations made at once, at least 1.
        leases: of this worker.
        serve: from a run to what its requests take; an error means that the run is left to others.
        listener: told what happens.
    """

    def __init__(
        self,
        store: Store,
        workforce: Workforce,
        hands: int,
        leases: Leases,
        serve: Callable[[Run], Service],
        listener: Callable[[WorkerEvent], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._workforce = workforce
        self._hands = hands
        self._leases = leases
        self._serve = serve
        self._listener = listener
        self._services: dict[str, tuple[Service, Evaluations]] = {}
        self._declined: set[str] = set()
        self._over_budget: set[EvaluationKey] = set()
        self._taken: dict[int, QueuedRequest] = {}
        self._made = 0
        self._place = crc32(leases.owner.encode())

    def work(self, *, run: str | None = None, idle_exit: float | None = None) -> int:
        """Work until there has been nothing to do for `idle_exit` seconds; return how many evaluations were made.

        Args:
            run: only requests of the run of this id; of any run unless given.
            idle_exit: `None`: until interrupted.

        Raises:
            NasgymError: the run of this id cannot be served here; or the store fails.
        """
        pause, busy = SHORTEST_PAUSE, time.monotonic()
        while True:
            took, ended = self._take(run), self._collect(pause)
            if took or ended or self._taken:
                busy = time.monotonic()
            if took or ended:
                pause = SHORTEST_PAUSE
                continue
            if idle_exit is not None and time.monotonic() - busy >= idle_exit:
                return self._made
            if not self._taken:
                time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _take(self, run: str | None) -> bool:
        """Take as many requests as there are hands free; return whether there was one."""
        free = self._hands - len(self._taken)
        if free <= 0:
            return False
        took = False
        for queued in self._in_own_order(self._store.queued(run=run, limit=AHEAD)):
            request = self._understood(queued, required=run is not None)
            if request is None:
                continue
            claim = self._leases.claim(queued.key)[queued.key]
            if not isinstance(claim, Won):
                continue
            took = True
            self._start(queued, request, claim)
            free -= 1
            if not free:
                break
        return took

    def _in_own_order(self, waiting: list[QueuedRequest]) -> list[QueuedRequest]:
        """Return `waiting` from a place on that differs between workers, which so seldom want the same one."""
        place = self._place % max(1, len(waiting))
        return waiting[place:] + waiting[:place]

    def _start(self, queued: QueuedRequest, request: EvaluationRequest, claim: Won) -> None:
        failed = given_up(claim.losses)
        if failed is not None:
            self._keep(queued, request, failed)
            return
        ticket = next(number for number in range(self._hands) if number not in self._taken)
        self._taken[ticket] = queued
        self._services[queued.run][1].start(ticket, request)

    def _collect(self, timeout: float) -> bool:
        """Keep what has finished; return whether anything has."""
        ended = False
        at_work = [evaluations for _, evaluations in self._services.values() if len(evaluations)]
        for evaluations in at_work:
            for ticket, request, outcome in evaluations.finished(timeout=timeout / len(at_work)):
                ended = True
                self._keep(self._taken.pop(ticket), request, outcome)
        return ended

    def _keep(self, queued: QueuedRequest, request: EvaluationRequest, outcome: Outcome) -> None:
        """Keep an outcome, and with that end the lease; one over a budget is for the search itself to find out."""
        if not is_kept(outcome):
            self._over_budget.add(queued.key)
            self._leases.release(queued.key)
            return
        self._store.put(request, queued.key, outcome, run=queued.run)
        self._leases.forget(queued.key)
        self._made += 1
        self._listener(
            Worked(queued.run, queued.number + 1, queued.architecture, outcome, self._made, len(self._taken))
        )

    def _understood(self, queued: QueuedRequest, *, required: bool) -> EvaluationRequest | None:
        """Return the request to evaluate here; `None` where it is left to others."""
        if queued.run in self._declined or queued.key in self._over_budget or queued.key in self._leases.held:
            return None
        try:
            if queued.run not in self._services:
                self._join(queued.run)
            return self._services[queued.run][0].request(queued)
        except NasgymError as error:
            if required:
                raise
            _log.warning("Run %s is left to others: %s", queued.run, error)
            self._declined.add(queued.run)
            self._listener(Declined(queued.run, str(error)))
            return None

    def _join(self, run: str) -> None:
        service = self._serve(self._store.run(run))
        self._services[run] = service, Evaluations(service.estimator, self._workforce, service.patience)
        self._listener(Joined(run, service.task.name))


def _difference(wanted: EvaluationKey, here: EvaluationKey, task: str) -> str:
    """Return in words how a key that is asked for differs from that of the same request here."""
    differing = [
        field.name for field in fields(EvaluationKey) if getattr(wanted, field.name) != getattr(here, field.name)
    ]
    parts = [f"{name} is {getattr(here, name)!r} here and {getattr(wanted, name)!r} there" for name in differing]
    if differing == ["data"]:
        remedy = (
            "these are other images, or split in another way; name those that the search was started on with --data"
        )
    elif "estimator" in differing:
        remedy = (
            "networks are trained in another way here; install the version of nasgym, and the plug-ins, of the search"
        )
    else:
        remedy = "install the version of nasgym that the search was started with"
    return f"Requests of the search on {task!r} cannot be answered here: {', '.join(parts)}: {remedy}."
