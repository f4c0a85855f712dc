"""Meta-trainings on a small table: stopped, killed and resumed, the best policy kept, others begun from."""

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from meta_kills import killed
from safetensors.numpy import load_file

from meta_samples import settings, small_table
from nasgym.core.errors import ConfigurationError
from nasgym.experiments.meta.config import make_meta_config
from nasgym.experiments.meta.events import Event, Judged, Started, Updated
from nasgym.experiments.meta.judging import mean_return
from nasgym.experiments.meta.results import TrainingResult
from nasgym.experiments.meta.surroundings import MetaSurroundings
from nasgym.experiments.meta.training import meta_train
from nasgym.store import PlayedMetaEpisode, RunStatus, TrainingUpdate, open_store


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("table") / "small.table"
    small_table(file)
    return file


AGENTS = {
    "rl2": {},
    "paper": {"memory": {"kind": "lstm", "size": 16}},
    "dqn": {"learning_starts": 100, "hidden": [16], "dueling": 16},
    "masked-ppo": {"steps": 16, "batch_size": 64, "hidden": [16]},
}


def train(folder: Path, table: Path, agent: str = "rl2", stop_after: int | None = None, **run: Any) -> TrainingResult:
    """Train in `folder`, stopping after some updates if told to."""
    given = settings(table, store=str(folder / "store.sqlite"), out=str(folder / "out"), **run)
    if agent != "rl2":
        given["agent"] = {"name": agent} | AGENTS[agent]
        given["environment"]["environments"] = 1 if agent in ("paper", "dqn") else 8
    heard: list[Event] = []
    around = MetaSurroundings(
        command="nasgym meta-train",
        listener=heard.append,
        stopping=lambda: sum(isinstance(event, Updated) for event in heard) == stop_after,
    )
    return meta_train(make_meta_config(given), "small", around)


def weights(folder: Path, name: str) -> dict[str, Any]:
    return {key: value.tobytes() for key, value in load_file(folder / "out" / name).items()}


def rows(folder: Path) -> tuple[list[TrainingUpdate], list[PlayedMetaEpisode]]:
    """What the store holds, without times and the id of the run."""
    with open_store(folder / "store.sqlite", create=False) as store:
        (run,) = store.runs()
        log = store.training_log()
        updates = [replace(update, run="", seconds=0.0) for update in log.updates(run.id)]
        return updates, [replace(played, run="") for played in log.meta_episodes(run.id)]


def timeless(result: TrainingResult) -> TrainingResult:
    return replace(result, seconds=0.0, run="", policy="", out="", store="")


def same(first: Path, second: Path) -> None:
    """Assert that two folders hold the same, bit for bit, but for times, names and ids."""
    assert rows(first) == rows(second)
    for name in ("policy.safetensors", "last.safetensors"):
        assert weights(first, name) == weights(second, name)


@pytest.mark.slow
@pytest.mark.parametrize("agent", AGENTS)
def test_a_stopped_training_goes_on_as_if_nothing_had_happened(agent: str, table: Path, tmp_path: Path):
    steps = {"steps": 1500, "evaluate_every": 700} if agent == "dqn" else {"steps": 800}
    undisturbed = train(tmp_path / "one", table, agent, **steps)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "two", table, agent, stop_after=2, **steps)
    with open_store(tmp_path / "two" / "store.sqlite") as store:
        (run,) = store.runs()
        assert run.status is RunStatus.INTERRUPTED
        assert len(list(store.training_log().updates(run.id))) == 2
    assert (tmp_path / "two" / "out" / "report.html").exists()
    resumed = train(tmp_path / "two", table, agent, **steps)
    assert timeless(resumed) == timeless(undisturbed)
    assert resumed.updates > 2
    same(tmp_path / "one", tmp_path / "two")


def train_often_saved(folder: Path, table: Path) -> None:
    """Train in a process that will be killed; checkpoints are written as often as possible."""
    train(folder, table, steps=1600, checkpoint_every=0.001)


@pytest.mark.slow
def test_kills_at_random_moments_change_nothing(table: Path, tmp_path: Path):
    undisturbed = train(tmp_path / "one", table, steps=1600, checkpoint_every=0.001)
    assert killed(train_often_saved, (tmp_path / "two", table), 6, random.Random(0)) >= 3
    same(tmp_path / "one", tmp_path / "two")
    result = json.loads((tmp_path / "two" / "out" / "result.json").read_text())
    assert timeless(TrainingResult(**result)) == timeless(undisturbed)


def test_the_kept_policy_is_the_best_of_all_looks_and_plays_as_it_was_judged(table: Path, tmp_path: Path):
    result = train(tmp_path, table)
    updates, looks = rows(tmp_path)
    looked = {one.after_update for one in looks}
    scores = {number: mean_return([one for one in looks if one.after_update == number]) for number in looked}
    assert sorted(scores)[0] == 0
    assert sorted(scores)[-1] == len(updates) == result.updates
    assert len(scores) >= 3
    assert result.validation_return == max(scores.values()) == scores[result.best_update]


def test_rows_say_what_happened(table: Path, tmp_path: Path):
    result = train(tmp_path, table)
    updates, looks = rows(tmp_path)
    assert [update.number for update in updates] == list(range(1, result.updates + 1))
    assert updates[-1].steps == result.steps >= 800
    assert sum(sum(update.actions) for update in updates) == result.steps
    assert all(len(update.actions) == 8 and len(update.rewards) == 3 for update in updates)
    assert all(update.entropy is not None and 0 < update.entropy <= 2.08 for update in updates)
    assert {one.task for one in looks} == {"sky"}
    for one in looks:
        assert len(one.rewards) == len(one.accuracies) == len(one.lengths) == len(one.architectures) == 3
        assert all(reward == (accuracy or 0.0) for reward, accuracy in zip(one.rewards, one.accuracies, strict=True))
    with open_store(tmp_path / "store.sqlite") as store:
        assert list(store.evaluations()) == []  # at the speed of a table, sums are kept and not each network


def test_a_training_begins_with_the_weights_of_another_policy(table: Path, tmp_path: Path):
    first = train(tmp_path / "first", table)
    given = settings(table, store=str(tmp_path / "store.sqlite"), out=str(tmp_path / "out"), steps=100)
    given["agent"]["init"] = first.policy
    heard: list[Event] = []
    meta_train(make_meta_config(given), "second", MetaSurroundings("", heard.append))
    judged = next(event for event in heard if isinstance(event, Judged))
    assert judged.steps == 0
    assert judged.mean_return == first.validation_return


def test_a_policy_of_another_space_is_no_beginning(table: Path, tmp_path: Path):
    first = train(tmp_path / "first", table)
    given = settings(table, store=str(tmp_path / "store.sqlite"), out=str(tmp_path / "out"))
    given["agent"]["init"] = first.policy
    given["environment"]["max_layers"] = 1
    with pytest.raises(
        ConfigurationError, match=r"was made for chain of up to 2 layers.*this environment is chain of up"
    ):
        meta_train(make_meta_config(given), "second", MetaSurroundings(""))


def test_a_folder_keeps_one_run_with_its_settings(table: Path, tmp_path: Path):
    first = train(tmp_path, table)
    heard: list[Event] = []
    given = settings(table, store=str(tmp_path / "store.sqlite"), out=str(tmp_path / "out"))
    again = meta_train(make_meta_config(given), "small", MetaSurroundings("", heard.append))
    assert (again, heard) == (first, [])
    given["run"]["seed"] = 3
    with pytest.raises(ConfigurationError, match=r"holds a run with other settings: run\.seed \(0, now 3\)"):
        meta_train(make_meta_config(given), "small", MetaSurroundings(""))


def test_without_validation_tasks_the_last_policy_is_kept(table: Path, tmp_path: Path):
    given = settings(table, store=str(tmp_path / "store.sqlite"), out=str(tmp_path / "out"), steps=100)
    given["tasks"]["validation"] = []
    heard: list[Event] = []
    result = meta_train(make_meta_config(given), "small", MetaSurroundings("", heard.append))
    assert result.validation_return is None
    assert weights(tmp_path, "policy.safetensors") == weights(tmp_path, "last.safetensors")
    assert isinstance(heard[0], Started)
    assert not any(isinstance(event, Judged) for event in heard)
