"""The contract of a store, as a suite of checks with plain asserts.

```python
from nasgym.testing.stores import check_store

check_store(lambda: MyStore.in_new_place())
```
"""

import math
import pickle
from collections.abc import Callable
from dataclasses import replace
from itertools import islice

from nasgym.core.errors import StoreError
from nasgym.evaluation import Completed, Failed, FailureKind, Metrics, Outcome
from nasgym.store import Added, EvaluationQuery, Order, Run, RunStatus, Store, StoredEvaluation
from nasgym.testing.store_leases import LEASE_CHECKS
from nasgym.testing.store_requests import MADE_BY, request_and_key

__all__ = ["CHECKS", "FULL_METRICS", "MADE_BY", "Check", "check_store", "request_and_key"]

Check = Callable[[Store], None]
FULL_METRICS = Metrics(
    train_losses=(2.25, math.nan, math.inf),
    validation_losses=(2.5, 1.5, 0.1),
    validation_accuracies=(0.1, 0.5, 1 / 3),
    seconds=12.5,
    parameters=123_456_789_012,
    flops=9_876_543_210_123,
    density=1.0625,
    peak_memory=2**40,
)


def check_store(make: Callable[[], Store]) -> None:
    """Check that stores made by `make` keep the contract of `nasgym.store.Store`.

    Args:
        make: returns a new, empty store.

    Raises:
        AssertionError: a promise is broken; the message says which.
    """
    for check in CHECKS:
        with make() as store:
            check(store)


def knows_nothing_at_first(store: Store) -> None:
    """A new store is empty."""
    _, key = request_and_key()
    assert store.get(key) is None, "get must return None for a key that is not known"
    assert store.get_many([key]) == {}, "get_many must leave out keys that are not known"
    assert store.get_many([]) == {}, "get_many of nothing must return nothing"
    assert list(store.evaluations()) == [], "a new store must hold no evaluation"
    assert list(store.runs()) == [], "a new store must hold no run"


def gives_back_what_was_put(store: Store) -> None:
    """Outcomes come back equal to the last bit, NaN included."""
    outcomes: list[Outcome] = [
        Completed(1 / 3, FULL_METRICS),
        Completed(0.0),
        Completed(1.0),
        *(Failed(kind, f"because of {kind} – 日本", FULL_METRICS) for kind in _kept_kinds()),
    ]
    for seed, outcome in enumerate(outcomes):
        request, key = request_and_key(seed=seed)
        store.put(request, key, outcome)
    for seed, outcome in enumerate(outcomes):
        found = store.get(request_and_key(seed=seed)[1])
        assert repr(found) == repr(outcome), f"put {outcome!r}, but get returned {found!r}"


def keeps_everything_when_opened_again(store: Store) -> None:
    """A store pickles as its URL, and another process finds in it what the first one put there."""
    request, key = request_and_key()
    store.put(request, key, Completed(0.75))
    again: Store = pickle.loads(pickle.dumps(store))
    with again:
        assert again.get(key) == Completed(0.75), "an outcome must be there for a store opened again from a pickle"
        assert again.url == store.url, "a store opened again from a pickle must have the same URL"


def tells_keys_apart_by_every_field(store: Store) -> None:
    """Each field of the key decides."""
    request, key = request_and_key()
    store.put(request, key, Completed(0.5))
    for field, different in (
        ("architecture_id", replace(key, architecture_id="0" * 16)),
        ("data", replace(key, data="other")),
        ("epochs", replace(key, epochs=4)),
        ("resolution", replace(key, resolution=84)),
        ("samples", replace(key, samples=100)),
        ("estimator", replace(key, estimator="other")),
        ("seed", replace(key, seed=7)),
    ):
        assert store.get(different) is None, f"a key with another {field} must not get the same answer"


def keeps_the_first_outcome(store: Store) -> None:
    """The first writer wins, and `add` counts what became of each row."""
    request, key = request_and_key()
    first = StoredEvaluation.of(request, key, Completed(0.5, Metrics(seconds=1.0)))
    assert store.add([first]) == Added(new=1), "a row with a new key must count as new"
    slower = replace(first, outcome=Completed(0.5, Metrics(seconds=2.0)))
    assert store.add([slower]) == Added(duplicate=1), "the same accuracy in another time must count as a duplicate"
    better = replace(first, outcome=Completed(0.9))
    failed = replace(first, outcome=Failed(FailureKind.DIVERGED, "Loss is NaN."))
    assert store.add([better, failed]) == Added(conflicting=2), (
        "another accuracy or a failure must count as conflicting"
    )
    store.put(request, key, Completed(0.9))
    assert store.get(key) == first.outcome, "the first outcome of a key must stay"
    other = replace(first, key=replace(key, seed=1))
    counts = store.add([other, other, first])
    assert counts == Added(new=1, duplicate=2), (
        f"a key twice in one call is new once and then a duplicate, got {counts}"
    )


def keeps_no_outcome_over_budget(store: Store) -> None:
    """No key holds the budget, so that being over it is no answer for others."""
    request, key = request_and_key()
    store.put(request, key, Failed(FailureKind.OVER_BUDGET, "Too large."))
    assert store.get(key) is None, (
        "an outcome over the user's budget must not be kept: the key does not hold the budget"
    )


def refuses_accuracies_outside_the_unit_interval(store: Store) -> None:
    """An accuracy is a number in [0, 1]."""
    request, key = request_and_key()
    for accuracy in (math.nan, -0.1, 1.1, math.inf):
        try:
            store.put(request, key, Completed(accuracy))
        except StoreError:
            assert store.get(key) is None, f"accuracy {accuracy} was refused but kept"
        else:
            raise AssertionError(f"put must raise StoreError for accuracy {accuracy}")


def reads_every_row_once_while_others_write(store: Store) -> None:
    """Reading in pages neither loses nor repeats a row, in every order."""
    request, key = request_and_key()
    rows = [StoredEvaluation.of(request, replace(key, seed=seed), _mixed_outcome(seed), None) for seed in range(1203)]
    assert store.add(rows) == Added(new=len(rows)), "every new row must be counted once"
    for order in Order:
        reading = store.evaluations(EvaluationQuery(order=order))
        seeds = [row.key.seed for row in islice(reading, 2)]
        store.put(request, replace(key, seed=10_000), Failed(FailureKind.DIVERGED, "Kept while another reads."))
        seeds += [row.key.seed for row in reading]
        assert sorted(seed for seed in seeds if seed < 10_000) == list(range(1203)), (
            f"in order {order.value!r} rows are lost or read twice"
        )
    oldest = [row.key.seed for row in store.evaluations(EvaluationQuery(limit=700))]
    assert oldest == list(range(700)), "the oldest rows must come in the order in which they were put"
    newest = next(store.evaluations(EvaluationQuery(order=Order.NEWEST)))
    assert newest.key.seed == 10_000, "the newest row must come first"
    ranked = [row.accuracy for row in store.evaluations(EvaluationQuery(order=Order.BEST, failed=False))]
    assert ranked == sorted((value for value in ranked if value is not None), reverse=True), "best is not in order"


def selects_rows(store: Store) -> None:
    """Queries select by each of their fields."""
    run = store.start_run("search", {}, seed=0, made_by=MADE_BY)
    for number, task in enumerate(("digits", "signs", "signs")):
        request, key = request_and_key(seed=number, task=task)
        store.put(request, key, Completed(number / 10), run=run.id if number == 1 else None)
    request, key = request_and_key(seed=3, task="signs")
    store.put(request, key, Failed(FailureKind.DIVERGED, "Loss is NaN."))
    for query, expected in (
        (EvaluationQuery(task="signs"), [1, 2, 3]),
        (EvaluationQuery(data="fingerprint of digits"), [0]),
        (EvaluationQuery(estimator="estimator", limit=2), [0, 1]),
        (EvaluationQuery(estimator="other"), []),
        (EvaluationQuery(run=run.id), [1]),
        (EvaluationQuery(failed=True), [3]),
        (EvaluationQuery(failed=False), [0, 1, 2]),
        (EvaluationQuery(limit=0), []),
        (EvaluationQuery(order=Order.NEWEST), [3, 2, 1, 0]),
        (EvaluationQuery(order=Order.BEST), [2, 1, 0, 3]),
    ):
        found = [row.key.seed for row in store.evaluations(query)]
        assert found == expected, f"{query} must select rows {expected}, got {found}"
    assert [row.key.seed for row in store.best(1, task="signs")] == [2], "best must rank one task by accuracy"


def finds_by_the_beginning_of_an_id(store: Store) -> None:
    """An id need not be written out."""
    request, key = request_and_key()
    row = StoredEvaluation.of(request, key, Completed(0.5))
    store.add([row])
    assert store.evaluation(row.id[:6]) == row, "the beginning of an id must find its evaluation, equal in every field"
    _refuses(lambda: store.evaluation("zzz"), "an id of no evaluation")
    _refuses(lambda: store.evaluation("%"), "a wildcard for an id")
    store.add([replace(row, key=replace(key, seed=1))])
    _refuses(lambda: store.evaluation(""), "the beginning of two ids")


def keeps_runs(store: Store) -> None:
    """Runs start, end, and are found to be resumed."""
    settings = {"evaluations": 20, "nested": {"sizes": (32, 64)}}
    run = store.start_run("search", settings, seed=5, made_by=MADE_BY)
    assert store.run(run.id) == run, "a run must come back as start_run returned it"
    assert run.status is RunStatus.RUNNING, "a new run must be running"
    assert store.unfinished_run("search", settings) == run, "a run not finished must be found by its configuration"
    assert store.unfinished_run("search", {"evaluations": 21}) is None, "another configuration is another run"
    assert store.unfinished_run("evaluate", settings) is None, "another command is another run"
    stopped = store.finish_run(run.id, RunStatus.INTERRUPTED)
    assert store.unfinished_run("search", settings) == stopped, "an interrupted run can be resumed"
    resumed = store.resume_run(run.id)
    assert (resumed.status, resumed.finished_at) == (RunStatus.RUNNING, None), "a resumed run is running again"
    ended = store.finish_run(run.id, result={"best": "conv3"})
    assert store.run(run.id) == ended, "a finished run must come back with its result"
    assert store.unfinished_run("search", settings) is None, "a finished run is not to be resumed"
    _refuses(lambda: store.resume_run(run.id), "resuming a finished run")
    _refuses(lambda: store.run("no such run"), "an unknown run")
    second = store.start_run("search", settings, seed=6, made_by=MADE_BY)
    assert [found.id for found in store.runs()] == [second.id, run.id], "runs must come the newest first"
    assert [found.id for found in store.runs(limit=1)] == [second.id], "runs must obey the limit"
    assert list(store.runs(command="evaluate")) == [], "runs must be selected by command"


def keeps_steps(store: Store) -> None:
    """The steps of a run come back in order; recording one again changes nothing."""
    run = store.start_run("search", {}, seed=0, made_by=MADE_BY)
    expected = []
    for number, text in reversed(list(enumerate(("conv3", "conv3(0) conv5(0)", "conv5")))):
        request, key = request_and_key(text)
        step = store.record_step(run.id, number, request, key, Completed(number / 4), from_store=False)
        assert store.get(key) == Completed(number / 4), "a step must keep its evaluation, too"
        expected.append(step)
    assert list(store.steps(run.id)) == expected[::-1], "steps must come back by number, equal to what was recorded"
    request, key = request_and_key("conv5")
    again = store.record_step(run.id, 2, request, key, Completed(0.5), from_store=True)
    assert again == expected[0], "a step recorded again must stay as it was"
    other, other_key = request_and_key("maxpool2")
    _refuses(
        lambda: store.record_step(run.id, 2, other, other_key, Completed(0.5), from_store=False),
        "a step with another architecture",
    )
    promoted = store.record_step(run.id, 2, other, other_key, Completed(0.5), from_store=True, phase="promotion")
    assert list(store.steps(run.id, phase="promotion")) == [promoted], "phases must be kept apart"
    assert store.phases(run.id) == ["promotion", "search"], "phases must list every phase that has steps"


def keeps_steps_over_budget(store: Store) -> None:
    """An outcome that concerns one run only is kept with its step, and gives way to an evaluation."""
    run: Run = store.start_run("search", {}, seed=0, made_by=MADE_BY)
    request, key = request_and_key()
    refused = Failed(FailureKind.OVER_BUDGET, "Too large.")
    step = store.record_step(run.id, 1, request, key, refused, from_store=False)
    assert (step.outcome, step.evaluation) == (refused, None), "a step over budget must keep its failure"
    assert list(store.steps(run.id)) == [step], "a step over budget must come back as recorded"
    assert store.get(key) is None, "a step over budget must not answer for others"
    step = store.record_step(run.id, 1, request, key, Completed(0.5), from_store=False)
    assert step.outcome == Completed(0.5), "a step over budget must give way to an evaluation of the same network"
    assert list(store.steps(run.id)) == [step], "the step that took its place must come back"


def refuses_rows_of_unknown_runs(store: Store) -> None:
    """A row cannot belong to a run that is not there."""
    request, key = request_and_key()
    _refuses(lambda: store.put(request, key, Completed(0.5), run="no such run"), "an outcome of an unknown run")
    assert store.get(key) is None, "an outcome of an unknown run was refused but kept"


CHECKS: tuple[Check, ...] = (
    knows_nothing_at_first,
    gives_back_what_was_put,
    keeps_everything_when_opened_again,
    tells_keys_apart_by_every_field,
    keeps_the_first_outcome,
    keeps_no_outcome_over_budget,
    refuses_accuracies_outside_the_unit_interval,
    reads_every_row_once_while_others_write,
    selects_rows,
    finds_by_the_beginning_of_an_id,
    keeps_runs,
    keeps_steps,
    keeps_steps_over_budget,
    refuses_rows_of_unknown_runs,
    *LEASE_CHECKS,
)
"""Every check, for a parametrised test."""


def _kept_kinds() -> list[FailureKind]:
    return [kind for kind in FailureKind if kind is not FailureKind.OVER_BUDGET]


def _mixed_outcome(seed: int) -> Outcome:
    """Return accuracies with ties, and a failure now and then."""
    return Failed(FailureKind.DIVERGED, "Loss is NaN.") if seed % 10 == 9 else Completed((seed * 7 % 100) / 100)


def _refuses(call: Callable[[], object], what: str) -> None:
    try:
        call()
    except StoreError:
        return
    raise AssertionError(f"{what} must raise StoreError")
