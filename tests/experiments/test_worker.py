"""Workers that join through the store: what they take, what they leave to others, and what becomes of their leases."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from nasgym.architectures import format_architecture, parse_architecture
from nasgym.core.errors import ConfigurationError, StoreError
from nasgym.evaluation import Completed, EvaluationRequest, Failed, FailureKind, Outcome
from nasgym.executors import InProcessExecutor, Workforce
from nasgym.experiments.config import make_config
from nasgym.experiments.leases import Leases
from nasgym.experiments.search import Surroundings, make_search_task, search_estimator
from nasgym.experiments.worker import Declined, Joined, Service, Worked, Worker, search_service
from nasgym.networks.profiles import DEFAULT, NetworkProfile
from nasgym.store import QueuedRequest, Run, Store, open_store
from nasgym.tasks import Fidelity, Task
from nasgym.testing.closed_form import ClosedFormEstimator
from nasgym.testing.crowds import Crowd, compete
from nasgym.testing.postgres import Server

TASK = Task("shapes", "0" * 16, (32, 32, 3), 10, fidelity=Fidelity(epochs=1))
TEXTS = ("conv3", "conv5", "conv3 conv5", "maxpool2")


@dataclass(frozen=True)
class Noted:
    """The closed form, but for what it is told to answer; notes what it is asked."""

    fingerprint: str = "noted"
    answers: dict[str, Outcome] = field(default_factory=dict, compare=False)
    asked: list[str] = field(default_factory=list, compare=False)
    profile: NetworkProfile = DEFAULT

    def evaluate(self, request: EvaluationRequest) -> Outcome:
        text = format_architecture(request.architecture)
        self.asked.append(text)
        return self.answers.get(text) or ClosedFormEstimator().evaluate(request)


@pytest.fixture
def store(tmp_path: Path):
    with open_store(tmp_path / "store.sqlite") as opened:
        yield opened


def queue(store: Store, estimator: Noted, *texts: str, run: str | None = None) -> str:
    """Let requests wait in the store; return the id of their run."""
    run = run or store.start_run("search", {}, seed=0).id
    for number, text in enumerate(texts):
        request = EvaluationRequest.of(parse_architecture(text), TASK)
        store.queue([QueuedRequest(run, number, request.key(estimator), text)])
    return run


def work(store: Store, serve, *, run: str | None = None, lease: float = 60.0, idle_exit: float = 0.05) -> list:
    """Work until there is nothing to do; return what the worker told."""
    told: list = []
    with Leases(store, "worker", seconds=lease) as leases, Workforce(InProcessExecutor) as workforce:
        made = Worker(store, workforce, 1, leases, serve, told.append).work(run=run, idle_exit=idle_exit)
    assert made == sum(isinstance(event, Worked) for event in told)
    return told


def test_a_worker_answers_what_waits_in_the_name_of_the_run(store):
    estimator = Noted()
    run = queue(store, estimator, *TEXTS)
    told = work(store, lambda _: Service(TASK, estimator))
    assert told[0] == Joined(run, "shapes")
    assert sorted(event.architecture for event in told[1:]) == sorted(TEXTS)
    assert {(row.architecture, row.run) for row in store.evaluations()} == {(text, run) for text in TEXTS}
    assert store.queued() == []
    assert store.claim([request_key("conv1", estimator)], "other", 1.0)  # and nothing is locked


def request_key(text: str, estimator: Noted):
    return EvaluationRequest.of(parse_architecture(text), TASK).key(estimator)


def test_a_worker_leaves_alone_what_others_hold(store):
    estimator = Noted()
    queue(store, estimator, *TEXTS)
    store.claim([request_key("conv5", estimator)], "other", 60.0)
    work(store, lambda _: Service(TASK, estimator))
    assert sorted(estimator.asked) == sorted(set(TEXTS) - {"conv5"})


def test_a_worker_of_one_run_leaves_the_others_alone(store):
    estimator = Noted()
    first = queue(store, estimator, "conv3")
    queue(store, estimator, "conv5")
    work(store, lambda _: Service(TASK, estimator), run=first)
    assert estimator.asked == ["conv3"]


def test_a_worker_ends_when_it_has_been_idle_for_as_long_as_it_was_told(store):
    started = time.monotonic()
    assert work(store, lambda _: Service(TASK, Noted()), idle_exit=0.4) == []
    assert 0.4 <= time.monotonic() - started < 5


def test_requests_that_come_later_are_found(store):
    estimator = Noted()
    run = store.start_run("search", {}, seed=0).id
    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(work, store, lambda _: Service(TASK, estimator), idle_exit=2.0)
        for number, text in enumerate(TEXTS):
            time.sleep(0.1)
            store.queue([QueuedRequest(run, number, request_key(text, estimator), text)])
        assert len(working.result()) == 1 + len(TEXTS)


def test_an_outcome_over_the_budget_is_left_for_the_search_to_find_out(store):
    estimator = Noted(answers={"conv5": Failed(FailureKind.OVER_BUDGET, "Too large.")})
    queue(store, estimator, "conv3", "conv5")
    told = work(store, lambda _: Service(TASK, estimator), idle_exit=0.3)
    assert [event.architecture for event in told if isinstance(event, Worked)] == ["conv3"]
    assert estimator.asked.count("conv5") == 1
    assert [queued.architecture for queued in store.queued()] == ["conv5"]


def test_a_failure_of_the_network_is_an_outcome(store):
    failed = Failed(FailureKind.DIVERGED, "Loss is NaN.")
    estimator = Noted(answers={"conv5": failed})
    queue(store, estimator, "conv5")
    work(store, lambda _: Service(TASK, estimator))
    assert store.get(request_key("conv5", estimator)) == failed


def test_a_network_that_took_three_workers_with_it_is_not_tried_again(store):
    estimator = Noted()
    queue(store, estimator, "conv5")
    for owner in ("one", "two", "three"):
        store.claim([request_key("conv5", estimator)], owner, 0.0)
    work(store, lambda _: Service(TASK, estimator))
    outcome = store.get(request_key("conv5", estimator))
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.WORKER_LOST
    assert estimator.asked == []


def test_a_worker_whose_lease_ran_out_loses_nothing_and_duplicates_nothing(store):
    class Slow(Noted):
        def evaluate(self, request: EvaluationRequest) -> Outcome:
            key = request.key(self)
            store.release([key], "worker")  # as if it had run out
            store.claim([key], "other", 60.0)
            store.put(request, key, Completed(0.25))
            return Completed(0.75)

    estimator = Slow()
    queue(store, estimator, "conv3")
    work(store, lambda _: Service(TASK, estimator))
    assert [row.accuracy for row in store.evaluations()] == [0.25]
    assert store.queued() == []


OTHER_DATA = replace(TASK, fingerprint="1" * 16)


@pytest.mark.parametrize(
    ("service", "message"),
    [
        (
            Service(OTHER_DATA, Noted()),
            r"data is '1111111111111111' here and '0000000000000000' there: these are other images, or split in "
            r"another way; name those that the search was started on with --data",
        ),
        (
            Service(TASK, Noted("newer")),
            r"estimator is 'newer' here and 'noted' there: networks are trained in another way here; install the versi",
        ),
    ],
)
def test_a_worker_that_would_answer_another_question_says_what_differs(store, service, message):
    run = queue(store, Noted(), "conv3")
    with pytest.raises(ConfigurationError, match=message):
        work(store, lambda _: service, run=run)
    (told,) = [event for event in work(store, lambda _: service) if isinstance(event, Declined)]
    assert told.run == run
    assert "'shapes' cannot be answered here" in told.why
    assert len(store.queued()) == 1


def test_one_run_that_cannot_be_served_does_not_keep_a_worker_from_the_others(store):
    estimator = Noted()
    bad = queue(store, estimator, "conv3", "conv5")
    queue(store, estimator, "conv1")

    def serve(run: Run) -> Service:
        if run.id == bad:
            raise ConfigurationError("No such images.")
        return Service(TASK, estimator)

    told = work(store, serve)
    assert [event for event in told if isinstance(event, Declined)] == [Declined(bad, "No such images.")]
    assert estimator.asked == ["conv1"]


def test_the_task_and_the_estimator_are_those_of_the_search(store, tmp_path):
    settings = {"data": {"source": "digits", "size": 16, "max_per_class": 20}, "evaluation": {"epochs": 2}}
    config = make_config(settings)
    run = store.start_run("search", config.model_dump(mode="json"), seed=0)
    service = search_service(run, device="cpu", cache=tmp_path)
    task = make_search_task(config, Surroundings(command="", cache_dir=tmp_path))
    request = EvaluationRequest.of(parse_architecture("conv3"), task)
    queued = QueuedRequest(run.id, 0, request.key(search_estimator(config)), "conv3")
    assert service.request(queued) == request


def test_only_searches_can_be_joined(store):
    run = store.start_run("meta-train", {}, seed=0)
    with pytest.raises(ConfigurationError, match="is of `nasgym meta-train`; workers join searches only"):
        search_service(run)


def test_images_that_are_not_on_this_machine_are_an_error_that_names_them(store, tmp_path):
    config = make_config({"data": {"source": "/nowhere/photos"}})
    run = store.start_run("search", config.model_dump(mode="json"), seed=0)
    with pytest.raises(Exception, match="/nowhere/photos"):
        search_service(run, cache=tmp_path)


def test_the_store_fails_with_the_worker(store):
    class Broken(Noted):
        def evaluate(self, request: EvaluationRequest) -> Outcome:
            return Completed(1.5)

    estimator = Broken()
    queue(store, estimator, "conv3")
    with pytest.raises(StoreError, match=r"gave accuracy 1\.5"):
        work(store, lambda _: Service(TASK, estimator))
    assert len(store.queued()) == 1


@pytest.mark.slow
def test_sixteen_workers_of_which_six_are_killed_lose_and_repeat_nothing(postgres: Server, tmp_path: Path):
    account = compete(
        postgres.new_database(), tmp_path, Crowd(16, requests=96, kills=6, lease=8.0, work=0.4, patience=240)
    )
    account.check()
    assert len(account.killed) == 6
    assert account.taken_over >= 1


@pytest.mark.slow
def test_four_workers_on_one_file_of_which_two_are_killed_lose_and_repeat_nothing(tmp_path: Path):
    crowd = Crowd(processes=4, requests=60, kills=2, lease=6.0, work=0.05)
    account = compete(str(tmp_path / "store.sqlite"), tmp_path, crowd)
    account.check()
    assert len(account.killed) == 2
