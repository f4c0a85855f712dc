"""The stages of an experiment: what each leaves behind, and that stopping and going on changes nothing."""

import json
import multiprocessing
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.numpy import load_file
from tiny_experiment import TINY, write

from nasgym.architectures import parse_architecture
from nasgym.core.errors import ConfigurationError, DataError
from nasgym.evaluation import Completed
from nasgym.evaluation.recipes import PROFILES, training_profile
from nasgym.experiments.meta.config import WorkerSettings
from nasgym.experiments.stages.config import read_experiment
from nasgym.experiments.stages.events import Event, StageBegun, StageEnded, StageWent
from nasgym.experiments.stages.experiment import Experiment
from nasgym.experiments.stages.home import ExperimentSurroundings
from nasgym.experiments.stages.records import experiment_report, write_report
from nasgym.experiments.stages.running import run_experiment
from nasgym.networks.plan import plan
from nasgym.report.experiment_report import ExperimentReport, StageKind
from nasgym.store import EvaluationQuery, RunStatus, Store, open_store

TRAINS = ("meta-low", "meta-high", "dqn-low")


def quiet(_: Event) -> None:
    """Hear nothing."""


def experiment(
    folder: Path, text: str = TINY, listener: Callable[[Event], None] = quiet, stopping: Callable[[], bool] = bool
) -> Experiment:
    around = ExperimentSurroundings(
        command="nasgym experiment tiny.toml",
        out=folder / "tiny",
        store=str(folder / "store.sqlite"),
        workers=WorkerSettings(workers=0),
        listener=listener,
        stopping=stopping,
        cache_dir=folder.parent / "cache",
    )
    return Experiment(read_experiment(write(text, folder / "tiny.toml")), around)


def report_of(done: Experiment) -> ExperimentReport:
    with open_store(done.around.location) as store:
        return experiment_report(done, store)


def outcome(done: Experiment) -> dict[str, object]:
    """What an experiment came to, without what differs from one time to the next."""
    report = report_of(done)
    weights = {
        name: {key: value.tobytes() for key, value in load_file(done.around.stage(name).policy).items()}
        for name in TRAINS
    }
    return {
        "weights": weights,
        "episodes": {stage.name: stage.episodes for stage in report.stages},
        "entropies": {stage.name: stage.entropies for stage in report.stages},
        "finals": [(one.label, one.architecture, one.validation, one.test) for one in report.finals],
        "hardness": [(one.task, one.accuracies) for one in report.hardness],
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Experiment, list[Event]]:
    """The tiny experiment, undisturbed, and what it told."""
    heard: list[Event] = []
    done = experiment(tmp_path_factory.mktemp("finished"), listener=heard.append)
    done.check()
    run_experiment(done)
    return done, heard


def test_every_stage_is_a_run_of_the_store_with_a_folder_of_its_own(finished):
    done, _ = finished
    with open_store(done.around.location) as store:
        runs = {run.id: run for run in store.runs()}
    named = {name: json.loads(done.around.stage(name).run.read_text())["run"] for name in done.config.stages}
    assert set(named.values()) == set(runs)
    assert {run.status for run in runs.values()} == {RunStatus.FINISHED}
    assert [runs[named[name]].command for name in ("meta-low", "walk-low", "final")] == [
        "meta-train",
        "experiment",
        "experiment",
    ]


def test_the_steps_of_every_stage_are_told_one_by_one(finished):
    report = report_of(finished[0])
    stages = {stage.name: stage for stage in report.stages}
    assert list(stages) == [*TRAINS, "walk-low", "frozen"]
    assert [stage.kind for stage in stages.values()] == [StageKind.TRAIN] * 3 + [StageKind.WALK, StageKind.FROZEN]
    for name, steps in (("meta-low", 30), ("meta-high", 20), ("dqn-low", 25), ("walk-low", 24), ("frozen", 16)):
        stage = stages[name]
        assert steps - 3 * 4 <= stage.steps <= steps + 5, name
        assert stage.actions[-1] == "terminal"
        for episode in stage.episodes:
            assert 1 <= episode.length <= 3
            assert len(episode.rewards) == len(episode.networks) == episode.length
            assert all(
                text is not None or reward == 0 for text, reward in zip(episode.networks, episode.rewards, strict=True)
            )
    assert stages["meta-high"].init == "meta-low"
    assert stages["frozen"].init == "meta-high"
    assert len(stages["meta-low"].entropies) == 6
    assert stages["dqn-low"].entropies == ()


def test_rewards_are_the_accuracies_that_the_store_holds(finished):
    done, _ = finished
    report = report_of(done)
    with open_store(done.around.location) as store:
        kept = {
            (one.task, one.architecture): one.outcome.accuracy
            for one in store.evaluations(EvaluationQuery(failed=False))
            if not one.key.estimator.startswith("final")
        }
    compared = 0
    for stage in report.stages:
        for episode in stage.episodes:
            for text, reward in zip(episode.networks, episode.rewards, strict=True):
                if (stage.task, text) in kept:
                    assert reward == pytest.approx(kept[stage.task, text], abs=1e-6)
                    compared += 1
    assert compared > 50


def test_no_network_is_trained_twice(finished):
    done, _ = finished
    with open_store(done.around.location) as store:
        trained = Counter(
            (one.key.architecture_id, one.key.data, one.key.seed, one.key.epochs, one.key.estimator)
            for one in store.evaluations()
        )
    assert set(trained.values()) == {1}
    stages = report_of(done).stages
    assert sum(stage.networks_trained for stage in stages) < sum(trained.values())
    for stage in stages:
        seen = {text for episode in stage.episodes for text in episode.networks if text is not None}
        assert max(len(seen), stage.networks_trained) <= stage.networks_evaluated, (
            stage.name
        )  # also of an episode cut off
    assert any(stage.networks_trained < stage.networks_evaluated for stage in stages)


def test_the_best_networks_are_trained_as_often_as_asked(finished):
    done, _ = finished
    report = report_of(done)
    frozen = next(stage for stage in report.stages if stage.name == "frozen")
    best = max(episode.best for episode in frozen.episodes)
    assert [(one.label, one.place, len(one.validation), len(one.test)) for one in report.finals] == [
        ("network 1", 1, 2, 2),
        ("network 2", 2, 2, 2),
    ]
    assert report.finals[0].search_accuracy == best
    assert report.finals[0].architecture != report.finals[1].architecture
    assert all(0 <= value <= 1 for one in report.finals for value in (*one.validation, *one.test))
    assert list(done.around.stage("final").folder.glob("paper-*")) == []  # weights are not kept


def test_hardness_is_told_task_by_task(finished):
    report = report_of(finished[0])
    assert [one.task for one in report.hardness] == ["low", "high"]
    assert all(1 <= len(one.accuracies) <= 8 for one in report.hardness)
    assert all(one.seconds > 0 for one in report.hardness)  # also of networks that earlier stages had trained
    tasks = {task.name: task for task in report.tasks}
    assert (tasks["low"].stands_for, tasks["low"].classes, tasks["low"].input_shape) == ("omniglot", 3, (8, 8, 1))


def test_listeners_hear_of_stages_steps_and_networks(finished):
    done, heard = finished
    begun = [event for event in heard if isinstance(event, StageBegun)]
    assert [event.name for event in begun] == list(done.config.stages)
    assert [(event.number, event.stages) for event in begun] == [(number, 7) for number in range(1, 8)]
    assert [(event.total, event.unit) for event in begun][-2:] == [(16, "steps"), (4, "trainings")]
    ended = [event for event in heard if isinstance(event, StageEnded)]
    assert [event.known for event in ended] == [False] * 7
    first = heard[: heard.index(ended[0])]
    assert [event.behind for event in first if isinstance(event, StageWent)] == [0, 5, 10, 15, 20, 25, 30]
    assert first[-2].trained > 0


def test_finished_stages_are_skipped(finished):
    done, _ = finished
    heard: list[Event] = []
    again = experiment(done.around.out.parent, listener=heard.append)
    before = outcome(done)
    run_experiment(again)
    assert [event.known for event in heard if isinstance(event, StageEnded)] == [True] * 7
    assert not any(isinstance(event, StageWent) for event in heard)
    assert outcome(again) == before


def test_one_stage_is_done_alone_and_not_before_what_it_builds_on(tmp_path):
    done = experiment(tmp_path)
    run_experiment(done, ["walk-low"])
    assert [stage.name for stage in report_of(done).stages] == ["walk-low"]
    for stage, source in (("meta-high", "meta-low"), ("frozen", "meta-high"), ("final", "frozen")):
        with pytest.raises(ConfigurationError, match=rf"Stage '{stage}' builds on stage '{source}'.*run it"):
            run_experiment(done, [stage])


@pytest.mark.parametrize("stage", ["walk-low", "meta-low"])
def test_a_stage_that_was_killed_as_it_ended_is_finished(tmp_path, monkeypatch, stage):
    def cut(*_: object) -> None:
        raise SystemExit("power cut")

    done = experiment(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Store, "finish_run", cut)
        with pytest.raises(SystemExit):
            run_experiment(done, [stage])
    heard: list[Event] = []
    run_experiment(experiment(tmp_path, listener=heard.append), [stage])
    assert [event.known for event in heard if isinstance(event, StageEnded)] == [True]


def test_a_policy_of_an_experiment_beside_this_one_is_found(finished, tmp_path):
    text = TINY.replace('policy = "meta-high"', 'policy = "tiny/meta-high"').replace('name = "tiny"', 'name = "next"')
    done, _ = finished
    beside = experiment(tmp_path, text)
    with pytest.raises(ConfigurationError, match=r"run experiment 'tiny' first, with --out .*tiny"):
        run_experiment(beside, ["frozen"])
    around = ExperimentSurroundings(
        "again",
        done.around.out.parent / "next",
        str(tmp_path / "store.sqlite"),
        WorkerSettings(workers=0),
        cache_dir=done.around.cache_dir,
    )
    near = Experiment(read_experiment(write(text, tmp_path / "next.toml")), around)
    run_experiment(near, ["frozen"])
    (mine,), (theirs,) = (
        [stage.episodes for stage in report_of(one).stages if stage.name == "frozen"] for one in (near, done)
    )
    assert mine == theirs


def test_a_stage_with_other_settings_is_refused(tmp_path):
    run_experiment(experiment(tmp_path), ["walk-low"])
    changed = experiment(tmp_path, TINY.replace("steps = 24", "steps = 28"))
    changed.around.stage("walk-low").result.unlink()
    with pytest.raises(ConfigurationError, match=r"holds a run with other settings: steps \(24, now 28\)"):
        run_experiment(changed, ["walk-low"])


@pytest.mark.parametrize(
    ("before", "after", "error"),
    [
        ('name = "dqn"', 'name = "dqm"', r"Stage 'dqn-low': Unknown agent 'dqm'.*Did you mean 'dqn'\?"),
        ("learning_starts = 10", "learning_start = 10", r"Stage 'dqn-low': Unknown setting 'learning_start'"),
        (
            'profile = "paper"\nepochs',
            'profile = "papper"\nepochs',
            r"Stage 'final': Unknown training profile 'papper'",
        ),
        ('best_of = "frozen"', 'best_of = "frozen"\nbeside = ["vgg16"]', r"Stage 'final': Unknown network 'vgg16'"),
        ('profile = "paper"\nreward', 'profile = "papr"\nreward', r"Stage 'meta-low': Unknown training profile 'papr'"),
        ("signals = []", "signal = []", r"Stage 'dqn-low': In stages\.dqn-low\.environment: unknown key 'signal'"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is(tmp_path, before, after, error):
    assert before in TINY
    with pytest.raises(ConfigurationError, match=error):
        experiment(tmp_path, TINY.replace(before, after)).check()
    assert not (tmp_path / "store.sqlite").exists()


def test_data_that_are_missing_name_the_task(tmp_path):
    text = TINY.replace('classes = ["7", "8", "9"]', 'source = "photos"')
    with pytest.raises(DataError, match="Task 'high': No file or folder 'photos'"):
        experiment(tmp_path, text).check()
    experiment(tmp_path, text).check(["walk-low"])  # which needs other data
    with pytest.raises(ConfigurationError, match=r"There is no stage 'walk-lo' .*Did you mean 'walk-low'\?"):
        experiment(tmp_path, text).check(["walk-lo"])


def test_a_network_that_the_final_profile_cannot_build_is_refused(tmp_path):
    text = (
        TINY.replace('profile = "paper"\nreward', 'profile = "default"\nreward')
        .replace("max_layers = 3\nmax_steps = 3", "max_layers = 6\nmax_steps = 6")
        .replace('best_of = "frozen"', 'best_of = "walk-low"')
        .replace("networks = 2", "networks = 40")
        .replace("steps = 24", "steps = 120")
    )
    done = experiment(tmp_path, text)
    run_experiment(done, ["walk-low"])
    with pytest.raises(
        ConfigurationError, match=r"Stage 'final': network \d+ \(.*\) cannot be built by profile 'paper'"
    ):
        run_experiment(done, ["final"])


def test_a_network_that_is_too_large_for_its_final_profile_is_reported_and_stops_nothing(tmp_path, monkeypatch):
    """The dense heads of `paper-intensive` are four times as wide: what a search has trained may be beyond its cap."""
    intensive = training_profile("paper-intensive")
    tight = replace(intensive, network=replace(intensive.network, max_parameters=1_000_000))
    monkeypatch.setattr("nasgym.evaluation.recipes.PROFILES", PROFILES | {"paper-intensive": tight})
    text = TINY.replace('best_of = "frozen"', 'best_of = "walk-low"').replace(
        'profile = "paper"\nepochs', 'profile = "paper-intensive"\nepochs'
    )
    done = experiment(tmp_path, text)
    run_experiment(done, ["walk-low"])
    run_experiment(done, ["final"])
    finals = report_of(done).finals
    too_large = [one for one in finals if one.failures]
    assert too_large
    for one in too_large:
        assert one.parameters > 1_000_000
        assert (one.validation, len(one.failures)) == ((), 2)
        assert f"{one.parameters:,} parameters; profile 'paper-intensive' builds at most 1,000,000" in one.failures[0]
    write_report(done)
    assert "2 trainings failed: " in (done.around.out / "report.md").read_text()


def test_networks_beyond_the_cap_earn_nothing_and_are_not_trained(tmp_path, monkeypatch):
    paper = training_profile("paper")
    tight = replace(paper, network=replace(paper.network, max_parameters=1_000_000))
    monkeypatch.setattr("nasgym.evaluation.recipes.PROFILES", PROFILES | {"paper": tight})
    done = experiment(tmp_path)
    run_experiment(done, ["walk-low"])
    (walk,) = report_of(done).stages
    rewards: dict[bool, list[float]] = {True: [], False: []}
    for episode in walk.episodes:
        for text, reward in zip(episode.networks, episode.rewards, strict=True):
            if text is not None:
                planned = plan(parse_architecture(text), (8, 8, 1), 3, tight.network)
                rewards[planned.exceeds_cap].append(reward)
    assert set(rewards[True]) == {0.0}
    assert max(rewards[False]) > 0
    with open_store(done.around.location) as store:
        assert all(isinstance(one.outcome, Completed) for one in store.evaluations())


def test_the_log_tells_of_every_network_that_is_trained(tmp_path, caplog):
    done = experiment(tmp_path)
    with caplog.at_level("INFO", logger="nasgym"):
        run_experiment(done, ["walk-low"])
    told = [one.getMessage() for one in caplog.records if one.getMessage().startswith("Trained ")]
    with open_store(done.around.location) as store:
        kept = {f"on {one.task}: accuracy {one.outcome.accuracy:.4f}" for one in store.evaluations()}
    assert {line[line.index("on low") :].partition(" in ")[0] for line in told} == kept
    assert len(told) == len(set(told)) == report_of(done).stages[0].networks_trained


def test_several_tasks_are_reported_task_by_task(tmp_path):
    text = TINY.replace('tasks = "low"\nsteps = 30', 'tasks = ["low", "high", "parts"]\nsteps = 60').replace(
        "[tasks.high]", "[tasks.parts]\nsubsets = 2\nn_classes = 4\n\n[tasks.high]"
    )
    done = experiment(tmp_path, text)
    run_experiment(done, ["meta-low"])
    stages = report_of(done).stages
    assert [stage.task for stage in stages] == ["low", "high", "parts"]
    assert all(stage.episodes for stage in stages)
    assert sum(stage.steps for stage in stages) >= 57
    with open_store(done.around.location) as store:
        trained = list(store.evaluations())
    assert {one.task for one in trained} == {"low", "high", "parts, subset 1", "parts, subset 2"}
    assert sum(stage.networks_trained for stage in stages) == len(trained)
    result = json.loads(done.around.stage("meta-low").result.read_text())
    assert sum(stage.seconds for stage in stages) == pytest.approx(result["seconds"])


@pytest.mark.slow
def test_networks_are_trained_on_ray_with_the_same_results(finished, tmp_path):
    here, _ = finished
    config, around = here.config, here.around
    workers = WorkerSettings(workers=1, executor="ray")
    there = Experiment(
        config,
        replace(around, out=tmp_path / "tiny", store=str(tmp_path / "store.sqlite"), workers=workers),
    )
    run_experiment(there, ["walk-low", "meta-low"])
    mine, theirs = ({stage.name: stage.episodes for stage in report_of(one).stages} for one in (there, here))
    assert mine == {name: theirs[name] for name in ("meta-low", "walk-low")}


class Impatient:
    """Stops an experiment after so many answers."""

    def __init__(self, answers: int) -> None:
        self.left = answers

    def __call__(self) -> bool:
        self.left -= 1
        return self.left < 0


def test_an_experiment_that_is_stopped_again_and_again_ends_as_an_undisturbed_one(finished, tmp_path):
    stops = 0
    while True:
        try:
            run_experiment(experiment(tmp_path, stopping=Impatient(2 + 12 * stops)))
            break
        except KeyboardInterrupt:
            stops += 1
    assert stops > 2
    assert outcome(experiment(tmp_path)) == outcome(finished[0])


def run_in(folder: Path) -> None:
    """Do the experiment in a process that may be killed."""
    run_experiment(experiment(folder))


def evaluations(store: Store) -> dict[str, str]:
    return {one.id: str(one.created_at) for one in store.evaluations()}


@pytest.mark.slow
def test_an_experiment_that_is_killed_loses_nothing_and_ends_as_an_undisturbed_one(finished, tmp_path):
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["nasgym.experiments.stages.running", "nasgym.agents.bridges.sb3"])
    kept: dict[str, str] = {}
    kills = 0
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        process = server.Process(target=run_in, args=(tmp_path,))
        process.start()
        process.join(timeout=1.0 + kills * 0.7)
        if process.exitcode is not None:
            break
        process.kill()
        process.join()
        kills += 1
        if (tmp_path / "store.sqlite").exists():
            with open_store(tmp_path / "store.sqlite") as store:
                now = evaluations(store)
            assert now.items() >= kept.items()
            kept = now
    assert process.exitcode == 0
    assert kills > 2
    assert outcome(experiment(tmp_path)) == outcome(finished[0])
