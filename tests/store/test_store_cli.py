"""`nasgym store`, run as a program in this process."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nasgym.cli.store import app
from nasgym.core.errors import StoreError
from nasgym.evaluation import Completed, Failed, FailureKind
from nasgym.store import DEFAULT_STORE, Store, open_store
from nasgym.testing.stores import FULL_METRICS, request_and_key


def run(*arguments: str, env: dict[str, str] | None = None) -> str:
    result = CliRunner().invoke(app, arguments, env=env)
    if result.exception is not None:
        raise result.exception
    return result.stdout


@pytest.fixture
def filled(store: Store, store_file: Path) -> str:
    started = store.start_run("search", {"evaluations": 2}, seed=3)
    for number, (text, accuracy) in enumerate((("conv3 maxpool2", 0.5), ("conv5", 0.75))):
        request, key = request_and_key(text)
        store.record_step(started.id, number, request, key, Completed(accuracy, FULL_METRICS), from_store=False)
    request, key = request_and_key("conv1", task="signs [x]")
    store.put(request, key, Failed(FailureKind.DIVERGED, "Loss is NaN."))
    return str(store_file)


def test_ls_lists_runs_and_evaluations(filled: str) -> None:
    shown = run("ls", "--store", filled)
    for text in ("search", "running", "conv3 maxpool2", "0.7500", "diverged", "signs [x]", "123,456,789,012"):
        assert text in shown


def test_ls_selects(filled: str) -> None:
    rows = json.loads(run("ls", "--store", filled, "--task", "digits", "--limit", "1", "--json"))
    assert [row["architecture"] for row in rows["evaluations"]] == ["conv5"]
    assert len(rows["runs"]) == 1
    rows = json.loads(run("ls", "--store", filled, "--failed", "--json"))
    assert [row["failure"] for row in rows["evaluations"]] == ["diverged"]


def test_ls_of_an_empty_store_says_so(store: Store, store_file: Path) -> None:
    assert run("ls", "--store", str(store_file)) == "Runs: none.\nEvaluations: none.\n"


def test_show_tells_all_of_an_evaluation_epoch_by_epoch(filled: str) -> None:
    with open_store(filled) as store:
        name = store.best(1)[0].id
    shown = run("show", name[:12], "--store", filled)
    for text in (f"id: {name}", "architecture: conv5", "nsc: [[1, 1, 5, 0, 0]]", "2.2500", "nan", "0.3333"):
        assert text in shown
    assert json.loads(run("show", name, "--store", filled, "--json"))["validation_accuracies"][1] == 0.5


def test_show_tells_all_of_a_run_step_by_step(filled: str) -> None:
    with open_store(filled) as store:
        name = next(store.runs()).id
    shown = run("show", name, "--store", filled)
    for text in (f"id: {name}", 'configuration: {"evaluations": 2}', "conv3 maxpool2", "0.75"):
        assert text in shown
    assert [step["number"] for step in json.loads(run("show", name, "--store", filled, "--json"))["steps"]] == [0, 1]


def test_show_of_an_unknown_id_says_how_to_find_one(filled: str) -> None:
    with pytest.raises(StoreError, match=r"No evaluation 'zzz' in .*; `nasgym store ls` lists"):
        run("show", "zzz", "--store", filled)
    with pytest.raises(StoreError, match=r"Several evaluations in .* start with ''; give more of the id"):
        run("show", "", "--store", filled)


def test_best_ranks_by_accuracy(filled: str) -> None:
    rows = json.loads(run("best", "--store", filled, "-n", "5", "--json"))
    assert [row["accuracy"] for row in rows] == [0.75, 0.5]
    assert "conv5" in run("best", "--store", filled, "-n", "1", "--task", "digits")


def test_export_goes_to_the_screen_or_a_file(filled: str, tmp_path: Path) -> None:
    assert len(run("export", "--store", filled).splitlines()) == 4
    target = tmp_path / "out.json"
    said = run("export", "--store", filled, "--format", "json", "--out", str(target), "--task", "digits")
    assert said == f"2 evaluations written to {target}.\n"
    assert len(json.loads(target.read_text())["evaluations"]) == 2


def test_import_makes_a_store_and_says_what_became_of_the_rows(filled: str, tmp_path: Path) -> None:
    target = str(tmp_path / "new" / "store.sqlite")
    assert run("import", filled, "--store", target).startswith("3 new, 0 known, 0 contradicting")
    report = json.loads(run("import", filled, "--store", target, "--json"))
    assert report["evaluations"] == {"new": 0, "duplicate": 3, "conflicting": 0}


def test_the_store_is_taken_from_the_environment(filled: str) -> None:
    assert json.loads(run("best", "--json", env={"NASGYM_STORE": filled}))


def test_without_a_store_the_default_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NASGYM_STORE", raising=False)
    with pytest.raises(StoreError, match=f"No store at {tmp_path / DEFAULT_STORE}"):
        run("ls")
    assert DEFAULT_STORE in run("ls", "--help")
