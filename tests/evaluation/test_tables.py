"""Tables: what goes in comes out, exactly; what is not there is missing; a damaged file is refused."""

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save
from table_samples import (
    CHAINS,
    DIVERGES,
    ESTIMATOR,
    GRAPHS,
    LEAVES,
    LETTERS,
    description,
    other_task,
    request,
    sample_table,
)

from nasgym.architectures import Architecture, Augmentation, Header, LeafMerge, Skeleton, canonical, parse_architecture
from nasgym.architectures.actions import AddLayer
from nasgym.architectures.operations import Operation
from nasgym.architectures.spaces import EdgeMiniSpace, FixedSpace, load_space
from nasgym.core.errors import ConfigurationError, TableError
from nasgym.core.randomness import stream
from nasgym.evaluation import Completed, EvaluationRequest, Failed, FailureKind, Metrics
from nasgym.evaluation.tables import Repeats, Table, TableBuilder, TableDescription, TableTask, TabularBenchmark
from nasgym.evaluation.tables.layout import Layout
from nasgym.networks.profiles import profile
from nasgym.tasks import Budget, Fidelity
from nasgym.testing.estimators import check_estimator

GOLDEN_NETWORKS = ["empty", "conv3 maxpool2", "conv5(0) conv3(0) add(1,2)"]


@pytest.fixture(scope="module")
def chains(tmp_path_factory: pytest.TempPathFactory) -> Table:
    return sample_table(tmp_path_factory.mktemp("tables") / "chains.table", CHAINS)


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> Table:
    return sample_table(tmp_path_factory.mktemp("tables") / "graphs.table", GRAPHS)


def space_architectures(name: str, count: int) -> list[Architecture]:
    """Return random networks of a space."""
    space, generator, found = load_space(name), stream(0, "walks", name), []
    while len(found) < count:
        draft = space.start()
        while draft.ending is None:
            draft = space.apply(draft, int(generator.choice(np.flatnonzero(space.legal(draft)))))
        architecture = space.architecture(draft)
        if architecture is not None:
            found.append(canonical(architecture, LeafMerge.TOGETHER))
    return found


@pytest.mark.parametrize("task", [LETTERS, LEAVES], ids=lambda task: task.name)
def test_a_table_answers_exactly_as_what_it_was_made_from(chains: Table, task: TableTask) -> None:
    for table in (chains, Table(chains.path), pickle.loads(pickle.dumps(chains))):
        benchmark = TabularBenchmark(table)
        for architecture in CHAINS:
            for seed in task.seeds:
                wanted = ESTIMATOR.evaluate(request(architecture, task, seed))
                if architecture == DIVERGES and seed == 1:
                    assert isinstance(wanted, Completed)
                    message = "Diverged, according to table 'sample'."
                    wanted = Failed(FailureKind.DIVERGED, message, wanted.metrics)
                assert benchmark.evaluate(request(architecture, task, seed)) == wanted


def test_the_estimator_keeps_the_contract(graphs: Table) -> None:
    check_estimator(lambda: TabularBenchmark(Table(graphs.path)), LEAVES.task, fidelity=LEAVES.fidelity)


def test_what_the_table_does_not_hold_is_missing(chains: Table) -> None:
    benchmark = TabularBenchmark(chains)
    known = request(CHAINS[5], LETTERS)
    long = Fidelity(99, 28)
    for asked, words in (
        (request(parse_architecture("conv1"), LETTERS), "'conv1'"),
        (EvaluationRequest(CHAINS[5], other_task(LETTERS), LETTERS.fidelity, 0), "task 'coins'"),
        (
            EvaluationRequest(CHAINS[5], known.task, long, 0),
            "99 epochs, 28 px, all samples of 'letters', only 4 epochs",
        ),
        (EvaluationRequest(CHAINS[5], known.task, known.fidelity, 2), "evaluation seed 2 of 'letters', only (0, 1)"),
    ):
        outcome = benchmark.evaluate(asked)
        assert isinstance(outcome, Failed)
        assert outcome.kind is FailureKind.MISSING
        assert words in outcome.message


def test_a_network_without_an_outcome_on_one_task_is_missing_there(tmp_path: Path) -> None:
    builder = TableBuilder(description())
    builder.add(CHAINS[1], LETTERS.fingerprint, 0, Completed(0.25))
    builder.add(CHAINS[2], LEAVES.fingerprint, 7, Completed(0.5))
    benchmark = TabularBenchmark(builder.write(tmp_path / "gaps.table"))
    assert benchmark.evaluate(request(CHAINS[1], LETTERS)) == Completed(0.25)
    outcome = benchmark.evaluate(request(CHAINS[1], LEAVES))
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.MISSING


def test_the_mean_of_repeats_leaves_out_failures(chains: Table) -> None:
    benchmark = TabularBenchmark(chains, repeats=Repeats.MEAN)
    first, second = (ESTIMATOR.evaluate(request(CHAINS[5], LETTERS, seed)) for seed in (0, 1))
    assert isinstance(first, Completed)
    assert isinstance(second, Completed)
    mean = benchmark.evaluate(request(CHAINS[5], LETTERS, seed=1234))
    assert isinstance(mean, Completed)
    assert mean.accuracy == pytest.approx((first.accuracy + second.accuracy) / 2, abs=1e-15)
    assert benchmark.evaluate(request(DIVERGES, LETTERS)) == ESTIMATOR.evaluate(request(DIVERGES, LETTERS, 0))
    assert benchmark.fingerprint != TabularBenchmark(chains).fingerprint


def test_scores_for_reporting_do_not_reach_the_estimator(tmp_path: Path) -> None:
    low, high = (sample_table(tmp_path / f"{score}.table", CHAINS[:9], score=score) for score in (0.1, 0.9))
    for architecture in CHAINS[:9]:
        asked = request(architecture, LEAVES)
        assert TabularBenchmark(low).evaluate(asked) == TabularBenchmark(high).evaluate(asked)
    row = low.row(CHAINS[3])
    assert row is not None
    assert (low.test_score(1, row), high.test_score(1, row), low.test_score(0, row)) == (0.1, 0.9, None)


def test_a_table_of_networks_that_cannot_be_planned_checks_the_budget_by_its_own_costs(tmp_path: Path) -> None:
    space = FixedSpace(Skeleton.MULTI_RESOLUTION)
    network = space.filled(tuple(slot.choices[0] for slot in space.slots))
    builder = TableBuilder(TableDescription("mr", (LETTERS,), "default", "x", skeleton=Skeleton.MULTI_RESOLUTION))
    builder.add(network, LETTERS.fingerprint, 0, Completed(0.5, Metrics(parameters=1000)))
    benchmark = TabularBenchmark(builder.write(tmp_path / "mr.table"))
    within, over, unknown = (
        EvaluationRequest.of(network, LETTERS.task.with_budget(budget))
        for budget in (Budget(parameters=1000), Budget(parameters=999), Budget(memory=1))
    )
    assert isinstance(benchmark.evaluate(within), Completed)
    assert benchmark.evaluate(over) == Failed(FailureKind.OVER_BUDGET, "1,000 parameters; the budget is 999.")
    with pytest.raises(ConfigurationError, match="bytes of int8 memory, which are not known"):
        benchmark.evaluate(unknown)


@pytest.mark.parametrize("name", ["chain", "multi-branch", "explicit", "edge", "joint", "cell201", "macro"])
def test_networks_of_every_space_come_back_from_their_arrays(name: str) -> None:
    architectures = space_architectures(name, 40)
    layout = Layout.of(architectures)
    restored = Layout.from_json(layout.to_json(), layout.skeleton)
    arrays = layout.encode(architectures)
    assert restored == layout
    assert [restored.decode(arrays, row) for row in range(40)] == architectures


def test_a_table_lists_its_networks_in_the_order_of_their_ids(graphs: Table) -> None:
    listed = list(graphs.architectures())
    assert [graphs.row(architecture) for architecture in listed] == list(range(len(GRAPHS)))
    assert {str(a) for a in listed} == {str(canonical(a, LeafMerge.TOGETHER)) for a in GRAPHS}
    assert (np.diff(graphs.ids.astype(object)) > 0).all()
    assert graphs.rows(graphs.ids[::-1].copy()).tolist() == list(range(len(GRAPHS)))[::-1]


def test_a_code_grows_by_one_addition_for_each_layer(chains: Table) -> None:
    codes = chains.codes
    for architecture in CHAINS:
        code = np.uint64(0)
        for place, layer in enumerate(architecture.layers):
            number = codes.number(AddLayer(layer.operation, layer.kernel))
            code += np.uint64(number) * codes.weights[codes.first_layer + place]
        assert codes.rows(np.array([code])).tolist() == [chains.row(architecture)]
    assert codes.number(AddLayer(Operation.CONVOLUTION, 7)) == 0
    assert codes.rows(np.array([10**9], dtype=np.uint64)).tolist() == [-1]


def test_header_choices_come_first_in_a_code(tmp_path: Path) -> None:
    builder = TableBuilder(description(LETTERS))
    networks = list(EdgeMiniSpace().architectures())[::17]
    for network in networks:
        builder.add(network, LETTERS.fingerprint, 0, Completed(0.5))
    table = builder.write(tmp_path / "edge.table")
    codes = table.codes
    assert codes.first_layer == 4
    for network in networks:
        header = network.header
        assert header is not None
        values = (header.stem_stride, header.base_width, int(header.augmentation), header.dropout)
        numbers = [codes.header_number(choice, value) for choice, value in enumerate(values)]
        numbers += [codes.number(AddLayer(x.operation, x.kernel, residual=x.residual)) for x in network.layers]
        code = sum(number * int(weight) for number, weight in zip(numbers, codes.weights, strict=False))
        assert codes.rows(np.array([code], dtype=np.uint64)).tolist() == [table.row(network)]
    assert codes.header_number(0, 4) == 0


def test_graphs_have_no_code(graphs: Table) -> None:
    with pytest.raises(TableError, match="graphs, which have no code; find them by canonical id"):
        _ = graphs.codes


def test_chains_beyond_64_bits_have_no_code(tmp_path: Path) -> None:
    builder = TableBuilder(description(LETTERS))
    builder.add(parse_architecture("conv1 " * 20 + "conv3 " * 21), LETTERS.fingerprint, 0, Completed(0.5))
    with pytest.raises(TableError, match="41 choices of up to 2 have no code of 64 bits"):
        _ = builder.write(tmp_path / "deep.table").codes


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_flipped_byte_is_refused(data: st.DataObject, chains: Table) -> None:
    raw = bytearray(chains.path.read_bytes())
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] ^= data.draw(st.integers(1, 255))
    file = chains.path.with_name("flipped.table")
    file.write_bytes(raw)
    with pytest.raises(TableError, match=r"flipped\.table"):
        Table(file)


@pytest.mark.parametrize("length", [0, 4, 100, -1])
def test_a_file_cut_short_is_refused(chains: Table, tmp_path: Path, length: int) -> None:
    file = tmp_path / "short.table"
    file.write_bytes(chains.path.read_bytes()[:length])
    with pytest.raises(TableError, match=r"short.table: not a table, or damaged or cut short"):
        Table(file)


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", pickle.dumps({"a": 1}), b"PK\x03\x04" + bytes(200)])
def test_another_kind_of_file_is_refused_and_never_run(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "other"
    file.write_bytes(content)
    with pytest.raises(TableError, match="not a table"):
        Table(file)


@pytest.mark.parametrize(
    ("about", "words"),
    [
        ({"format": "nasgym-table", "version": 2}, "version 2, this nasgym reads up to 1; install a newer nasgym"),
        ({"format": "nasgym-table", "version": "1"}, "version '1', this nasgym"),
        ({"format": "nasgym-surrogate", "version": 1}, "not a table (format 'nasgym-surrogate'"),
        ({"format": "nasgym-table", "version": 1, "description": {}, "sha256": "0"}, "SHA-256 does not fit"),
        ([], "not a table (format None"),
    ],
)
def test_a_newer_version_or_another_format_is_named(tmp_path: Path, about: object, words: str) -> None:
    file = tmp_path / "file"
    file.write_bytes(save({"ids": np.zeros(1, dtype=np.uint64)}, metadata={"nasgym": json.dumps(about)}))
    with pytest.raises(TableError) as caught:
        Table(file)
    assert words in str(caught.value)


def test_every_digit_of_the_version_counts(chains: Table) -> None:
    raw = chains.path.read_bytes()
    assert raw.count(b'\\"version\\": 1') == 1
    file = chains.path.with_name("versions.table")
    for digit in b"02":
        file.write_bytes(raw.replace(b'\\"version\\": 1', b'\\"version\\": ' + bytes([digit])))
        with pytest.raises(TableError, match="has version"):
            Table(file)


def test_the_same_contents_are_the_same_bytes(tmp_path: Path) -> None:
    files = [sample_table(tmp_path / name, order).path for name, order in (("a", CHAINS), ("b", CHAINS[::-1]))]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="no such file; `nasgym table build`"):
        Table(tmp_path / "nothing.table")
    with pytest.raises(TableError, match=str(tmp_path)):
        Table(tmp_path)


def test_arrays_of_a_table_cannot_be_changed(chains: Table) -> None:
    with pytest.raises(ValueError, match="read-only"):
        chains.accuracies[0, 0, 0] = 1.0


def test_a_table_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    builder = TableBuilder(description())
    with pytest.raises(TableError, match="would be empty"):
        builder.write(tmp_path / "empty.table")
    builder.add(CHAINS[0], LETTERS.fingerprint, 0, Completed(0.5))
    with pytest.raises(TableError, match="cannot be written"):
        builder.write(tmp_path / "no" / "folder.table")
    (tmp_path / "taken").mkdir()
    with pytest.raises(TableError, match="cannot be written"):
        builder.write(tmp_path / "taken")
    assert [file.name for file in tmp_path.iterdir()] == ["taken"]


def test_what_makes_no_table_is_refused(tmp_path: Path) -> None:
    builder = TableBuilder(description())
    with pytest.raises(TableError, match=r"accuracy 1.5; an accuracy lies in"):
        builder.add(CHAINS[0], LETTERS.fingerprint, 0, Completed(1.5))
    with pytest.raises(TableError, match="no task with data 'data-1' and seed 5"):
        builder.add(CHAINS[0], LETTERS.fingerprint, 5, Completed(0.5))
    builder.add(CHAINS[0], LETTERS.fingerprint, 0, Completed(0.5))
    builder.add(CHAINS[0], LETTERS.fingerprint, 0, Completed(0.5))
    with pytest.raises(TableError, match="two outcomes for seed 0"):
        builder.add(CHAINS[0], LETTERS.fingerprint, 0, Completed(0.6))
    with pytest.raises(TableError, match="test score nan"):
        builder.add_test(CHAINS[0], LEAVES.fingerprint, float("nan"))
    header = Header(2, 16, Augmentation.SHIFT)
    builder.add(Architecture(CHAINS[1].layers, header), LETTERS.fingerprint, 0, Completed(0.5))
    with pytest.raises(TableError, match="architectures of one kind"):
        builder.write(tmp_path / "mixed.table")


@pytest.mark.parametrize(
    ("tasks", "words"),
    [
        ((), "has no task"),
        ((LETTERS, LETTERS), "same data"),
        ((TableTask("a", "b", (1, 1, 1), 2, Fidelity(1), ()),), "seeds"),
    ],
)
def test_a_description_that_makes_no_sense_is_refused(tasks: tuple[TableTask, ...], words: str) -> None:
    with pytest.raises(TableError, match=words):
        TableDescription("sample", tasks, "default", "x")


def test_an_unknown_task_names_the_nearest(chains: Table) -> None:
    assert chains.task("data-2") == chains.task("leaves") == LEAVES
    with pytest.raises(TableError, match=r"has no task 'leave' \(it has letters, leaves\)\. Did you mean 'leaves'"):
        chains.task("leave")


def test_a_table_without_a_space_says_so(chains: Table) -> None:
    with pytest.raises(TableError, match="names no search space"):
        _ = chains.space


def test_a_table_written_by_the_first_version_is_still_read() -> None:
    table = Table(Path(__file__).parent / "golden" / "table-1.table")
    assert [str(architecture) for architecture in table.architectures()] == GOLDEN_NETWORKS
    benchmark = TabularBenchmark(table)
    outcomes = [benchmark.evaluate(request(parse_architecture(text), LEAVES)) for text in GOLDEN_NETWORKS]
    metrics = Metrics(parameters=1000, flops=2000, density=0.5, seconds=1.5)
    assert outcomes == [
        Completed(0.25 * (GOLDEN_NETWORKS.index(text) + 1), metrics) for text in GOLDEN_NETWORKS[:2]
    ] + [Failed(FailureKind.DIVERGED, "Diverged, according to table 'golden'.", metrics)]
    assert table.test_score(0, 1) == 0.75


def test_a_table_of_another_profile_of_the_same_name_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = sample_table(tmp_path / "old.table", CHAINS[:3])
    changed = replace(profile("default"), base_width=17)
    monkeypatch.setattr("nasgym.evaluation.tables.table.profile", lambda name: changed)
    with pytest.raises(TableError, match="made with another network profile 'default' than this nasgym has"):
        Table(table.path)
