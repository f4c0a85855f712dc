"""Importers of public benchmarks: excerpts, nonsense, and the real files with their known optima."""

import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nasgym.architectures import Skeleton, parse_architecture
from nasgym.architectures.nasbench201 import format_cell
from nasgym.core.errors import TableError
from nasgym.core.randomness import stream
from nasgym.evaluation import Completed, EvaluationRequest, Failed, FailureKind
from nasgym.evaluation.tables import Table, TabularBenchmark
from nasgym.evaluation.tables.published import FixedCosts, import_table
from nasgym.networks.plan import plan
from nasgym.networks.profiles import DEFAULT

CELL = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|nor_conv_1x1~1|skip_connect~2|"
IDENTITIES = "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|"
CELLS = f"""arch,c10_val_12,c10_test_200,c100_val_12,c100_test_200,note
{CELL},81.5,92.25,50.0,,a
{IDENTITIES},40.0,,,,b
"""
CHAINS = {
    "22212220": {"test_acc": [93.0, 92.0, 94.0], "mean_acc": 93.0, "params": 1985514, "flops": 85164544},
    "00000000": {"test_acc": [70.5, 71.5], "params": 0, "flops": 0},
}
CODE = "128_128_2_4_128_2_4_4_128_128_2_4_4_4_128_128_128_2_4_4_4_4_128_128_128_128_128"
CODES = f"""embedding,flops_G,params_M,cls-50-1000:top1,cls-50-1000:top5,seg:mIoU
{CODE},13.727426866,28.290994,84.12,95.28,76.09
"""

Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(name: str, text: str) -> Path:
        raw = text.encode()
        packed = {".gz": gzip.compress, ".xz": lzma.compress}.get(Path(name).suffix, bytes)(raw)
        file = tmp_path / name
        file.write_bytes(packed)
        return file

    return write


def answer(table: Table, text: str, task: str, seed: int = 0) -> Completed | Failed:
    found = table.task(task)
    request = EvaluationRequest(parse_architecture(text), found.task, found.fidelity, seed)
    return TabularBenchmark(table).evaluate(request)


@pytest.mark.parametrize("name", ["cells.csv", "cells.csv.gz", "cells.csv.xz"])
def test_cells_are_looked_up_by_their_validation_accuracy(write: Write, tmp_path: Path, name: str) -> None:
    table = import_table("nas-bench-201", write(name, CELLS), tmp_path / "cells.table")
    assert [task.name for task in table.tasks] == ["cifar10", "cifar100"]
    outcome = answer(table, CELL, "cifar10")
    assert isinstance(outcome, Completed)
    assert outcome.accuracy == 0.815
    planned = plan(parse_architecture(CELL), (32, 32, 3), 10, DEFAULT)
    metrics = outcome.metrics
    assert (metrics.parameters, metrics.flops, metrics.density) == (planned.parameters, planned.flops, planned.density)
    missing = answer(table, IDENTITIES, "cifar100")
    assert isinstance(missing, Failed)
    assert missing.kind is FailureKind.MISSING
    row = table.row(parse_architecture(CELL))
    assert row is not None
    assert (table.test_score(0, row), table.test_score(1, row)) == (0.9225, None)
    assert table.space.name == "cell201"
    assert format_cell(table.architecture(row)) == CELL


def test_the_three_trainings_of_a_macro_chain_are_three_seeds(write: Write, tmp_path: Path) -> None:
    table = import_table("nas-bench-macro", write("macro.json.gz", json.dumps(CHAINS)), tmp_path / "macro.table")
    best = "skeleton=macro mbconv5 mbconv5 mbconv5 mbconv3 mbconv5 mbconv5 mbconv5 identity"
    outcomes = [answer(table, best, "cifar10", seed) for seed in range(3)]
    assert [outcome.accuracy for outcome in outcomes if isinstance(outcome, Completed)] == [0.93, 0.92, 0.94]
    assert outcomes[0].metrics.parameters == CHAINS["22212220"]["params"]
    assert outcomes[0].metrics.flops == 2 * CHAINS["22212220"]["flops"]
    short = "skeleton=macro " + " ".join(["identity"] * 8)
    assert isinstance(answer(table, short, "cifar10", 2), Failed)
    row = table.row(parse_architecture(short))
    assert row is not None
    assert table.test_score(0, row) == pytest.approx(0.71)


def test_a_multi_resolution_code_becomes_27_numbers(write: Write, tmp_path: Path) -> None:
    table = import_table("nas-bench-mr", write("mr.csv", CODES), tmp_path / "mr.table")
    network = table.architecture(0)
    assert network.skeleton is Skeleton.MULTI_RESOLUTION
    assert [layer.kernel for layer in network.layers] == [int(part) for part in CODE.split("_")]
    outcome = answer(table, str(network), "seg")
    assert isinstance(outcome, Completed)
    assert (outcome.accuracy, outcome.metrics.parameters, outcome.metrics.flops) == (0.7609, 28_290_994, 27_454_853_732)
    assert [task.metric for task in table.tasks] == ["validation top1", "validation mIoU"]


@pytest.mark.parametrize(
    ("benchmark", "name", "text", "words"),
    [
        ("nas-bench-202", "a.csv", CELLS, "Unknown benchmark 'nas-bench-202'"),
        ("nas-bench-201", "a.csv", "cell,c10_val_12\n", "no column 'arch' (it has cell, c10_val_12)"),
        ("nas-bench-201", "a.csv", f"arch,c10\n{CELL},1\n", "none of the columns c10_val_12, c100_val_12, in16_val_12"),
        ("nas-bench-201", "a.csv", "arch,c10_val_12\n|a~0|,1\n", "line 2: '|a~0|' is not a NAS-Bench-201 cell"),
        ("nas-bench-201", "a.csv", f"arch,c10_val_12\n{CELL},high\n", "column c10_val_12: 'high' is not a number"),
        ("nas-bench-201", "a.csv", f"arch,c10_val_12\n{CELL},nan\n", "column c10_val_12: 'nan' is not a number"),
        ("nas-bench-201", "a.csv", f"arch,c10_val_12\n{CELL},101\n", "101.0 is not a percentage"),
        ("nas-bench-201", "a.csv", f"arch,c10_val_12\n{CELL},1,2\n", "line 2: another number of fields"),
        ("nas-bench-201", "a.csv", "", "no column 'arch' (it has none)"),
        ("nas-bench-201", "a.csv.xz.txt", "\x00", "no column 'arch'"),
        ("nas-bench-macro", "a.json", "[]", "holds a list"),
        ("nas-bench-macro", "a.json", "{", "not a JSON file"),
        ("nas-bench-macro", "a.json", '{"012": {"test_acc": [1]}}', "'012' is not a chain of 8 digits from 0 to 2"),
        (
            "nas-bench-macro",
            "a.json",
            '{"00000000": {"acc": 1}}',
            "test_acc must be a list of up to 3 numbers, got None",
        ),
        ("nas-bench-macro", "a.json", '{"00000000": {"test_acc": ["x"]}}', "'x' is not a number"),
        ("nas-bench-mr", "a.csv", CODES.replace("_2_4_128", "_9_4_128"), "line 2: Layer 3 (n9 on [2]) does not fit"),
        ("nas-bench-mr", "a.csv", CODES.replace("128_128_2", "a_128_2"), "is not a NAS-Bench-MR code"),
        ("nas-bench-mr", "a.csv", CODES.replace("128_128_2_4_128_2", "128_2"), "has 27 layers, got 23"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused_with_its_place(
    write: Write, tmp_path: Path, benchmark: str, name: str, text: str, words: str
) -> None:
    with pytest.raises(TableError) as caught:
        import_table(benchmark, write(name, text), tmp_path / "out.table")
    assert words in str(caught.value)
    assert not (tmp_path / "out.table").exists()


def test_a_file_that_cannot_be_unpacked_is_refused(tmp_path: Path) -> None:
    for suffix in (".gz", ".xz"):
        file = tmp_path / f"cells.csv{suffix}"
        file.write_bytes(b"not packed at all")
        with pytest.raises(TableError, match="cannot be read as text"):
            import_table("nas-bench-201", file, tmp_path / "out.table")
    with pytest.raises(TableError, match="no such file"):
        import_table("nas-bench-201", tmp_path / "nothing.csv", tmp_path / "out.table")


@pytest.mark.parametrize("task", ["cifar10", "imagenet16-120"])
def test_costs_added_up_over_slots_are_those_of_the_plan(write: Write, tmp_path: Path, task: str) -> None:
    from nasgym.architectures.spaces import FixedSpace
    from nasgym.evaluation.tables.published import _CELL_TASKS, _MACRO_TASK

    generator = stream(0, "costs")
    for skeleton, described in (
        (Skeleton.CELL201, {"cifar10": _CELL_TASKS["c10"], "imagenet16-120": _CELL_TASKS["in16"]}[task]),
        (Skeleton.MACRO, _MACRO_TASK),
    ):
        space, costs = FixedSpace(skeleton), FixedCosts(skeleton, described)
        for _ in range(20):
            network = space.filled(tuple(slot.choices[generator.integers(len(slot.choices))] for slot in space.slots))
            planned, told = plan(network, described.input_shape, described.n_classes, DEFAULT), costs.metrics(network)
            assert (told.parameters, told.flops) == (planned.parameters, planned.flops)
            assert told.density == planned.density


def test_the_real_cells_have_their_published_optima(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "nas_tables" / "nasbench201.csv.xz"
    table = import_table("nas-bench-201", source, tmp_path / "nas-bench-201.table")
    assert len(table) == 15_625
    assert [round(100 * float(table.test_scores(task).max()), 3) for task in range(3)] == [94.373, 73.513, 47.311]
    assert (table.states == 1).all()
    assert [round(100 * float(table.accuracies[task].max()), 3) for task in range(3)] == [84.892, 61.32, 38.667]


def test_the_real_macro_chains_have_their_published_optimum(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "nas_tables" / "nas-bench-macro_cifar10.json.xz"
    table = import_table("nas-bench-macro", source, tmp_path / "nas-bench-macro.table")
    assert len(table) == 6_561
    scores = table.test_scores(0)
    assert round(100 * float(scores.max()), 3) == 93.127
    best = {str(table.architecture(int(row))).split(maxsplit=1)[1] for row in np.flatnonzero(scores == scores.max())}
    five = "mbconv5 mbconv5 mbconv5 mbconv3 mbconv5 mbconv5"
    assert best == {f"{five} mbconv5 identity", f"{five} identity mbconv5"}, "the same network, written twice"


def test_the_real_multi_resolution_networks_are_all_there(shared_data: Path, tmp_path: Path) -> None:
    table = import_table("nas-bench-mr", shared_data / "nas_tables" / "nasbench_mr.csv.xz", tmp_path / "mr.table")
    assert len(table) == 2_507
    assert len(table.tasks) == 8
    assert (table.states == 1).all()
    assert round(100 * float(table.accuracies[0].max()), 2) == 86.16
