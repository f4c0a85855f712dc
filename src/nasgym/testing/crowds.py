"""Processes that compete for the requests in one store, some of them killed while they hold leases.

```python
from nasgym.testing.crowds import Crowd, compete

compete(url, folder, Crowd(processes=16, requests=400, kills=8)).check()
```
"""

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path

from nasgym.architectures import parse_architecture
from nasgym.core.randomness import stream
from nasgym.evaluation import EvaluationKey, EvaluationRequest, Outcome
from nasgym.executors import InProcessExecutor, Workforce
from nasgym.experiments.leases import Leases
from nasgym.experiments.worker import Service, Worker
from nasgym.networks.profiles import NetworkProfile
from nasgym.store import EvaluationQuery, QueuedRequest, evaluation_id, new_owner, open_store
from nasgym.tasks import Fidelity, Task
from nasgym.testing.closed_form import ClosedFormEstimator

TASK = Task("crowd", "fingerprint of the crowd", (32, 32, 3), 10, fidelity=Fidelity(epochs=1))
ARCHITECTURE = "conv3 maxpool2 conv5"
POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Crowd:
    """Who competes for what.

    Attributes:
        processes: workers at any time.
        requests: that wait in the store.
        kills: workers, of those that have begun something, killed at random moments, each replaced by another one.
        lease: seconds for which a killed worker is waited for.
        work: seconds that an evaluation takes.
        patience: seconds after which all must be answered.
        seed: of the moments and the victims.
    """

    processes: int = 16
    requests: int = 400
    kills: int = 0
    lease: float = 3.0
    work: float = 0.0
    patience: float = 120.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class JournaledEstimator:
    """The closed form, which takes its time and writes down who begins and who ends what.

    Attributes:
        journal: file to which every process appends.
        work: seconds that an evaluation takes.
        inner: answers.
    """

    journal: Path
    work: float
    inner: ClosedFormEstimator = field(default_factory=ClosedFormEstimator)

    @property
    def fingerprint(self) -> str:
        """That of the closed form."""
        return self.inner.fingerprint

    @property
    def profile(self) -> NetworkProfile:
        """That of the closed form."""
        return self.inner.profile

    def evaluate(self, request: EvaluationRequest) -> Outcome:
        """Return the closed form, slowly."""
        name = evaluation_id(request.key(self))
        self._note("begin", name)
        time.sleep(self.work)
        outcome = self.inner.evaluate(request)
        self._note("end", name)
        return outcome

    def _note(self, what: str, name: str) -> None:
        file = os.open(self.journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.write(file, f"{what} {os.getpid()} {name} {time.monotonic()}\n".encode())
        os.close(file)


@dataclass(frozen=True, slots=True)
class Account:
    """What became of the requests of a crowd.

    Attributes:
        seconds: from the first evaluation's beginning to the last outcome.
        requests: ids of the evaluations asked for.
        kept: ids of the evaluations in the store, as often as they are in it.
        begun: process, id and second of every evaluation that began, in order.
        killed: processes that were killed.
        waiting: requests left in the store.
    """

    seconds: float
    requests: tuple[str, ...]
    kept: tuple[str, ...]
    begun: tuple[tuple[int, str, float], ...]
    killed: frozenset[int]
    waiting: int

    @property
    def lost(self) -> set[str]:
        """Requests without an outcome."""
        return set(self.requests) - set(self.kept)

    @property
    def repeated(self) -> set[str]:
        """Evaluations that began although nobody who had begun them was killed."""
        begun = Counter(name for _, name, _ in self.begun)
        given_up = Counter(name for process, name, _ in self.begun if process in self.killed)
        return {name for name, count in begun.items() if count > 1 + given_up[name]}

    @property
    def taken_over(self) -> int:
        """Evaluations that one worker began, and another one after it."""
        return sum(count > 1 for count in Counter(name for _, name, _ in self.begun).values())

    def _pause(self, name: str) -> float:
        """Return the seconds between the first two beginnings of an evaluation."""
        first, second, *_ = (second for _, begun, second in self.begun if begun == name)
        return round(second - first, 2)

    def check(self) -> None:
        """Check that nothing is lost, and nothing made or kept twice.

        Raises:
            AssertionError: it is; says what.
        """
        assert not self.lost, f"{len(self.lost)} of {len(self.requests)} requests have no outcome"
        assert len(self.kept) == len(set(self.kept)), "an outcome is kept twice"
        pauses = [self._pause(name) for name in self.repeated]
        assert not pauses, f"evaluations were made twice, though no worker was lost: again after {pauses} s"
        assert not self.waiting, f"{self.waiting} requests still wait although they are answered"


def compete(url: str, folder: Path, crowd: Crowd) -> Account:
    """Let processes compete for requests in the store at `url`; end when all are answered, or patience is.

    Args:
        url: of the store, which has seen no crowd yet.
        folder: where the journal is written.
        crowd: who competes for what.
    """
    journal = folder / "journal"
    keys = queue_requests(url, crowd, JournaledEstimator(journal, crowd.work))
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__])

    def worker() -> BaseProcess:
        process = context.Process(target=_work, args=(url, journal, crowd), daemon=True)
        process.start()
        return process

    workers = [worker() for _ in range(crowd.processes)]
    killed: set[int] = set()
    moments = _moments(crowd)
    with open_store(url, create=False) as store:
        begun, deadline, due = 0.0, time.monotonic() + crowd.patience, next(moments)
        while store.queued(limit=1) or len(store.get_many(keys)) < len(keys):
            now = time.monotonic()
            begun = begun or (now if journal.exists() else 0.0)
            if now > deadline:
                break
            if begun and now - begun > due:
                started = {process for process, _, _ in _begun(journal)}
                able = [place for place, process in enumerate(workers) if process.pid in started]
                if able:
                    victim = able[int(stream(crowd.seed, "victim", len(killed)).integers(len(able)))]
                    killed.add(_kill(workers[victim]))
                    workers[victim] = worker()
                    due = next(moments)
            time.sleep(POLL_SECONDS)
        seconds = time.monotonic() - begun
        for process in workers:
            process.kill()
            process.join()
        kept = tuple(row.id for row in store.evaluations(EvaluationQuery(task=TASK.name)))
        waiting = len(store.queued())
    return Account(seconds, tuple(map(evaluation_id, keys)), kept, tuple(_begun(journal)), frozenset(killed), waiting)


def queue_requests(url: str, crowd: Crowd, estimator: JournaledEstimator) -> list[EvaluationKey]:
    """Make a store with a run whose requests wait; return their keys."""
    architecture = parse_architecture(ARCHITECTURE)
    with open_store(url) as store:
        run = store.start_run("crowd", {}, seed=crowd.seed).id
        keys = [
            EvaluationRequest(architecture, TASK, TASK.fidelity, seed).key(estimator) for seed in range(crowd.requests)
        ]
        store.queue(QueuedRequest(run, number, key, ARCHITECTURE) for number, key in enumerate(keys))
    return keys


def _work(url: str, journal: Path, crowd: Crowd) -> None:
    service = Service(TASK, JournaledEstimator(journal, crowd.work))
    with (
        open_store(url, create=False) as store,
        Leases(store, new_owner(), seconds=crowd.lease) as leases,
        Workforce(InProcessExecutor) as workforce,
    ):
        Worker(store, workforce, 1, leases, lambda _: service).work()


def _moments(crowd: Crowd) -> Iterator[float]:
    """Yield the seconds after which to kill: spread over what the work is likely to take."""
    expected = crowd.requests * crowd.work / crowd.processes
    yield from sorted(stream(crowd.seed, "moments").uniform(0.0, 0.8 * expected, crowd.kills).tolist())
    while True:
        yield float("inf")


def _kill(process: BaseProcess) -> int:
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    return process.pid


def _lines(journal: Path) -> list[list[str]]:
    return [line.split() for line in journal.read_text().splitlines()] if journal.exists() else []


def _begun(journal: Path) -> Iterator[tuple[int, str, float]]:
    for kind, process, name, second in _lines(journal):
        if kind == "begin":
            yield int(process), name, float(second)
