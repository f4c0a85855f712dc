"""Meta-trainings whose networks are really trained: each once, on workers that may be killed."""

import multiprocessing
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file

from nasgym.evaluation import EvaluationRequest, Outcome
from nasgym.experiments.meta import training as training_module
from nasgym.experiments.meta.config import MetaConfig, make_meta_config
from nasgym.experiments.meta.events import Event, Updated
from nasgym.experiments.meta.surroundings import MetaSurroundings
from nasgym.experiments.meta.tasks import Source
from nasgym.experiments.meta.training import WorkerDiedError, meta_train
from nasgym.store import RunStatus, StoredEvaluation, open_store
from nasgym.testing.closed_form import ClosedFormEstimator


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def config(folder: Path, workers: int) -> MetaConfig:
    return make_meta_config(
        {
            "agent": {"name": "rl2", "memory": {"kind": "lstm", "size": 16}, "rollout": {"steps": 8}},
            "environment": {"max_layers": 2, "episodes": 2, "environments": 3},
            "tasks": {
                "train": [{"source": "digits", "size": 8, "classes": ["0", "1"], "epochs": 1, "samples": [40, 60]}],
                "validation": [{"source": "digits", "size": 8, "classes": ["2", "3"], "epochs": 1, "samples": 40}],
            },
            "run": {
                "steps": 60,
                "evaluate_every": 30,
                "evaluation_meta_episodes": 2,
                "workers": workers,
                "store": str(folder / "store.sqlite"),
                "out": str(folder / "out"),
            },
        }
    )


def evaluations(folder: Path) -> list[StoredEvaluation]:
    with open_store(folder / "store.sqlite") as store:
        return list(store.evaluations())


def train_on_two_workers(folder: Path, cache: Path) -> None:
    """Train in a process that will be killed; its workers die with it."""
    meta_train(config(folder, workers=2), "live", MetaSurroundings("", cache_dir=cache))


@pytest.mark.slow
def test_a_training_whose_workers_are_killed_goes_on_with_others(tmp_path, cache):
    killed: list[int] = []

    def kill_workers(event: Event) -> None:
        if isinstance(event, Updated) and len(killed) < 2:
            for worker in multiprocessing.active_children():
                killed.append(event.update.number)
                worker.kill()

    alone = meta_train(config(tmp_path / "one", workers=0), "live", MetaSurroundings("", cache_dir=cache))
    around = MetaSurroundings("", kill_workers, cache_dir=cache)
    result = meta_train(config(tmp_path / "two", workers=2), "live", around)
    assert killed
    assert result.validation == alone.validation
    assert {one.id for one in evaluations(tmp_path / "two")} == {one.id for one in evaluations(tmp_path / "one")}


class Deadly(ClosedFormEstimator):
    """Kills the process that asks it, if that is a worker."""

    def evaluate(self, request: EvaluationRequest) -> Outcome:
        if multiprocessing.parent_process() is not None:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().evaluate(request)


def test_workers_that_always_die_end_a_training_with_what_to_do(tmp_path, cache, monkeypatch):
    monkeypatch.setattr(training_module, "open_source", lambda *_, **__: Source(Deadly(), cache_dir=cache))
    with pytest.raises(WorkerDiedError, match=r"died 3 times.*give the same command again, with fewer --workers"):
        meta_train(config(tmp_path, workers=1), "live", MetaSurroundings(""))
    with open_store(tmp_path / "store.sqlite") as store:
        (run,) = store.runs()
        assert run.status is RunStatus.FAILED
    result = meta_train(config(tmp_path, workers=0), "live", MetaSurroundings(""))
    assert result.evaluations == len(evaluations(tmp_path)) > 0


@pytest.mark.slow
def test_a_killed_live_training_loses_no_network_and_ends_as_an_undisturbed_one(tmp_path, cache):
    heard: list[Event] = []
    alone = meta_train(config(tmp_path / "one", workers=2), "live", MetaSurroundings("", heard.append, cache_dir=cache))
    assert sum(isinstance(event, Updated) for event in heard) == alone.updates
    trained = evaluations(tmp_path / "one")
    assert alone.evaluations == len(trained) > 0
    assert {one.run for one in trained} == {alone.run}

    server = multiprocessing.get_context("forkserver")
    process = server.Process(target=train_on_two_workers, args=(tmp_path / "two", cache))
    process.start()
    deadline = time.monotonic() + 120
    while len(evaluations(tmp_path / "two")) < len(trained) // 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.kill()
    process.join()
    kept = {one.id: one.created_at for one in evaluations(tmp_path / "two")}
    assert kept
    assert not (tmp_path / "two" / "out" / "result.json").exists()

    resumed = meta_train(config(tmp_path / "two", workers=2), "live", MetaSurroundings("", cache_dir=cache))
    after = {one.id: one.created_at for one in evaluations(tmp_path / "two")}
    assert after.items() >= kept.items()
    assert after.keys() == {one.id for one in trained}
    assert resumed.validation == alone.validation

    def bits(folder: Path) -> dict[str, Any]:
        return {name: value.tobytes() for name, value in load_file(folder / "out" / "last.safetensors").items()}

    assert bits(tmp_path / "one") == bits(tmp_path / "two")
