"""NASGym's CSV, written here as NASGym wrote it: pandas prints the array of the state with NumPy."""

import csv
import hashlib
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nasgym.architectures import Architecture, LeafMerge, architecture_id, encode, parse_architecture
from nasgym.core.errors import StoreError
from nasgym.evaluation import Completed, Failed, FailureKind
from nasgym.store import Added, Store
from nasgym.store.exchange import import_into
from nasgym.store.nasgym_csv import COLUMNS, INVALID, import_nasgym_csv

Row = dict[str, object]


def row_of(architecture: str | list[list[int]], accuracy: float = 0.4918, **changes: object) -> Row:
    rows = encode(parse_architecture(architecture)).tolist() if isinstance(architecture, str) else architecture
    state = np.zeros((10, 5), dtype=np.int32)
    if rows:
        state[-len(rows) :] = rows
    hashed = "".join("-".join(map(str, row)) + ";" for row in state.tolist())
    values: Row = {
        "dataset-nethash": f"omniglot-{hashlib.md5(hashed.encode()).hexdigest()}",
        "netstring": str(state),
        "reward": accuracy * 100,
        "accuracy": accuracy,
        "density": 1.25,
        "flops": 123456.0,
        "timestamp": "2019-05-01 13:45:00",
        "running_time": 67,
        "is_valid": True,
    }
    return values | changes


def write(file: Path, *rows: Row) -> Path:
    with file.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return file


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "db_experiments.csv"


def test_a_row_becomes_the_answer_of_a_foreign_estimator(store: Store, file: Path) -> None:
    write(file, row_of("conv3(0) conv5(0) maxpool2(1)"))
    report = import_into(store, str(file), label="omniglot-12-epochs")
    assert (report.evaluations, report.merged, report.skipped) == (Added(new=1), 0, ())
    (row,) = store.evaluations()
    assert row.key.estimator == "nasgym-csv:omniglot-12-epochs"
    assert row.key.data == "nasgym-csv:omniglot"
    assert row.key.architecture_id == architecture_id(
        parse_architecture("conv3(0) conv5(0) maxpool2(1)"), LeafMerge.PAIRWISE
    )
    assert (row.key.epochs, row.key.resolution, row.key.samples, row.key.seed) == (0, 0, 0, 0)
    assert (row.task, row.run) == ("omniglot", None)
    assert isinstance(row.outcome, Completed)
    assert row.outcome.accuracy == 0.4918
    metrics = row.outcome.metrics
    assert (metrics.seconds, metrics.flops, metrics.density) == (67.0, 123456, 1.25)
    assert row.created_at == datetime(2019, 5, 1, 13, 45, tzinfo=UTC)


def test_a_network_with_and_without_its_terminal_row_is_one(store: Store, file: Path) -> None:
    plain = [[1, 1, 3, 0, 0], [2, 2, 2, 1, 0]]
    write(file, row_of(plain, 0.5), row_of([*plain, [3, 7, 0, 0, 0]], 0.6), row_of([[1, 7, 0, 0, 0]], 0.1))
    report = import_into(store, str(file))
    assert (report.evaluations, report.merged) == (Added(new=2), 1)
    assert [(row.architecture, row.accuracy) for row in store.evaluations()] == [
        ("conv3 maxpool2", 0.5),
        ("empty", 0.1),
    ]


@pytest.mark.parametrize("valid", [False, "0", "0.0"])
def test_a_row_that_is_not_valid_is_a_failure_that_says_what_is_not_known(
    store: Store, file: Path, valid: object
) -> None:
    write(file, row_of("conv3", 0.0, is_valid=valid))
    import_into(store, str(file))
    (row,) = store.evaluations()
    assert isinstance(row.outcome, Failed)
    assert (row.outcome.kind, row.outcome.message) == (FailureKind.INVALID, INVALID)
    assert "any exception while training" in INVALID


def test_importing_again_adds_nothing(store: Store, file: Path) -> None:
    write(file, row_of("conv3"), row_of("conv5"))
    assert import_into(store, str(file)).evaluations == Added(new=2)
    assert import_into(store, str(file)).evaluations == Added(duplicate=2)


def test_a_file_that_grew_adds_only_its_new_rows_under_the_same_label(store: Store, file: Path) -> None:
    write(file, row_of("conv3"))
    import_into(store, str(file), label="mine")
    write(file, row_of("conv3"), row_of("conv5"))
    assert import_into(store, str(file), label="mine").evaluations == Added(new=1, duplicate=1)


def test_without_a_label_the_estimator_is_named_by_the_content_of_the_file(store: Store, file: Path) -> None:
    write(file, row_of("conv3"))
    import_into(store, str(file))
    digest = hashlib.sha256(file.read_bytes()).hexdigest()[:12]
    assert [row.key.estimator for row in store.evaluations()] == [f"nasgym-csv:{digest}"]


def test_a_data_set_name_may_hold_hyphens(store: Store, file: Path) -> None:
    digest = str(row_of("conv3")["dataset-nethash"]).rpartition("-")[2]
    write(file, row_of("conv3", **{"dataset-nethash": f"cu-birds-{digest}"}))
    import_into(store, str(file))
    assert next(store.evaluations()).task == "cu-birds"


ADDS_THE_IMAGE = [[1, 1, 3, 0, 0], [2, 5, 0, 0, 1]]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (row_of("conv3", accuracy=1.2), "accuracy '1.2' is above 1"),
        (row_of("conv3", 0.5) | {"accuracy": "much"}, "accuracy 'much' is not a number"),
        (row_of("conv3", flops="nan"), "flops 'nan' is not a number from 0"),
        (row_of("conv3", flops="9223372036854775808"), "flops '9223372036854775808' is not a number from 0 to 2\\^63"),
        (row_of("conv3", running_time=""), "running_time '' is not a number"),
        (row_of("conv3", is_valid="maybe"), "is_valid 'maybe' is neither True nor False"),
        (row_of("conv3", timestamp="yesterday"), "timestamp 'yesterday' is not a time such as 2019-05-01 13:45:00"),
        (row_of("conv3", netstring="[[0 0 0 0 0]\n ..."), "is not a printed array of whole numbers"),
        (row_of("conv3", netstring="[[1 1 3 0]]"), "has rows that are not five numbers"),
        (row_of("conv3", netstring="[[1 1 5 0 0]]"), "its network does not have the MD5"),
        (row_of("conv3", netstring="[" + "[1 1 5 0 0]" * 201 + "]"), "netstring has 201 rows"),
        (row_of("conv3", **{"dataset-nethash": "omniglot"}), "dataset-nethash 'omniglot' is not a data set and an MD5"),
        (row_of(ADDS_THE_IMAGE), "not an architecture: .*both predecessors must be layers"),
    ],
)
def test_a_row_that_cannot_be_read_is_skipped_and_reported_with_its_line(
    row: Row, reason: str, store: Store, file: Path
) -> None:
    write(file, row_of("conv1"), row)
    report = import_into(store, str(file))
    assert report.evaluations == Added(new=1)
    (skipped,) = report.skipped
    assert skipped.startswith("Line ")
    with pytest.raises(StoreError, match=reason):
        raise StoreError(skipped)


def test_a_csv_of_something_else_is_refused_with_the_columns_it_should_have(store: Store, file: Path) -> None:
    file.write_text("dataset-nethash,netstring\n")
    with pytest.raises(StoreError, match="is not a CSV of NASGym: its first line must name dataset-nethash, netstring"):
        import_nasgym_csv(store, file)


def test_a_csv_that_breaks_off_keeps_what_came_before(store: Store, file: Path) -> None:
    write(file, row_of("conv1"))
    whole = file.read_text()
    file.write_text(whole + whole.splitlines()[1][:30])
    report = import_into(store, str(file))
    assert report.evaluations == Added(new=1)
    assert len(report.skipped) == 1


words = st.sampled_from(["conv1", "conv3", "conv5", "maxpool2", "maxpool3", "avgpool2", "avgpool3"])


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chain=st.lists(words, min_size=1, max_size=10), accuracy=st.floats(0, 1))
def test_any_chain_comes_back(chain: list[str], accuracy: float, store: Store, file: Path) -> None:
    text = " ".join(chain)
    label = f"{text} {accuracy}"
    write(file, row_of(text, accuracy))
    import_into(store, str(file), label=label)
    found = [row for row in store.evaluations() if row.key.estimator == f"nasgym-csv:{label}"]
    assert [(row.architecture, row.accuracy) for row in found] == [(text, accuracy)]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    column=st.sampled_from(COLUMNS),
    value=st.one_of(st.text(st.characters(exclude_characters="\0", codec="utf-8")), st.text("[] 0123456789\n")),
)
def test_a_mutated_row_is_imported_or_reported(column: str, value: str, store: Store, file: Path) -> None:
    write(file, row_of("conv3", **{column: value}))
    report = import_into(store, str(file), label="mutated")
    counts = report.evaluations
    assert counts.new + counts.duplicate + counts.conflicting + len(report.skipped) == 1
    assert all(isinstance(parse_architecture(row.architecture), Architecture) for row in store.evaluations())
