"""Surrogates: arrays that predict as scikit-learn does, noise that a seed decides, damaged files refused."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingRegressor
from table_samples import GRAPHS

from nasgym.architectures import Architecture, Skeleton, parse_architecture
from nasgym.architectures.spaces import EdgeMiniSpace, FixedSpace
from nasgym.core.errors import ConfigurationError, TableError
from nasgym.core.randomness import stream
from nasgym.evaluation import Completed, EvaluationRequest, Failed, FailureKind
from nasgym.evaluation.surrogates import Surrogate
from nasgym.evaluation.surrogates.features import Features
from nasgym.evaluation.surrogates.fitting import fit_surrogate
from nasgym.evaluation.surrogates.forest import Forest
from nasgym.evaluation.tables import Table, TableBuilder, TableDescription, TableTask
from nasgym.evaluation.tables.layout import Layout
from nasgym.networks.plan import plan
from nasgym.networks.profiles import DEFAULT
from nasgym.tasks import Budget, Fidelity, Task
from nasgym.testing.estimators import check_estimator

TASK = TableTask("digits", "data-1", (32, 32, 3), 10, Fidelity(4, 32), seeds=(0, 1, 2))
OTHER = TableTask("letters", "data-2", (32, 32, 3), 26, Fidelity(4, 32))
NOISE = 0.01
MACRO = FixedSpace(Skeleton.MACRO)


def truth(architecture: Architecture) -> float:
    """Kernels count for more the later they come: easy to learn, and nothing like a constant."""
    return 0.3 + 0.015 * sum(place * layer.kernel / 8 for place, layer in enumerate(architecture.layers, start=1))


def macro_networks(count: int) -> list[Architecture]:
    generator = stream(0, "macro networks")
    codes = generator.choice(3**8, size=count, replace=False)
    return [
        MACRO.filled(tuple(slot.choices[code // 3**place % 3] for place, slot in enumerate(MACRO.slots)))
        for code in codes
    ]


NETWORKS = macro_networks(400)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    """Three noisy repeats on digits, one without noise on letters; 300 of the networks."""
    builder = TableBuilder(TableDescription("macro", (TASK, OTHER), "default", "x", skeleton=Skeleton.MACRO))
    generator = stream(0, "noise")
    for network in NETWORKS[:300]:
        for seed in TASK.seeds:
            accuracy = truth(network) + NOISE * float(generator.standard_normal())
            builder.add(network, TASK.fingerprint, seed, Completed(accuracy))
        builder.add(network, OTHER.fingerprint, 0, Completed(1 - truth(network)))
    return builder.write(tmp_path_factory.mktemp("surrogates") / "macro.table")


@pytest.fixture(scope="module")
def surrogate(table: Table) -> Surrogate:
    return fit_surrogate(table, table.path.with_suffix(".surrogate"))


def test_a_forest_predicts_as_the_model_it_was_taken_from() -> None:
    generator = stream(0, "forest")
    inputs = generator.integers(0, 5, size=(200, 6)).astype(np.float32)
    targets = inputs[:, 0] * inputs[:, 1] + generator.normal(size=200)
    model = GradientBoostingRegressor(n_estimators=30, max_depth=3, init="zero", random_state=0).fit(inputs, targets)
    trees = [tree.tree_ for tree in model.estimators_[:, 0]]
    forest = Forest.of_trees(trees, base=2.0, scale=model.learning_rate)
    restored = Forest.from_arrays(forest.arrays("a"), "a", base=2.0, depth=3)
    fresh = generator.integers(0, 5, size=(500, 6)).astype(np.float32)
    for found in (forest, restored):
        assert np.allclose(found.predict(fresh), model.predict(fresh) + 2.0, rtol=0, atol=1e-12)


def test_left_out_networks_are_ranked_well(surrogate: Surrogate) -> None:
    quiet = Surrogate(surrogate.path, noise_scale=0)
    for number, task in enumerate((TASK, OTHER)):
        predicted = [quiet.evaluate(EvaluationRequest.of(network, task.task)) for network in NETWORKS[300:]]
        accuracies = [outcome.accuracy for outcome in predicted if isinstance(outcome, Completed)]
        wanted = np.array([truth(network) for network in NETWORKS[300:]])
        assert abs(np.corrcoef(accuracies, wanted)[0, 1]) > 0.95
        assert surrogate.fits[number].spearman > 0.9
        assert 0.7 < surrogate.fits[number].kendall <= 1


def test_noise_is_that_of_the_repeats_or_else_of_the_residuals(surrogate: Surrogate) -> None:
    with_repeats, without = surrogate.fits
    assert with_repeats.from_repeats
    assert with_repeats.noise == pytest.approx(NOISE, rel=0.1)
    assert not without.from_repeats
    assert without.noise == without.error > 0


def test_a_seed_decides_the_noise(surrogate: Surrogate) -> None:
    quiet = Surrogate(surrogate.path, noise_scale=0)
    asked = EvaluationRequest.of(NETWORKS[0], TASK.task)
    centre = quiet.evaluate(asked)
    assert isinstance(centre, Completed)
    draws = []
    for seed in range(400):
        request = EvaluationRequest(NETWORKS[0], TASK.task, TASK.fidelity, seed)
        first, again = surrogate.evaluate(request), Surrogate(surrogate.path).evaluate(request)
        assert isinstance(first, Completed)
        assert first == again
        draws.append((first.accuracy - centre.accuracy) / surrogate.fits[0].noise)
    assert abs(np.mean(draws)) < 0.2
    assert np.std(draws) == pytest.approx(1, abs=0.15)
    assert quiet.fingerprint != surrogate.fingerprint


def test_costs_are_those_of_the_plan(surrogate: Surrogate) -> None:
    outcome = surrogate.evaluate(EvaluationRequest.of(NETWORKS[1], TASK.task))
    planned = plan(NETWORKS[1], TASK.input_shape, TASK.n_classes, DEFAULT)
    assert (outcome.metrics.parameters, outcome.metrics.flops) == (planned.parameters, planned.flops)


def test_accuracies_stay_between_0_and_1(surrogate: Surrogate) -> None:
    wild = Surrogate(surrogate.path, noise_scale=1000)
    outcomes = [wild.evaluate(EvaluationRequest(NETWORKS[0], TASK.task, TASK.fidelity, seed)) for seed in range(50)]
    accuracies = [outcome.accuracy for outcome in outcomes if isinstance(outcome, Completed)]
    assert len(accuracies) == 50
    assert (min(accuracies), max(accuracies)) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("architecture", "task", "words"),
    [
        (NETWORKS[0], Task("coins", "data-9", (32, 32, 3), 10), "task 'coins'"),
        (NETWORKS[0], Task("digits", "data-1", (32, 32, 3), 10, fidelity=Fidelity(9)), "9 epochs, 32 px"),
        (parse_architecture("conv3"), TASK.task, "layers such as those of 'conv3'"),
    ],
)
def test_what_the_model_cannot_tell_is_missing(
    surrogate: Surrogate, architecture: Architecture, task: Task, words: str
) -> None:
    outcome = surrogate.evaluate(EvaluationRequest.of(architecture, task))
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.MISSING
    assert words in outcome.message


def test_a_surrogate_of_graphs_keeps_the_contract(tmp_path: Path) -> None:
    builder = TableBuilder(TableDescription("graphs", (OTHER,), "default", "x"))
    for number, text in enumerate([*map(str, GRAPHS), *(f"conv3 conv1 maxpool2{' conv3' * n}" for n in range(25))]):
        builder.add(parse_architecture(text), OTHER.fingerprint, 0, Completed(0.1 + 0.02 * number))
    file = tmp_path / "graphs.surrogate"
    fit_surrogate(builder.write(tmp_path / "graphs.table"), file)
    check_estimator(lambda: Surrogate(file), OTHER.task)


def test_pickled_it_predicts_the_same(surrogate: Surrogate) -> None:
    there: Surrogate = pickle.loads(pickle.dumps(Surrogate(surrogate.path, noise_scale=0.5)))
    assert there.noise_scale == 0.5
    asked = EvaluationRequest.of(NETWORKS[0], TASK.task)
    assert there.evaluate(asked) == Surrogate(surrogate.path, noise_scale=0.5).evaluate(asked)


def test_the_same_table_and_seed_give_the_same_file(table: Table, surrogate: Surrogate, tmp_path: Path) -> None:
    again = fit_surrogate(table, tmp_path / "again.surrogate")
    other = fit_surrogate(table, tmp_path / "other.surrogate", seed=1)
    assert again.path.read_bytes() == surrogate.path.read_bytes()
    assert other.fingerprint != surrogate.fingerprint


def test_a_budget_on_networks_without_known_costs_is_refused(tmp_path: Path) -> None:
    space = FixedSpace(Skeleton.MULTI_RESOLUTION)
    generator = stream(0, "codes")
    builder = TableBuilder(TableDescription("mr", (OTHER,), "default", "x", skeleton=Skeleton.MULTI_RESOLUTION))
    for _ in range(25):
        network = space.filled(tuple(slot.choices[generator.integers(len(slot.choices))] for slot in space.slots))
        builder.add(network, OTHER.fingerprint, 0, Completed(0.5))
    surrogate = fit_surrogate(builder.write(tmp_path / "mr.table"), tmp_path / "mr.surrogate")
    assert isinstance(surrogate.evaluate(EvaluationRequest.of(network, OTHER.task)), Completed)
    with pytest.raises(ConfigurationError, match="limits parameters, which are not known"):
        surrogate.evaluate(EvaluationRequest.of(network, OTHER.task.with_budget(Budget(parameters=5))))


def test_too_few_networks_make_no_surrogate(tmp_path: Path) -> None:
    builder = TableBuilder(TableDescription("few", (OTHER,), "default", "x"))
    builder.add(parse_architecture("conv3"), OTHER.fingerprint, 0, Completed(0.5))
    with pytest.raises(TableError, match="has 1 networks with an accuracy; a surrogate needs 20"):
        fit_surrogate(builder.write(tmp_path / "few.table"), tmp_path / "few.surrogate")


def test_a_damaged_file_or_a_table_is_no_surrogate(surrogate: Surrogate, table: Table, tmp_path: Path) -> None:
    raw = bytearray(surrogate.path.read_bytes())
    raw[-3] ^= 1
    file = tmp_path / "bad.surrogate"
    file.write_bytes(raw)
    with pytest.raises(TableError, match="surrogate is damaged"):
        Surrogate(file)
    with pytest.raises(TableError, match=r"not a surrogate .format 'nasgym-table'"):
        Surrogate(table.path)
    with pytest.raises(ConfigurationError, match="noise_scale must be 0 or more, got -1"):
        Surrogate(surrogate.path, noise_scale=-1)


def test_features_tell_all_networks_of_a_space_apart() -> None:
    for architectures in (list(EdgeMiniSpace().architectures()), list(GRAPHS), NETWORKS):
        layout = Layout.of(architectures)
        features = Features(layout).of(layout.encode(architectures))
        assert len(np.unique(features, axis=0)) == len(architectures)
