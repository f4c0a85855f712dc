"""How the ablation judges, against answers by hand."""

from pathlib import Path

import numpy as np
import pytest
from benchmarks.ablation import intervals, ratio
from benchmarks.ablation_baselines import best_single, portfolio
from benchmarks.ablation_runs import SIGNALS, VARIANTS, DeviceTold, claim, judged, make_environments, settings_of
from benchmarks.cross_check import Agreement
from benchmarks.hidden_tasks import SPLITS, HiddenTasks, hidden_tasks

from nasgym.agents import named_agent


def test_proposals_incumbents_and_the_yoked_control_by_hand() -> None:
    regrets = np.array([[0.0, 1.0, 0.5], [1.0, 0.0, 0.25], [0.75, 0.5, 0.0]])  # of three networks on three tasks
    rows = np.array([[[2, 0]], [[0, 2]], [[1, 2]]])  # two proposals in one meta-episode on each task
    found = judged(rows, regrets)
    assert found["proposal"] == [[0.5, 0.0], [1.0, 0.25], [0.5, 0.0]]
    assert found["incumbent"] == [[0.5, 0.0], [1.0, 0.25], [0.5, 0.0]]
    assert found["yoked"] == [  # the mean regret here of what was proposed on the two other tasks
        [(0.0 + 1.0) / 2, (0.5 + 0.5) / 2],
        [(0.25 + 0.0) / 2, (1.0 + 0.25) / 2],
        [(0.0 + 0.75) / 2, (0.75 + 0.0) / 2],
    ]


def test_a_policy_that_ignores_rewards_is_as_good_when_yoked() -> None:
    regrets = np.random.default_rng(0).random((4, 6))
    rows = np.broadcast_to(np.array([[1, 3, 5]]), (4, 1, 3))
    found = judged(rows, regrets)
    own, yoked = np.array(found["proposal"]), np.array(found["yoked"])
    assert yoked == pytest.approx(own, abs=1e-3)


def test_intervals_hold_the_estimate_and_shrink_to_it_without_spread() -> None:
    constant = np.full((3, 8, 2), 0.25)
    assert [(one.estimate, one.low, one.high) for one in intervals(constant)] == [(0.25, 0.25, 0.25)] * 2
    spread = np.random.default_rng(1).random((5, 8, 1))
    (one,) = intervals(spread)
    assert one.low < one.estimate < one.high
    half = ratio(spread / 2, spread)
    assert (half.estimate, half.low, half.high) == pytest.approx((0.5, 0.5, 0.5))


def test_agreement_needs_a_narrow_interval_around_nothing() -> None:
    generator = np.random.default_rng(2)
    same = Agreement.of(generator.normal(0.8, 0.003, 10), generator.normal(0.8, 0.003, 10))
    assert same.holds
    assert not Agreement.of(generator.normal(0.8, 0.01, 10), generator.normal(0.85, 0.01, 10)).holds
    assert not Agreement.of(generator.normal(0.8, 0.3, 10), generator.normal(0.8, 0.3, 10)).holds


def test_a_run_is_done_once_and_taken_over_from_the_dead(tmp_path: Path) -> None:
    file = tmp_path / "rl2-0.json"
    assert claim(file)
    assert not claim(file)  # this process is at it, and lives
    file.with_suffix(".claimed").write_text("999999999")
    assert claim(file)
    file.write_text("{}")
    assert not claim(file)


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_is_an_agent_that_differs_from_ours_in_what_it_says(name: str) -> None:
    variant, ours = VARIANTS[name], VARIANTS["rl2"]
    config = named_agent(variant.agent, settings_of(variant))
    same = config == named_agent(ours.agent, settings_of(ours))
    assert same == (name in ("rl2", "improvement", "device-told"))
    assert (variant.observe != SIGNALS) == (name == "none")


@pytest.fixture(scope="module")
def splits(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, HiddenTasks]:
    folder = tmp_path_factory.mktemp("tables")
    source = shared_data / "nas_tables" / "nasbench201.csv.xz"
    return {split: hidden_tasks(source, folder, split) for split in SPLITS}


@pytest.mark.slow
def test_held_out_tasks_share_neither_data_set_nor_device_with_those_trained_on(splits: dict[str, HiddenTasks]) -> None:
    data_sets = {split: {task.name.split()[0] for task in tasks.tasks} for split, tasks in splits.items()}
    devices = {split: {device.fingerprint for device in tasks.devices} for split, tasks in splits.items()}
    assert not data_sets["train"] & data_sets["test"]
    assert not (devices["train"] | devices["validation"]) & devices["test"]
    assert not devices["train"] & devices["validation"]
    assert {split: len(tasks.tasks) for split, tasks in splits.items()} == {"train": 256, "validation": 32, "test": 32}


@pytest.mark.slow
def test_actions_lead_to_the_rows_that_are_judged(splits: dict[str, HiddenTasks]) -> None:
    tasks = splits["test"]
    envs = make_environments(VARIANTS["rl2"], tasks, 32, draws=False)
    envs.reset(seed=0, options={"task": list(tasks.tasks)})
    cell = (3, 2, 4, 1, 0, 3)
    for action in cell:
        _, rewards, *_ = envs.step(np.full(32, action))
    assert rewards == pytest.approx(tasks.rewards[:, tasks.rows_of_actions[cell]])


@pytest.mark.slow
def test_no_observation_shows_the_device_unless_it_is_told(splits: dict[str, HiddenTasks]) -> None:
    tasks = splits["test"]
    hidden = make_environments(VARIANTS["rl2"], tasks, 32, draws=False)
    told = make_environments(VARIANTS["device-told"], tasks, 32, draws=False)
    assert isinstance(told, DeviceTold)
    for envs, kinds in ((hidden, 1), (told, 32)):
        first, _ = envs.reset(seed=0, options={"task": list(tasks.tasks)})
        assert len({tuple(row) for row in first["signals"].tolist()}) == kinds
        assert envs.observation_space.contains(first)


@pytest.mark.slow
def test_one_network_does_not_serve_every_task(splits: dict[str, HiddenTasks]) -> None:
    test = splits["test"]
    places = np.arange(len(test.tasks))[:, np.newaxis, np.newaxis]
    single = test.regrets[places, best_single(splits["train"], test)][..., 0].mean()
    ten = test.regrets[places, portfolio(splits["train"], test)].min(axis=-1).mean()
    assert 0.4 < single < 0.8
    assert 0.02 < ten < 0.15
