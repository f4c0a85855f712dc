"""Final trainings that do not come back."""

from dataclasses import replace

import pytest

from nasgym.architectures import parse_architecture
from nasgym.evaluation import Failed, FailureKind
from nasgym.evaluation.recipes import training_profile
from nasgym.executors import InProcessExecutor, Workforce, local_executor, patience
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


def test_a_network_beyond_the_cap_of_its_final_profile_fails_as_too_large_and_is_kept(tmp_path):
    task = make_task("digits", size=8, cache_dir=tmp_path / "cache")
    profile = training_profile("paper-intensive")
    tight = replace(profile, network=replace(profile.network, max_parameters=1_000_000))
    settings = FinalSettings(tight, epochs=1, end=None, device="cpu", seed=0)
    with open_store(tmp_path / "store.sqlite") as store, Workforce(InProcessExecutor) as workforce:
        run = store.start_run("experiment", {}, seed=0).id
        job = FinalJob(FINALISTS, 0, parse_architecture("conv1"))
        (step,) = FinalRound(settings, task, store, run, None).train([job], workforce)
        assert isinstance(step.outcome, Failed)
        assert step.outcome.kind is FailureKind.OUT_OF_MEMORY
        assert "profile 'paper-intensive' builds at most 1,000,000" in step.outcome.message
        assert [kept.outcome for kept in store.steps(run, phase=FINALISTS)] == [step.outcome]
