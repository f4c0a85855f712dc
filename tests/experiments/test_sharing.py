"""Searches that share a store: each network is trained once, whoever asks, and each finds what it would alone."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from nasgym.architectures.spaces import load_space
from nasgym.evaluation import Completed, EvaluationRequest, Failed, FailureKind, Outcome
from nasgym.evaluation.rewards import AccuracyReward
from nasgym.executors import Evaluations, InProcessExecutor, Workforce
from nasgym.experiments.candidates import Bounds, CandidateSearch
from nasgym.experiments.clock import Clock, Workload
from nasgym.experiments.leases import Leases
from nasgym.experiments.sharing import SharedEvaluations
from nasgym.experiments.worker import Service, Worker
from nasgym.networks.profiles import DEFAULT, NetworkProfile
from nasgym.store import Held, RunStatus, Step, Store, Won, open_store
from nasgym.strategies import Sampler, strategy_named
from nasgym.tasks import Fidelity, Task
from nasgym.testing.closed_form import ClosedFormEstimator
from nasgym.testing.postgres import Server

TASK = Task("shapes", "0" * 16, (32, 32, 3), 10, fidelity=Fidelity(epochs=1))
EVALUATIONS = 14
IN_FLIGHT = 6


@dataclass(frozen=True)
class Counting:
    """The closed form, which takes a moment and counts what it is asked."""

    seconds: float = 0.01
    asked: list[EvaluationRequest] = field(default_factory=list, compare=False)
    inner: ClosedFormEstimator = field(default_factory=ClosedFormEstimator)

    @property
    def fingerprint(self) -> str:
        return self.inner.fingerprint

    @property
    def profile(self) -> NetworkProfile:
        return DEFAULT

    def evaluate(self, request: EvaluationRequest) -> Outcome:
        self.asked.append(request)
        time.sleep(self.seconds)
        return self.inner.evaluate(request)

    def evaluated(self) -> Counter[str]:
        return Counter(request.key(self).architecture_id for request in self.asked)


@pytest.fixture(params=["sqlite", "postgresql"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return str(tmp_path / "store.sqlite")
    server: Server = request.getfixturevalue("postgres")
    return server.new_database()


@pytest.fixture
def store(location: str):
    with open_store(location) as opened:
        yield opened


def search(store: Store, estimator: Counting, *, seed: int = 0, threads: int = 0, lease: float = 60.0) -> list[Step]:
    """Search with warm evolution, and return the steps."""
    run = store.start_run("search", {}, seed=seed).id
    sampler = Sampler(load_space("chain"), TASK, DEFAULT)
    strategy = strategy_named("warm-evolution")(sampler, seed)
    candidates = CandidateSearch(TASK, strategy, estimator, AccuracyReward(), store, run)
    bounds = Bounds(EVALUATIONS, IN_FLIGHT, 0, Clock(time.monotonic(), 0.0, None, Workload(1, 1, 1.0)))
    make = (lambda: ThreadPoolExecutor(threads)) if threads else InProcessExecutor
    with Workforce(make) as workforce, Leases(store, f"run {run}", seconds=lease) as leases:
        own = Evaluations(estimator, workforce)
        shared = SharedEvaluations(own, estimator, store, leases, run, max(1, threads))
        candidates.search(shared, bounds, lambda _: None)
    store.finish_run(run, RunStatus.FINISHED)
    return candidates.steps


def found(steps: list[Step]) -> list[tuple[int, str, Outcome]]:
    return [(step.number, step.architecture, step.outcome) for step in steps]


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> list[tuple[int, str, Outcome]]:
    """What a search finds, one network after the other, with a store of its own."""
    with open_store(tmp_path_factory.mktemp("alone") / "store.sqlite") as store:
        return found(search(store, Counting(seconds=0)))


def together(*calls: Callable[[], object]) -> list[object]:
    """Make calls at the same time; return what they return, raising what any of them raises."""
    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result(timeout=60) for future in [pool.submit(call) for call in calls]]


def test_two_equal_searches_at_once_train_each_network_once_and_find_the_same(store, alone):
    estimator = Counting(seconds=0.03)
    first, second = together(*[lambda: found(search(store, estimator, threads=2))] * 2)
    assert first == second == alone
    assert set(estimator.evaluated().values()) == {1}
    assert len(list(store.evaluations())) == len(estimator.evaluated())
    assert store.queued() == []


def work_for(store: Store, estimator: Counting, *, idle_exit: float = 1.0, name: str = "worker") -> int:
    with Leases(store, name) as leases, Workforce(InProcessExecutor) as workforce:
        worker = Worker(store, workforce, 1, leases, lambda _: Service(TASK, estimator))
        return worker.work(idle_exit=idle_exit)


def test_joined_workers_take_their_share_and_the_search_finds_what_it_finds_alone(store, alone):
    own, joined = Counting(seconds=0.1), Counting(seconds=0.02)
    steps, *made = together(
        lambda: found(search(store, own, threads=1)),
        lambda: work_for(store, joined, name="one"),
        lambda: work_for(store, joined, name="two"),
    )
    assert steps == alone
    assert sum(made) == len(joined.asked) > 0
    assert set((own.evaluated() + joined.evaluated()).values()) == {1}


def request_of(store: Store, estimator: Counting, number: int = 0) -> EvaluationRequest:
    """Return the first request of the search, as it would make it."""
    sampler = Sampler(load_space("chain"), TASK, DEFAULT)
    architecture = strategy_named("warm-evolution")(sampler, 0).propose()
    assert architecture is not None
    return EvaluationRequest.of(architecture, TASK)


def test_a_search_waits_for_the_outcome_of_another_one(store, alone):
    estimator = Counting(seconds=0)
    request = request_of(store, estimator)
    key = request.key(estimator)
    outcome = estimator.inner.evaluate(request)
    assert store.claim([key], "another search", 60.0) == {key: Won(0)}
    threading.Timer(0.5, lambda: store.put(request, key, outcome)).start()
    started = time.monotonic()
    assert found(search(store, estimator)) == alone
    assert time.monotonic() - started > 0.4
    assert key.architecture_id not in estimator.evaluated()


def test_a_search_takes_over_when_the_lease_of_another_one_runs_out(store, alone):
    estimator = Counting(seconds=0)
    key = request_of(store, estimator).key(estimator)
    store.claim([key], "a search that was killed", 0.5)
    assert found(search(store, estimator)) == alone
    assert estimator.evaluated()[key.architecture_id] == 1


def test_a_search_that_goes_on_takes_its_own_leases_again_at_once(store):
    run = store.start_run("search", {}, seed=0).id
    estimator = Counting(seconds=0)
    request = request_of(store, estimator)
    store.claim([request.key(estimator)], f"run {run}", 600.0)
    with Workforce(InProcessExecutor) as workforce, Leases(store, f"run {run}") as leases:
        shared = SharedEvaluations(Evaluations(estimator, workforce), estimator, store, leases, run, 1)
        shared.start(0, request)
        assert [number for number, _, _ in shared.finished(timeout=5)] == [0]


def test_a_network_that_took_three_workers_with_it_is_given_up(store):
    estimator = Counting(seconds=0)
    request = request_of(store, estimator)
    key = request.key(estimator)
    for owner in ("one", "two", "three"):
        store.claim([key], owner, 0.0)
    run = store.start_run("search", {}, seed=0).id
    with Workforce(InProcessExecutor) as workforce, Leases(store, "four") as leases:
        shared = SharedEvaluations(Evaluations(estimator, workforce), estimator, store, leases, run, 1)
        shared.start(0, request)
        ((number, _, outcome),) = shared.finished(timeout=5)
    assert number == 0
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.WORKER_LOST
    assert "3 times" in outcome.message
    assert estimator.asked == []


def test_when_time_is_over_only_what_is_in_training_somewhere_is_waited_for(store):
    estimator = Counting(seconds=0)
    run = store.start_run("search", {}, seed=0).id
    sampler = Sampler(load_space("chain"), TASK, DEFAULT)
    strategy = strategy_named("random")(sampler, 0)
    requests = [EvaluationRequest.of(strategy.propose(), TASK) for _ in range(3)]
    elsewhere = requests[1].key(estimator)
    store.claim([elsewhere], "a joined worker", 60.0)
    with Workforce(lambda: _Busy()) as workforce, Leases(store, f"run {run}") as leases:
        shared = SharedEvaluations(Evaluations(estimator, workforce), estimator, store, leases, run, 1)
        for number, request in enumerate(requests):
            shared.start(number, request)
        assert [queued.number for queued in store.queued()] == [2]
        shared.withdraw()
        assert len(shared) == 2
        assert store.queued() == []
        store.put(requests[1], elsewhere, Completed(0.5))
        assert [number for number, _, _ in shared.finished(timeout=5)] == [1]
        assert len(leases.held) == 1
        shared.abandon()
        assert len(shared) == 0
        assert not leases.held


class _Busy(InProcessExecutor):
    """Is in the middle of every call."""

    def submit(self, fn, /, *args, **kwargs):
        future = super().submit(lambda: None)
        busy = type(future)()
        busy.set_running_or_notify_cancel()
        return busy


def test_leases_are_renewed_while_their_owner_lives_and_released_when_it_ends(store):
    estimator = Counting()
    key = request_of(store, estimator).key(estimator)
    with Leases(store, "one", seconds=0.6) as leases:
        assert leases.claim(key) == {key: Won(0)}
        time.sleep(1.2)
        assert isinstance(store.claim([key], "two", 60.0)[key], Held)
    assert store.claim([key], "two", 60.0) == {key: Won(0)}
