"""Export, merge and the choice of an importer."""

import csv
import io
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from nasgym.core.errors import StoreError
from nasgym.evaluation import Completed, Failed, FailureKind, Metrics
from nasgym.store import Added, EvaluationQuery, RunStatus, Step, Store, StoredEvaluation, open_store
from nasgym.store.exchange import ImportReport, export_store, import_into, merge_store
from nasgym.store.rows import RECORD_FIELDS
from nasgym.testing.stores import FULL_METRICS, request_and_key


def fill(store: Store) -> str:
    """Put a finished run of two steps and a promotion, and an evaluation of no run; return the run's id."""
    run = store.start_run("search", {"evaluations": 2}, seed=3)
    request, key = request_and_key("conv3")
    store.record_step(run.id, 1, request, key, Completed(0.5, FULL_METRICS), from_store=False)
    request, key = request_and_key("conv5")
    store.record_step(run.id, 2, request, key, Failed(FailureKind.OVER_BUDGET, "Too large."), from_store=False)
    request, key = request_and_key("conv3")
    store.record_step(run.id, 1, request, key, Completed(0.5), from_store=True, phase="promotion")
    request, key = request_and_key("conv1", task="signs")
    store.put(request, key, Failed(FailureKind.DIVERGED, 'Loss is "NaN",\nthey say.'))
    store.finish_run(run.id, result={"accuracy": math.nan, "best": "conv3"})
    return run.id


@pytest.fixture
def other(tmp_path: Path) -> Store:
    return open_store(tmp_path / "other.sqlite")


def test_csv_has_one_line_an_evaluation_and_per_epoch_numbers_as_json(store: Store) -> None:
    fill(store)
    stream = io.StringIO()
    assert export_store(store, stream, form="csv") == 2
    first, second = csv.DictReader(io.StringIO(stream.getvalue()))
    assert (first["architecture"], first["accuracy"], first["failure"]) == ("conv3", "0.5", "")
    assert json.loads(first["train_losses"]) == [2.25, None, None]
    assert json.loads(first["validation_accuracies"]) == [0.1, 0.5, 1 / 3]
    assert (second["task"], second["accuracy"], second["failure"]) == ("signs", "", "diverged")
    assert second["message"] == 'Loss is "NaN",\nthey say.'


def test_csv_of_an_empty_store_is_its_header(store: Store) -> None:
    stream = io.StringIO()
    assert export_store(store, stream, form="csv") == 0
    assert stream.getvalue().strip() == ",".join(RECORD_FIELDS)


def test_the_columns_of_the_csv_are_the_fields_of_a_record(store: Store) -> None:
    fill(store)
    assert tuple(next(store.evaluations()).record()) == RECORD_FIELDS


def refuse_constant(name: str) -> None:
    raise AssertionError(f"{name} is not JSON")


def test_json_is_standard_and_holds_evaluations_and_runs_with_their_steps(store: Store) -> None:
    name = fill(store)
    stream = io.StringIO()
    assert export_store(store, stream, form="json") == 2
    content = json.loads(stream.getvalue(), parse_constant=refuse_constant)
    assert [row["nsc"] for row in content["evaluations"]] == [[[1, 1, 3, 0, 0]], [[1, 1, 1, 0, 0]]]
    assert content["evaluations"][0]["train_losses"] == [2.25, None, None]
    (run,) = content["runs"]
    assert (run["id"], run["status"], run["result"]) == (name, "finished", {"accuracy": None, "best": "conv3"})
    evaluation = content["evaluations"][0]["id"]
    assert [(s["phase"], s["number"], s["evaluation"], s["failure"], s["from_store"]) for s in run["steps"]] == [
        ("promotion", 1, evaluation, None, True),
        ("search", 1, evaluation, None, False),
        ("search", 2, None, "over_budget", False),
    ]


def test_json_of_an_empty_store_parses(store: Store) -> None:
    stream = io.StringIO()
    export_store(store, stream, form="json")
    assert json.loads(stream.getvalue()) == {"evaluations": [], "runs": []}


def test_an_export_obeys_its_query(store: Store) -> None:
    fill(store)
    assert export_store(store, io.StringIO(), form="csv", query=EvaluationQuery(task="signs")) == 1


def test_an_export_replaces_a_file_only_when_it_is_complete(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store)
    target = tmp_path / "out.csv"
    target.write_text("before")
    with monkeypatch.context() as patched:
        patched.setattr(type(store), "evaluations", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            export_store(store, target, form="csv")
    assert target.read_text() == "before"
    export_store(store, target, form="csv")
    assert target.read_text().startswith("id,task,architecture")
    assert [path.name for path in tmp_path.iterdir() if "partial" in path.name] == []


def test_an_export_into_a_folder_that_is_not_there_is_an_error_that_names_it(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"Export .*missing/out.csv cannot be written: No such file or directory"):
        export_store(store, tmp_path / "missing" / "out.csv", form="csv")


def exported(store: Store) -> str:
    stream = io.StringIO()
    export_store(store, stream, form="json")
    return stream.getvalue()


def test_a_merge_copies_evaluations_runs_and_steps(store: Store, other: Store) -> None:
    fill(store)
    assert merge_store(store, other) == ImportReport(Added(new=2), runs=1)
    assert exported(other) == exported(store)


def test_merging_again_adds_nothing(store: Store, other: Store) -> None:
    fill(store)
    merge_store(store, other)
    before = exported(other)
    assert merge_store(store, other) == ImportReport(Added(duplicate=2), runs=0)
    assert exported(other) == before


def test_a_merge_keeps_the_first_outcome_and_counts_contradictions(store: Store, other: Store) -> None:
    fill(store)
    request, key = request_and_key("conv3")
    other.put(request, key, Completed(0.25))
    assert merge_store(store, other).evaluations == Added(new=1, conflicting=1)
    assert other.get(key) == Completed(0.25)


def test_a_merge_keeps_the_later_ending_of_a_run(store: Store, other: Store) -> None:
    name = store.start_run("search", {}, seed=0).id
    merge_store(store, other)
    store.finish_run(name, RunStatus.INTERRUPTED)
    merge_store(store, other)
    assert other.run(name).status is RunStatus.INTERRUPTED
    other.finish_run(name)
    merge_store(store, other)
    assert other.run(name).status is RunStatus.FINISHED


def test_a_merge_of_many_rows_takes_them_all(store: Store, other: Store) -> None:
    run = store.start_run("search", {}, seed=0)
    request, key = request_and_key()
    rows = [
        StoredEvaluation.of(request, replace(key, seed=seed), Completed(0.5, Metrics(seconds=seed)), run.id)
        for seed in range(1203)
    ]
    store.save_steps(Step(run.id, seed, row.architecture, row.outcome, False, row) for seed, row in enumerate(rows))
    assert merge_store(store, other).evaluations == Added(new=1203)
    assert [step.evaluation for step in other.steps(run.id)] == rows


def test_an_import_tells_a_store_by_its_content(store: Store, other: Store, tmp_path: Path) -> None:
    fill(other)
    assert import_into(store, str(tmp_path / "other.sqlite")).evaluations == Added(new=2)
    assert import_into(store, f"sqlite:///{tmp_path}/other.sqlite").evaluations == Added(duplicate=2)


def text(file: Path) -> None:
    file.write_text("id,accuracy\n1,0.5\n")


def nothing(file: Path) -> None:
    file.touch()


def binary(file: Path) -> None:
    file.write_bytes(b"\xff\xfe\x00" * 100)


@pytest.mark.parametrize("make", [text, nothing, binary])
def test_an_import_of_anything_else_is_refused(make: Callable[[Path], None], store: Store, tmp_path: Path) -> None:
    make(tmp_path / "file")
    with pytest.raises(
        StoreError, match="file is neither a nasgym store nor a CSV of NASGym, which begins with dataset"
    ):
        import_into(store, str(tmp_path / "file"))


def test_an_import_of_nothing_is_refused(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"missing.csv cannot be read: No such file"):
        import_into(store, str(tmp_path / "missing.csv"))


def test_a_label_is_for_csv_only(store: Store, other: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"other.sqlite is a store, .*: leave out the label 'twelve'"):
        import_into(store, str(tmp_path / "other.sqlite"), label="twelve")
