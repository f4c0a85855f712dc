"""Final trainings that do not come back."""

import pytest

from nasgym.architectures import parse_architecture
from nasgym.evaluation import Failed, FailureKind
from nasgym.evaluation.recipes import training_profile
from nasgym.executors import Workforce, local_executor, patience
from nasgym.experiments import final_training
from nasgym.experiments.final_training import FINALISTS, FinalJob, FinalRound, FinalSettings
from nasgym.store import open_store
from nasgym.tasks import make_task


@pytest.mark.slow
def test_a_final_training_far_beyond_its_predicted_time_fails_as_a_hang_and_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(patience, "LEAST_SECONDS", 0.3)
    monkeypatch.setattr(final_training, "TRAINING_FLOPS", 1e18)
    task = make_task("digits", size=16, cache_dir=tmp_path / "cache")
    settings = FinalSettings(training_profile("default"), epochs=10_000, end=None, device="cpu", seed=0)
    with open_store(tmp_path / "store.sqlite") as store, Workforce(lambda: local_executor(1)) as workforce:
        run = store.start_run("search", {}, seed=0).id
        (step,) = FinalRound(settings, task, store, run, None).train(
            [FinalJob(FINALISTS, 0, parse_architecture("conv3"))], workforce
        )
        assert isinstance(step.outcome, Failed)
        assert step.outcome.kind is FailureKind.TIMED_OUT
        assert [kept.outcome for kept in store.steps(run, phase=FINALISTS)] == [step.outcome]
