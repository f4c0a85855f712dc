"""The search loop: what the strategy has heard before each proposal, whoever finishes first."""

import random
import time
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from nasgym.architectures import Architecture, parse_architecture
from nasgym.evaluation import Completed, EvaluationRequest, Failed, FailureKind, Outcome
from nasgym.evaluation.rewards import AccuracyReward
from nasgym.executors import Evaluations, InProcessExecutor, Workforce
from nasgym.experiments.candidates import TIME_IS_OVER, Bounds, CandidateSearch
from nasgym.experiments.clock import Clock, Workload
from nasgym.networks.profiles import DEFAULT, NetworkProfile
from nasgym.store import Store, open_store
from nasgym.strategies import Strategy
from nasgym.tasks import Fidelity, Task

TASK = Task("shapes", "0" * 16, (32, 32, 3), 10, fidelity=Fidelity(epochs=1))


@dataclass(frozen=True)
class Layers:
    """Accuracy is the number of layers over a hundred, after a random little while; seven layers fail."""

    longest: float = 0.01
    fingerprint: str = "layers"
    profile: NetworkProfile = DEFAULT

    def evaluate(self, request: EvaluationRequest) -> Outcome:
        time.sleep(random.uniform(0, self.longest))
        layers = len(request.architecture)
        return Failed(FailureKind.DIVERGED, "seven") if layers == 7 else Completed(layers / 100)


@dataclass
class Recorded(Strategy):
    """Proposes one layer more each time, up to a number, and writes down everything that it is asked and told."""

    most: int
    events: list[str] = field(default_factory=list)
    proposed: int = 0

    def propose(self) -> Architecture | None:
        if self.proposed == self.most:
            return None
        self.proposed += 1
        self.events.append(f"propose {self.proposed}")
        return parse_architecture(" ".join(["conv3"] * self.proposed))

    def feedback(self, architecture: Architecture, reward: float) -> None:
        self.events.append(f"hear {len(architecture)} {reward:.2f}")


class Threads:
    """An executor of four threads that ends calls in any order."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(4)

    def __call__(self) -> Executor:
        return self._pool


@pytest.fixture
def store(tmp_path: Path):
    with open_store(tmp_path / "store.sqlite") as opened:
        yield opened


def endless(budget: float | None = None, spent: float = 0.0) -> Clock:
    return Clock(time.monotonic() - spent, 0.0, budget, Workload(4, 4, 1.0))


def search(store: Store, strategy: Strategy, make, run: str | None = None, *, clock: Clock | None = None, **bounds):
    run = run or store.start_run("search", {}, seed=0).id
    estimator = Layers()
    candidates = CandidateSearch(TASK, strategy, estimator, AccuracyReward(), store, run)
    limits = Bounds(bounds.get("evaluations"), bounds.get("in_flight", 3), bounds.get("known", 0), clock or endless())
    with Workforce(make) as workforce:
        reason = candidates.search(Evaluations(estimator, workforce), limits, bounds.get("listener", lambda _: None))
    return reason, candidates.steps


EXPECTED = [
    *("propose 1", "propose 2", "propose 3", "hear 1 0.01", "propose 4", "hear 2 0.02", "propose 5"),
    *("hear 3 0.03", "propose 6", "hear 4 0.04", "propose 7", "hear 5 0.05", "propose 8"),
    *("hear 6 0.06", "propose 9", "hear 7 0.00", "propose 10", "hear 8 0.08"),
]


@pytest.mark.parametrize("make", [InProcessExecutor, Threads()], ids=["in-process", "threads"])
@pytest.mark.parametrize("repeat", range(5))
def test_before_proposal_n_the_strategy_has_heard_of_all_up_to_n_minus_in_flight(store, make, repeat):
    strategy = Recorded(most=99)
    make = make if make is InProcessExecutor else Threads()
    reason, steps = search(store, strategy, make, evaluations=10)
    assert strategy.events == EXPECTED
    assert reason == "10 networks were evaluated"
    assert [len(parse_architecture(step.architecture)) for step in steps] == list(range(1, 11))
    assert isinstance(steps[6].outcome, Failed)


def test_a_strategy_without_proposals_ends_the_search(store):
    reason, steps = search(store, Recorded(most=4), InProcessExecutor)
    assert reason == "the space holds no more networks within the limits"
    assert len(steps) == 4


def test_a_resumed_run_repeats_itself_from_the_store(store):
    run = store.start_run("search", {}, seed=0).id
    heard: list[bool] = []
    search(store, Recorded(most=99), InProcessExecutor, run, evaluations=4)
    strategy = Recorded(most=99)
    _, steps = search(
        store, strategy, InProcessExecutor, run, evaluations=10, listener=lambda event: heard.append(event.from_store)
    )
    assert strategy.events == EXPECTED
    assert not any(heard)  # the run itself trained all of them
    assert len(list(store.steps(run))) == len(steps) == 10


def test_what_another_run_has_trained_is_taken_from_the_store(store):
    search(store, Recorded(most=99), InProcessExecutor, evaluations=4)
    _, steps = search(store, Recorded(most=99), InProcessExecutor, evaluations=6)
    assert [step.from_store for step in steps] == [True] * 4 + [False] * 2


def test_a_network_counts_as_soon_as_it_is_trained_also_in_the_calling_process(store):
    run = store.start_run("search", {}, seed=0).id
    kept: list[int] = []
    search(
        store,
        Recorded(most=99),
        InProcessExecutor,
        run,
        evaluations=5,
        listener=lambda event: kept.append(event.number - len(list(store.steps(run)))),
    )
    assert kept == [0] * 5


def test_when_time_is_over_no_further_network_is_proposed(store):
    strategy = Recorded(most=99)
    reason, steps = search(store, strategy, InProcessExecutor, clock=endless(budget=10, spent=9))
    assert reason == TIME_IS_OVER
    assert len(steps) == strategy.proposed == 1


def test_what_an_earlier_part_proposed_is_proposed_again_however_late_it_is(store):
    run = store.start_run("search", {}, seed=0).id
    search(store, Recorded(most=99), InProcessExecutor, run, evaluations=5)
    reason, steps = search(store, Recorded(most=99), InProcessExecutor, run, clock=endless(10, spent=99), known=5)
    assert reason == TIME_IS_OVER
    assert len(steps) == 5


class Never(InProcessExecutor):
    """Ends the first two calls and none of the others."""

    def __init__(self) -> None:
        self.calls = 0

    def submit(self, fn, /, *args, **kwargs):
        self.calls += 1
        if self.calls <= 2:
            return super().submit(fn, *args, **kwargs)
        at_work: Future = Future()
        at_work.set_running_or_notify_cancel()
        return at_work


def test_a_training_that_does_not_end_is_given_up_when_final_training_is_due(store):
    started = time.monotonic()
    reason, steps = search(store, Recorded(most=99), Never, clock=endless(budget=5, spent=1))
    assert reason == TIME_IS_OVER
    assert len(steps) == 2
    assert time.monotonic() - started < 6
