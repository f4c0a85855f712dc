"""Tables on devices: rewards by hand, what stays of the table, and that no task of one split is in the other."""

from math import log
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasgym.architectures import parse_architecture
from nasgym.core.errors import TableError
from nasgym.evaluation import Completed, EvaluationRequest, Failed, FailureKind, Metrics
from nasgym.evaluation.tables import Table, TableBuilder, TableDescription, TableTask, TabularBenchmark
from nasgym.evaluation.tables.families import Device, device_table
from nasgym.tasks import Fidelity

SMALL = TableTask("small", "data-small", (8, 8, 3), 10, Fidelity(1, 8), seeds=(0, 1))
LARGE = TableTask("large", "data-large", (32, 32, 3), 10, Fidelity(2, 32))


@pytest.fixture
def table(tmp_path: Path) -> Table:
    builder = TableBuilder(TableDescription("chains", (SMALL, LARGE), "default", "made up"))
    for text, accuracy in (("conv3", 0.5), ("conv3 conv5", 0.9)):
        for task in (SMALL, LARGE):
            for seed in task.seeds:
                metrics = Metrics(seconds=3.0, parameters=7, flops=11)
                builder.add(parse_architecture(text), task.fingerprint, seed, Completed(accuracy, metrics))
            builder.add_test(parse_architecture(text), task.fingerprint, accuracy / 2)
    diverged = Failed(FailureKind.DIVERGED, "Its loss became infinite.", Metrics(parameters=7, flops=11))
    builder.add(parse_architecture("conv5"), SMALL.fingerprint, 0, diverged)
    return builder.write(tmp_path / "chains.table")


def reward(table: Table, text: str, task: int, seed: int = 0) -> float:
    request = EvaluationRequest(parse_architecture(text), table.tasks[task].task, table.tasks[task].fidelity, seed)
    outcome = TabularBenchmark(table).evaluate(request)
    assert isinstance(outcome, Completed), outcome
    return outcome.accuracy


def test_the_reward_is_the_logarithm_of_accuracy_times_relative_speed(table: Table, tmp_path: Path) -> None:
    kinds = [word.kernel for word in table.layout.words]
    slow_conv5 = Device("slow conv5", tuple({3: 1.0, 5: 6.0}[kernel] for kernel in kinds), overhead=1.0)
    assert kinds == [3, 5]
    family = device_table(table, [("small", slow_conv5), ("large", slow_conv5)], tmp_path / "family.table")
    for task in (0, 1):  # times: conv3 1 + 1, conv5 1 + 6, both 1 + 1 + 6; the fastest is conv3
        assert reward(family, "conv3", task) == pytest.approx(1 + log(0.5, 100))
        assert reward(family, "conv3 conv5", task) == pytest.approx(1 + log(0.9 * 2 / 8, 100))


def test_the_weight_is_an_exponent(table: Table, tmp_path: Path) -> None:
    device = Device("d", (1.0, 6.0), overhead=1.0, weight=0.5)
    family = device_table(table, [("small", device)], tmp_path / "family.table")
    assert reward(family, "conv3 conv5", 0) == pytest.approx(1 + log(0.9 * (2 / 8) ** 0.5, 100))
    indifferent = device_table(table, [("small", Device("i", (1.0, 6.0), weight=0.0))], tmp_path / "other.table")
    assert reward(indifferent, "conv3 conv5", 0) == pytest.approx(1 + log(0.9, 100))


def test_clarity_takes_the_same_reward_from_every_network(table: Table, tmp_path: Path) -> None:
    clear, murky = Device("clear", (1.0, 6.0)), Device("murky", (1.0, 6.0), clarity=0.5)
    family = device_table(table, [("small", clear), ("small", murky)], tmp_path / "family.table")
    for text in ("conv3", "conv3 conv5"):
        assert reward(family, text, 0) - reward(family, text, 1) == pytest.approx(log(2, 100))


def test_drawn_clarity_is_between_1_and_a_share_and_leaves_the_times_alone() -> None:
    plain = [Device.drawn(f"device {number}", 5, 0) for number in range(50)]
    murky = [Device.drawn(f"device {number}", 5, 0, murk=3.0) for number in range(50)]
    assert [device.latencies for device in plain] == [device.latencies for device in murky]
    assert {device.clarity for device in plain} == {1.0}
    drawn = np.log([device.clarity for device in murky])
    assert -log(3) <= drawn.min() < -0.8
    assert -0.3 < drawn.max() <= 0


@pytest.mark.parametrize("clarity", [0.0, -0.5, 1.5, float("nan")])
def test_a_clarity_that_is_no_share_is_refused(clarity: float) -> None:
    with pytest.raises(TableError, match="clarity is a number above 0 and up to 1"):
        Device("d", (1.0,), clarity=clarity)


def test_a_hundredth_earns_nothing_and_everything_earns_1(table: Table, tmp_path: Path) -> None:
    crawling = device_table(table, [("small", Device("crawling", (0.0, 1e3), overhead=1.0))], tmp_path / "f")
    assert reward(crawling, "conv3 conv5", 0) == 0.0
    builder = TableBuilder(TableDescription("perfect", (SMALL,), "default", "made up"))
    builder.add(parse_architecture("conv3"), SMALL.fingerprint, 0, Completed(1.0))
    perfect = builder.write(tmp_path / "perfect.table")
    assert reward(device_table(perfect, [("small", Device("any", (3.0,)))], tmp_path / "g"), "conv3", 0) == 1.0


def test_everything_else_stays(table: Table, tmp_path: Path) -> None:
    family = device_table(
        table, [("large", Device("a", (1.0, 1.0))), ("small", Device("b", (2.0, 2.0)))], tmp_path / "f"
    )
    assert [task.name for task in family.tasks] == ["large on a", "small on b"]
    assert list(family.architectures()) == list(table.architectures())
    for name in ("states", "seconds", "parameters", "flops", "densities"):
        assert np.array_equal(getattr(family, name), getattr(table, name)[[1, 0]]), name
    assert np.isnan(family.test_scores(0)).tolist() == np.isnan(table.test_scores(1)).tolist()
    assert family.test_score(0, 0) is not None


def test_the_same_data_on_two_devices_are_two_tasks_and_on_equal_ones_are_one(table: Table, tmp_path: Path) -> None:
    one, other = Device("one", (1.0, 2.0)), Device("other", (2.0, 1.0))
    family = device_table(table, [("small", one), ("small", other)], tmp_path / "f")
    assert len({task.fingerprint for task in family.tasks}) == 2
    with pytest.raises(TableError, match="have the same data"):
        device_table(table, [("small", one), ("small", Device("renamed", (1.0, 2.0)))], tmp_path / "f")


def test_a_device_for_another_table_is_refused_by_name(table: Table, tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"'watch' has times for 3 kinds of layers; .* has 2: conv3, conv5"):
        device_table(table, [("small", Device("watch", (1.0, 1.0, 1.0)))], tmp_path / "f")
    with pytest.raises(TableError, match=r"has no task 'smal' .* Did you mean 'small'"):
        device_table(table, [("smal", Device("watch", (1.0, 1.0)))], tmp_path / "f")
    with pytest.raises(TableError, match="has no task; it needs at least one"):
        device_table(table, [], tmp_path / "f")


@pytest.mark.parametrize("wrong", [-1.0, float("nan"), float("inf")])
def test_times_that_are_none_are_refused(wrong: float) -> None:
    with pytest.raises(TableError, match="'odd': times and weight are numbers from 0 on"):
        Device("odd", (1.0, wrong))
    with pytest.raises(TableError, match="'odd': an overhead of 0"):
        Device("odd", (1.0,), overhead=0.0)


@given(st.integers(0, 1000), st.sampled_from([1.5, 10.0, 100.0]))
def test_drawn_devices_lie_within_the_spread_and_follow_from_seed_and_name(seed: int, spread: float) -> None:
    device = Device.drawn("train 1", 5, seed, spread=spread)
    assert all(1 / spread <= latency <= spread for latency in device.latencies)
    assert device == Device.drawn("train 1", 5, seed, spread=spread)
    assert device.fingerprint != Device.drawn("train 2", 5, seed, spread=spread).fingerprint


@pytest.mark.slow
def test_rewards_of_a_published_table_lie_in_0_to_1_and_the_best_cell_differs_by_device(
    shared_data: Path, tmp_path: Path
) -> None:
    from nasgym.evaluation.tables.published import import_table

    source = shared_data / "nas_tables" / "nasbench201.csv.xz"
    cells = import_table("nas-bench-201", source, tmp_path / "cells.table")
    family = device_table(
        cells, [("cifar10", Device.drawn(f"train {n}", 5, seed=0)) for n in range(12)], tmp_path / "family.table"
    )
    assert family.accuracies.min() >= 0
    assert family.accuracies.max() <= 1
    assert len(set(family.accuracies[:, 0].argmax(axis=1).tolist())) >= 6
