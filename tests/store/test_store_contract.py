"""The contract suite over the SQL store, and over stores that each break one promise."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import URL, select

from nasgym.core.errors import StoreError
from nasgym.evaluation import Completed, EvaluationKey, EvaluationRequest, Failed, FailureKind, Metrics, Outcome
from nasgym.store import Claim, EvaluationQuery, QueuedRequest, Step, Store, StoredEvaluation, Won, evaluation_id
from nasgym.store.base import EVERYTHING
from nasgym.store.columns import request_of
from nasgym.store.schema import REQUESTS
from nasgym.store.sql import SqlStore
from nasgym.testing.stores import CHECKS, Check, check_store, request_and_key


class ForgetsEverything(SqlStore):
    def get_many(self, keys: Sequence[EvaluationKey]) -> dict[EvaluationKey, Outcome]:
        return {}


class IgnoresTheSeed(SqlStore):
    def get_many(self, keys: Sequence[EvaluationKey]) -> dict[EvaluationKey, Outcome]:
        found = super().get_many([replace(key, seed=0) for key in keys])
        return {key: found[replace(key, seed=0)] for key in keys if replace(key, seed=0) in found}


class RoundsAccuracies(SqlStore):
    def get_many(self, keys: Sequence[EvaluationKey]) -> dict[EvaluationKey, Outcome]:
        return {
            key: replace(outcome, accuracy=round(outcome.accuracy, 6)) if isinstance(outcome, Completed) else outcome
            for key, outcome in super().get_many(keys).items()
        }


class KeepsOutcomesOverBudget(SqlStore):
    def put(self, request: EvaluationRequest, key: EvaluationKey, outcome: Outcome, *, run: str | None = None) -> None:
        self.add([StoredEvaluation.of(request, key, outcome, run)])


class ReadsTheFirstPageOnly(SqlStore):
    def evaluations(self, query: EvaluationQuery = EVERYTHING) -> Iterator[StoredEvaluation]:
        return itertools.islice(super().evaluations(query), 500)


class RepeatsStepsAsTold(SqlStore):
    def save_steps(self, steps: Iterable[Step]) -> list[Step]:
        told = list(steps)
        super().save_steps(told)
        return told


class LetsEverybodyWin(SqlStore):
    def claim(self, keys: Sequence[EvaluationKey], owner: str, seconds: float) -> dict[EvaluationKey, Claim]:
        return dict.fromkeys(keys, Won(0))


class KeepsLeasesForEver(SqlStore):
    def claim(self, keys: Sequence[EvaluationKey], owner: str, seconds: float) -> dict[EvaluationKey, Claim]:
        return super().claim(keys, owner, 600.0)


class OffersWhatIsHeld(SqlStore):
    def queued(self, *, run: str | None = None, limit: int = 100) -> list[QueuedRequest]:
        rows = self._database.rows(select(REQUESTS).order_by(REQUESTS.c.queued_at).limit(limit))
        return [request for request in map(request_of, rows) if run in (None, request.run)]


def maker(kind: type[SqlStore], folder: Path) -> Callable[[], Store]:
    numbers = itertools.count()
    return lambda: kind(URL.create("sqlite", database=str(folder / f"{next(numbers)}.sqlite")))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_sql_store_keeps_the_contract(check: Check, any_store: Store) -> None:
    check(any_store)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (ForgetsEverything, "but get returned None"),
        (IgnoresTheSeed, "but get returned"),
        (RoundsAccuracies, r"put Completed\(accuracy=0.3333333333333333, .* but get returned"),
        (KeepsOutcomesOverBudget, "over the user's budget must not be kept"),
        (ReadsTheFirstPageOnly, "rows are lost or read twice"),
        (RepeatsStepsAsTold, "a step recorded again must stay as it was"),
        (LetsEverybodyWin, "a key that another owner holds must not be won"),
        (KeepsLeasesForEver, "a lease that ran out must be won, and counted"),
        (OffersWhatIsHeld, "a request that somebody holds a lease on must not be offered"),
    ],
)
def test_a_store_that_breaks_a_promise_fails_the_suite_with_a_message_that_says_which(
    kind: type[SqlStore], message: str, tmp_path: Path
) -> None:
    with pytest.raises(AssertionError, match=message):
        check_store(maker(kind, tmp_path))


finite = st.floats(0, 1)
losses = st.lists(st.floats(allow_nan=False), max_size=4).map(tuple)
counts = st.integers(0, 2**62)
metrics = st.builds(
    Metrics,
    losses,
    losses,
    losses,
    st.floats(0, 1e9),
    counts,
    counts,
    st.floats(0, 1e3),
    counts,
)
outcomes = st.one_of(
    st.builds(Completed, finite, metrics),
    st.builds(
        Failed,
        st.sampled_from([kind for kind in FailureKind if kind is not FailureKind.OVER_BUDGET]),
        st.text(st.characters(exclude_characters="\0", codec="utf-8")),
        metrics,
    ),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(outcome=outcomes, estimator=st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=20))
def test_any_outcome_under_any_estimator_comes_back_equal(outcome: Outcome, estimator: str, any_store: Store) -> None:
    store = any_store
    request, key = request_and_key()
    seed = sum(1 for _ in store.evaluations())
    key = replace(key, estimator=estimator, seed=seed)
    store.put(request, key, outcome)
    assert store.get(key) == outcome
    assert next(store.evaluations(EvaluationQuery(estimator=estimator))).key.estimator == estimator


def test_the_id_of_an_evaluation_never_changes() -> None:
    key = EvaluationKey("82368898e741677d", "data", 8, 32, 0, "estimator", 0)
    assert evaluation_id(key) == "a7aa86a261a09664bbdb986b72b895ad"


def test_the_architecture_is_kept_in_the_form_its_id_names(store: Store) -> None:
    request, key = request_and_key("conv3(0) conv5(0) add(2,1)")
    store.put(request, key, Completed(0.5))
    (row,) = store.evaluations()
    assert row.architecture == "conv5(0) conv3(0) add(1,2)"
    assert row.nsc == [[1, 1, 5, 0, 0], [2, 1, 3, 0, 0], [3, 5, 0, 1, 2]]


def test_an_id_of_another_kind_keeps_the_architecture_as_given(store: Store) -> None:
    request, key = request_and_key("conv3(0) conv5(0) add(2,1)")
    store.put(request, replace(key, architecture_id="cell-12"), Completed(0.5))
    assert next(store.evaluations()).architecture == "conv3(0) conv5(0) add(2,1)"


def test_a_store_of_one_run_writes_the_run_down_with_each_outcome(store: Store) -> None:
    run = store.start_run("search", {"evaluations": 2}, seed=0)
    cache = store.for_run(run.id)
    request, key = request_and_key()
    cache.put(request, key, Completed(0.5))
    assert cache.get(key) == Completed(0.5)
    assert [row.run for row in store.evaluations()] == [run.id]


def test_a_run_knows_what_it_ran_on(store: Store) -> None:
    run = store.run(store.start_run("search", {}, seed=0).id)
    assert set(run.provenance.versions) >= {"python", "nasgym", "numpy", "SQLAlchemy"}
    assert int(run.provenance.hardware["cores"]) >= 1


def test_a_configuration_that_is_not_json_is_refused(store: Store) -> None:
    with pytest.raises(StoreError, match=r"configuration of a run must be JSON values: .* set is not JSON"):
        store.start_run("search", {"sizes": {32}}, seed=0)


def test_an_accuracy_out_of_range_names_estimator_and_architecture(store: Store) -> None:
    request, key = request_and_key()
    with pytest.raises(
        StoreError, match=r"'estimator' gave accuracy 49.2 to 'conv3 maxpool2'; an accuracy lies in \[0, 1\]"
    ):
        store.put(request, key, Completed(49.2))


def test_a_step_that_does_not_repeat_itself_is_refused_with_both_architectures(store: Store) -> None:
    run = store.start_run("search", {}, seed=0)
    request, key = request_and_key("conv3")
    store.record_step(run.id, 4, request, key, Completed(0.5), from_store=False)
    other, other_key = request_and_key("conv5")
    with pytest.raises(StoreError, match=r"Step 4 \(search\) of run .* is 'conv3', now it would be 'conv5'.*Resume"):
        store.record_step(run.id, 4, other, other_key, Completed(0.5), from_store=False)
    assert [step.architecture for step in store.steps(run.id)] == ["conv3"]
    assert store.get(other_key) is not None
