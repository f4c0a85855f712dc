"""A surrogate as a stage: fitted to what walks had trained, learned on, and what was learned tried on real training."""

import json
import multiprocessing
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.numpy import load_file
from tiny_experiment import write
from tiny_surrogate import MODELLED, experiment, report_of, result_of, trained_by

from nasgym.architectures import parse_architecture
from nasgym.core.errors import ConfigurationError
from nasgym.evaluation import EvaluationRequest
from nasgym.evaluation.surrogates import Surrogate, fitting
from nasgym.evaluation.tables import Table
from nasgym.experiments.stages.config import read_experiment
from nasgym.experiments.stages.events import Event, StageBegun, StageEnded, StageWent
from nasgym.experiments.stages.experiment import Experiment
from nasgym.experiments.stages.records import write_report
from nasgym.experiments.stages.running import run_experiment
from nasgym.store import RunStatus, open_store


@pytest.fixture(scope="module", autouse=True)
def small_models() -> Iterator[None]:
    """Fit few trees, which takes less time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitting, "TREES", 40)
        yield


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> tuple[Experiment, list[Event]]:
    """The experiment, undisturbed, and what it told."""
    heard: list[Event] = []
    done = experiment(tmp_path_factory.mktemp("finished"), listener=heard.append)
    done.check()
    run_experiment(done)
    return done, heard


def test_the_table_holds_just_what_the_walk_had_trained(finished):
    done, _ = finished
    table = Table(done.around.stage("model").folder / "networks.table")
    trained = trained_by(done, "walk")
    assert [task.name for task in table.tasks] == ["parts, subset 1", "parts, subset 2"]
    assert int((table.states != 0).sum()) == len(trained)
    for row in trained:
        number = table.task_number(row.key.data)
        place = table.row(parse_architecture(row.architecture))
        assert table.accuracies[number, 0, place] == row.accuracy
        assert str(table.tasks[number].fidelity) == "1 epochs, 8 px, 30 samples"
    assert (table.description.estimator, table.space.name) == (trained[0].key.estimator, "chain")


def test_its_result_tells_how_good_it_is_on_each_task(finished):
    done, _ = finished
    result, trained = result_of(done, "model"), trained_by(done, "walk")
    assert [one["task"] for one in result["tasks"]] == ["parts, subset 1", "parts, subset 2"]
    for one in result["tasks"]:
        assert one["networks"] + one["failed"] == sum(row.task == one["task"] for row in trained)
        assert -1 <= one["fit"]["kendall"] <= 1
        assert -1 <= one["fit"]["spearman"] <= 1
    assert result["networks"] == sum(one["networks"] for one in result["tasks"])
    assert result["seconds"] > 0
    with open_store(done.around.location) as store:
        assert store.run(result["run"]).status is RunStatus.FINISHED


def test_an_agent_learns_from_predictions_and_nothing_is_trained(finished):
    done, _ = finished
    assert trained_by(done, "learn") == []
    surrogate = Surrogate(done.around.stage("model").folder / "networks.surrogate")
    tasks = {task.name: task.task for task in surrogate.description.tasks}
    stage = next(one for one in report_of(done).stages if one.name == "learn")
    assert (stage.steps, stage.networks_trained, stage.surrogate) == (pytest.approx(512, abs=3 * 64), 0, "model")
    with open_store(done.around.location) as store:
        traces = [row.trace for row in store.training_log().updates(result_of(done, "learn")["run"])]
    assert {len(row) for trace in traces for row in trace.actions} == {64}  # environments side by side
    predicted = {
        text: {
            round(surrogate.evaluate(EvaluationRequest.of(parse_architecture(text), task)).accuracy, 7)
            for task in tasks.values()
        }
        for text in {one.networks[-1] for one in stage.episodes if one.networks[-1] is not None}
    }
    assert len(predicted) > 20
    for one in stage.episodes:
        assert one.rewards[-1] in predicted.get(one.networks[-1], {0.0})


def test_what_was_learned_is_tried_on_real_training(finished):
    done, _ = finished
    trained = trained_by(done, "frozen")
    assert trained
    assert {row.task for row in trained} == {"other, subset 1"}
    assert {row.key.estimator for row in trained} == {row.key.estimator for row in trained_by(done, "walk")}


def test_the_policy_is_taken_by_an_experiment_beside_this_one(finished):
    done, _ = finished
    text = MODELLED.replace('name = "modelled"', 'name = "beside"', 1).replace('policy = "', 'policy = "modelled/')
    beside = Experiment(
        read_experiment(write(text, done.around.out.parent / "beside.toml")),
        replace(done.around, out=done.around.out.parent / "beside"),
    )
    run_experiment(beside, ["frozen"])
    mine, theirs = ([one.episodes for one in report_of(each).stages if one.name == "frozen"] for each in (beside, done))
    assert mine == theirs


def test_the_report_tells_predictions_from_accuracies(finished):
    done, _ = finished
    write_report(done)
    page, markdown = ((done.around.out / f"report.{kind}").read_text() for kind in ("html", "md"))
    numbers = json.loads((done.around.out / "report.json").read_text())
    for text in (page, markdown):
        assert "rl2 (predictions of model)" in text
        assert "predictions of the surrogate in brackets: no network was trained there" in text
        assert "parts, predicted by model" in text
        assert "Spearman ρ" in text
    assert "| learn | parts | " in markdown
    assert ", predicted |" in markdown
    assert [(one["task"], one["of"]) for one in numbers["surrogates"]] == [
        ("parts, subset 1", ["walk"]),
        ("parts, subset 2", ["walk"]),
    ]
    assert numbers["surrogates"][0]["spearman"] == result_of(done, "model")["tasks"][0]["fit"]["spearman"]
    stages = {one["name"]: one for one in numbers["stages"]}
    assert (stages["learn"]["surrogate"], stages["walk"]["surrogate"]) == ("model", "")
    assert not [one for one in numbers["findings"] if one["about"] == "against random" and one["where"] == "learn"]


def test_what_was_predicted_is_not_called_an_accuracy_of_the_search_beside_final_trainings(finished):
    done, _ = finished
    (final,) = report_of(done).finals
    assert final.search_accuracy is None
    assert len(final.validation) == 1
    best = max(one.best for one in next(one for one in report_of(done).stages if one.name == "learn").episodes)
    assert result_of(done, "final")["networks"][0]["contender"]["search_accuracy"] == best


def test_listeners_hear_task_by_task(finished):
    _, heard = finished
    begun = next(event for event in heard if isinstance(event, StageBegun) and event.name == "model")
    assert (begun.total, begun.unit) == (2, "tasks")
    assert begun.says == "a surrogate is fitted to the networks of walk on parts"
    start = heard.index(begun)
    assert heard[start + 1 : start + 3] == [StageWent(1, 0), StageWent(2, 0)]
    assert isinstance(heard[start + 3], StageEnded)


def test_a_finished_surrogate_is_skipped_and_refused_with_other_settings(finished):
    done, _ = finished
    heard: list[Event] = []
    run_experiment(experiment(done.around.out.parent, listener=heard.append))
    assert [event.known for event in heard if isinstance(event, StageEnded)] == [True] * 5
    other = experiment(done.around.out.parent, MODELLED.replace('of = "walk"', 'of = "walk"\nseed = 3'))
    with pytest.raises(ConfigurationError, match=r"model holds a run with other settings: seed \(0, now 3\)"):
        run_experiment(other, ["model"])


def test_it_does_not_matter_which_networks_the_store_knew(finished, tmp_path):
    done, _ = finished
    again = Experiment(done.config, replace(done.around, out=tmp_path / "modelled"))
    run_experiment(again, ["walk", "model"])
    assert trained_by(again, "walk") == []
    files = (one.around.stage("model").folder / "networks.surrogate" for one in (done, again))
    assert len({file.read_bytes() for file in files}) == 1
    assert result_of(again, "model")["tasks"] == result_of(done, "model")["tasks"]


def kill(event: Event) -> None:
    """Kill this process between the first task and the second."""
    if event == StageWent(1, 0):
        os.kill(os.getpid(), signal.SIGKILL)


def fit_and_die(folder: Path) -> None:
    """Fit the surrogate in a process that dies of it."""
    run_experiment(experiment(folder, listener=kill), ["model"])


@pytest.mark.slow
def test_a_surrogate_that_was_killed_goes_on_and_is_the_same(finished, tmp_path):
    done, _ = finished
    run_experiment(experiment(tmp_path), ["walk"])
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["nasgym.experiments.stages.running"])
    process = server.Process(target=fit_and_die, args=(tmp_path,))
    process.start()
    process.join()
    folder = tmp_path / "modelled" / "model"
    assert process.exitcode == -signal.SIGKILL
    assert not (folder / "result.json").exists()
    run = json.loads((folder / "run.json").read_text())["run"]
    again = experiment(tmp_path)
    with pytest.raises(ConfigurationError, match=r"Stage 'learn' builds on stage 'model', which is not finished"):
        run_experiment(again, ["learn"])
    run_experiment(again, ["model"])
    assert result_of(again, "model")["run"] == run
    assert (folder / "networks.surrogate").read_bytes() == (
        done.around.stage("model").folder / "networks.surrogate"
    ).read_bytes()
    assert sorted(path.name for path in folder.iterdir()) == [
        *("networks.surrogate", "networks.table", "result.json", "run.json")
    ]


def test_a_surrogate_that_was_interrupted_is_told_so_and_goes_on(finished, tmp_path):
    done, _ = finished
    stopped = Experiment(done.config, replace(done.around, out=tmp_path / "modelled", stopping=lambda: True))
    run_experiment(Experiment(done.config, replace(done.around, out=tmp_path / "modelled")), ["walk"])
    with pytest.raises(KeyboardInterrupt):
        run_experiment(stopped, ["model"])
    run_experiment(Experiment(done.config, replace(stopped.around, stopping=bool)), ["model"])
    assert result_of(stopped, "model")["tasks"] == result_of(done, "model")["tasks"]


def test_learning_that_is_stopped_after_every_update_ends_as_an_undisturbed_one(finished, tmp_path):
    done, _ = finished
    here = replace(done.around, out=tmp_path / "modelled")
    run_experiment(Experiment(done.config, here), ["walk", "model"])
    stops = 0
    while not here.stage("learn").result.exists():
        answers = iter((False,))  # to the beginning of the stage; then whoever asks is told to stop
        stopped = Experiment(done.config, replace(here, stopping=lambda answers=answers: next(answers, True)))
        with pytest.raises(KeyboardInterrupt):
            run_experiment(stopped, ["learn"])
        stops += 1
    assert stops > 2
    mine, theirs = (
        next(one for one in report_of(each).stages if one.name == "learn")
        for each in (Experiment(done.config, here), done)
    )
    assert (mine.episodes, mine.entropies) == (theirs.episodes, theirs.entropies)
    weights = [load_file(each.stage("learn").policy) for each in (here, done.around)]
    assert weights[0].keys() == weights[1].keys()
    assert all((weights[0][name] == weights[1][name]).all() for name in weights[0])


def test_subsets_that_happen_to_be_the_same_are_one_task_of_the_surrogate(tmp_path):
    text = MODELLED.replace("subsets = 2", 'subsets = 4\nclasses = ["0", "1", "2", "3"]').replace(
        "steps = 160", "steps = 480"
    )
    done = experiment(tmp_path, text)
    members = done.members("parts")
    assert len({member.fingerprint for member in members}) < len(members) == 4
    run_experiment(done, ["walk", "model", "learn"])
    fitted = [one["task"] for one in result_of(done, "model")["tasks"]]
    assert fitted == [member.name for member in done.distinct(["parts"]).values()]
    episodes = next(one.episodes for one in report_of(done).stages if one.name == "learn")
    assert any(one.rewards[-1] > 0 for one in episodes)


def test_networks_of_an_agent_that_learned_live_are_fitted_to_and_gone_on_with(tmp_path):
    text = (
        MODELLED.replace("episodes = 2", 'episodes = 1\nreward_timing = "every_step"')
        .replace('[stages.walk]\nkind = "walk"\ntasks', '[stages.walk]\nkind = "train"\nagent = "rl2"\ntasks')
        .replace('surrogate = "model"\n', 'surrogate = "model"\ninit = "walk"\n')
        .replace('tasks = "parts"', 'tasks = ["parts", "other"]')
    )
    done = experiment(tmp_path, text)
    done.check()
    run_experiment(done, ["walk", "model", "learn"])
    trained = trained_by(done, "walk")
    fits = result_of(done, "model")["tasks"]
    assert [one["task"] for one in fits] == ["parts, subset 1", "parts, subset 2", "other, subset 1"]
    assert sum(one["networks"] + one["failed"] for one in fits) == len(trained)
    records = {(one.name, one.task): one for one in report_of(done).stages}
    assert records["learn", "parts"].init == "walk"
    assert records["learn", "other"].networks_trained == 0
