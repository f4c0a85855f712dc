"""Tables built from stores: every outcome as it was kept, shapes found again from costs, ambiguity named."""

from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nasgym.architectures import parse_architecture
from nasgym.architectures.spaces import ChainSpace
from nasgym.cli.table import app
from nasgym.core.errors import ConfigurationError, TableError
from nasgym.evaluation import Completed, EvaluationRequest, Failed, FailureKind
from nasgym.evaluation.tables import Table, TabularBenchmark
from nasgym.networks.profiles import PAPER
from nasgym.store import Store, open_store
from nasgym.store.tables import TableSelection, build_table
from nasgym.tasks import Fidelity, Task
from nasgym.testing.closed_form import ClosedFormEstimator

LETTERS = Task("letters", "data-1", (28, 28, 1), 26, fidelity=Fidelity(4, 28))
LEAVES = Task("leaves", "data-2", (32, 32, 3), 5, fidelity=Fidelity(2, 32, 100))
NETWORKS = ("conv3", "conv3 maxpool2", "conv5 avgpool2 conv1", "conv3(0) conv1(0) add(1,2)", "empty")
ESTIMATOR = ClosedFormEstimator()

runner = CliRunner()


def fill(store: Store, task: Task, *, repeats: int = 1, estimator: ClosedFormEstimator = ESTIMATOR) -> None:
    for text in NETWORKS:
        for repeat in range(repeats):
            request = EvaluationRequest.of(parse_architecture(text), task, repeat=repeat)
            outcome = estimator.evaluate(request)
            if text == "conv3" and repeat:
                outcome = Failed(FailureKind.TIMED_OUT, "slow", outcome.metrics)
            store.put(request, request.key(estimator), outcome)


def test_a_table_answers_as_the_store_does(store: Store, tmp_path: Path) -> None:
    fill(store, LETTERS, repeats=2)
    fill(store, LEAVES)
    table = build_table(store, tmp_path / "all.table", name="all", network_profile="default", licence="CC0")
    benchmark = TabularBenchmark(Table(table.path))
    assert table.description.licence == "CC0"
    for task, repeats in ((LETTERS, 2), (LEAVES, 1)):
        found = table.task(task.name)
        assert (found.input_shape, found.n_classes, found.fidelity) == (task.input_shape, task.n_classes, task.fidelity)
        for text in NETWORKS:
            for repeat in range(repeats):
                request = EvaluationRequest.of(parse_architecture(text), task, repeat=repeat)
                kept, told = store.get(request.key(ESTIMATOR)), benchmark.evaluate(request)
                assert kept is not None
                assert type(told) is type(kept)
                assert told.metrics == kept.metrics
                if isinstance(kept, Completed):
                    assert isinstance(told, Completed)
                    assert told.accuracy == kept.accuracy
                else:
                    assert isinstance(told, Failed)
                    assert told.kind is kept.kind


def test_one_task_is_selected_by_name(store: Store, tmp_path: Path) -> None:
    fill(store, LETTERS)
    fill(store, LEAVES)
    selection = TableSelection(tasks=("leaves",))
    table = build_table(
        store, tmp_path / "x.table", name="x", selection=selection, network_profile="default", space="multi-branch"
    )
    assert [task.name for task in table.tasks] == ["leaves"]
    assert table.space.name == "multi-branch"


def test_the_text_of_a_space_file_travels_with_the_table(store: Store, tmp_path: Path) -> None:
    fill(store, LETTERS)
    file = tmp_path / "space.yaml"
    file.write_text(
        "nasenv:\n    name: tiny\n    max_nlayers: 3\n    encoding: NSC\n    layers:\n"
        "        - convolution: {id: 1, kernel_size: [3], pred1: True, pred2: False}\n"
        "        - terminal: {id: 7, kernel_size: Null, pred1: False, pred2: False}\n",
        encoding="utf-8",
    )
    table = build_table(store, tmp_path / "x.table", name="x", network_profile="default", space=str(file))
    file.unlink()
    assert isinstance(table.space, ChainSpace)
    assert table.space.max_layers == 3
    with pytest.raises(ConfigurationError, match="No search space 'chian'"):
        build_table(store, tmp_path / "y.table", name="y", network_profile="default", space="chian")


@pytest.mark.parametrize(
    ("selection", "words"),
    [
        (TableSelection(), "2 are selected: 2 epochs, 28 px, all samples; 4 epochs, 28 px, all samples"),
        (TableSelection(tasks=("leters",)), "no evaluation of task 'leters' (it has letters). Did you mean 'letters'?"),
        (TableSelection(epochs=3), "no evaluation is selected"),
        (TableSelection(estimator="training"), "no evaluation is selected"),
    ],
)
def test_a_selection_that_is_not_one_table_is_refused(
    store: Store, tmp_path: Path, selection: TableSelection, words: str
) -> None:
    fill(store, LETTERS)
    fill(store, Task("letters", "data-1", (28, 28, 1), 26, fidelity=Fidelity(2, 28)))
    with pytest.raises(TableError) as caught:
        build_table(store, tmp_path / "x.table", name="x", selection=selection, network_profile="default")
    assert words in str(caught.value)
    table = build_table(
        store, tmp_path / "x.table", name="x", selection=TableSelection(epochs=4), network_profile="default"
    )
    assert len(table) == len(NETWORKS)


def test_several_estimators_are_refused(store: Store, tmp_path: Path) -> None:
    fill(store, LETTERS)
    fill(store, LEAVES, estimator=ClosedFormEstimator(PAPER))
    with pytest.raises(TableError, match="one of these estimators, 2 are selected: closed-form-1-"):
        build_table(store, tmp_path / "x.table", name="x")


def test_the_profile_must_be_that_of_the_networks(store: Store, tmp_path: Path) -> None:
    fill(store, LETTERS)
    with pytest.raises(TableError, match="does not say how its networks were built; name the profile with --profile"):
        build_table(store, tmp_path / "x.table", name="x")
    with pytest.raises(TableError, match="no number of channels and classes gives its networks the parameters"):
        build_table(store, tmp_path / "x.table", name="x", network_profile="paper")


def test_the_command_builds_and_shows_a_table(store: Store, store_file: Path, tmp_path: Path) -> None:
    fill(store, LETTERS, repeats=2)
    out = tmp_path / "letters.table"
    arguments = ["build", str(store_file), "--out", str(out), "--task", "letters", "--profile", "default"]
    result = runner.invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    for line in ("name: letters", "networks: 5", "task letters: 10 evaluations of 5 networks, 1 failed;"):
        assert line in result.stdout
    again = runner.invoke(app, ["info", str(out)], catch_exceptions=False)
    assert again.stdout == result.stdout


def test_a_trained_network_is_looked_up_under_the_profile_in_its_fingerprint(store_file: Path, tmp_path: Path) -> None:
    with open_store(store_file) as store:
        request = EvaluationRequest.of(parse_architecture("conv3 maxpool2"), LETTERS)
        key = replace(request.key(ClosedFormEstimator(PAPER)), estimator="training:paper:0123456789abcdef")
        store.put(request, key, ClosedFormEstimator(PAPER).evaluate(request))
        table = build_table(store, tmp_path / "paper.table", name="paper")
    assert table.profile == PAPER
    assert table.tasks[0].n_classes == 26


def test_a_space_takes_the_networks_of_its_kind(store: Store, tmp_path: Path) -> None:
    fill(store, LETTERS)
    cell = parse_architecture("skeleton=cell201 conv3 none identity avgsame3 conv1 conv3")
    for architecture in (cell, parse_architecture("stem=2 width=8 conv3")):
        request = EvaluationRequest.of(architecture, LETTERS)
        store.put(request, request.key(ESTIMATOR), ESTIMATOR.evaluate(request))
    with pytest.raises(TableError, match="architectures of one kind"):
        build_table(store, tmp_path / "x.table", name="x", network_profile="default")
    sizes = {
        space: len(build_table(store, tmp_path / "x.table", name="x", network_profile="default", space=space))
        for space in ("cell201", "edge", "multi-branch")
    }
    assert sizes == {"cell201": 1, "edge": 1, "multi-branch": len(NETWORKS)}
