"""`nasgym meta-train` and `nasgym meta-test` as a person types them."""

import json
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from terminal import Prompt, Shell, survivors

from meta_samples import settings, small_table, toml
from nasgym.store import RunStatus, open_store


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("table") / "small.table"
    small_table(file)
    return file


def write(table: Path, name: str = "quick.toml", **sections: Any) -> None:
    """Write a configuration into the working folder."""
    values = settings(table)
    for section, entries in sections.items():
        values[section] = values[section] | entries
    Path(name).write_text(toml(values))


def test_an_agent_is_trained_and_tested_on_a_table(prompt: Prompt, table: Path):
    write(table)
    said = prompt.run("meta-train", "quick.toml", "--json")
    assert said.code == 0, said.err
    assert "rl2 learns on sea and wood, sky held out; 8 environments, 800 steps." in said.err
    assert re.search(r"0 steps {2}held-out return \d\.\d{3} \*", said.err)
    result = json.loads(said.out)
    assert json.loads(Path("runs/quick/result.json").read_text()) == result
    assert result["steps"] >= 800
    assert set(result["validation"]) == {"sky"}
    for name in ("policy.safetensors", "last.safetensors", "report.html", "run.json"):
        assert Path("runs/quick", name).exists()

    words = ("--tasks", "sky", "--tasks", "sea", "--baseline", "random", "--yoked", "wood", "--meta-episodes", 20)
    tested = prompt.run("meta-test", "runs/quick/policy.safetensors", *words, "--json")
    assert tested.code == 0, tested.err
    assert "yoked to wood" in tested.err
    numbers = json.loads(tested.out)
    assert set(numbers["plays"]) == {"policy", "yoked to wood", "random"}
    for tasks in numbers["plays"].values():
        assert set(tasks) == {"sky", "sea"}
        for task in tasks.values():
            accuracy, best = task["accuracy"], task["best_so_far"]
            assert len(accuracy) == len(best) == 3
            assert all(low <= mean <= high for mean, low, high in accuracy)
            assert [mean for mean, _, _ in best] == sorted(mean for mean, _, _ in best)
            assert accuracy[0] == best[0]
    assert len(numbers["yoked_difference_from_the_third"]) == 3
    assert all(one["test"] == pytest.approx(one["accuracy"] - 0.05) for one in numbers["proposals"])
    page = Path("runs/quick/meta-test/report.html").read_text()
    assert "Yoked control" in page
    with open_store("runs/store.sqlite") as store:
        (run,) = store.runs(command="meta-test")
        assert run.status is RunStatus.FINISHED
        assert run.result == numbers
        assert len(list(store.training_log().meta_episodes(run.id, phase="random"))) == 40


def test_a_greedy_test_repeats_itself_and_another_number_of_episodes_is_played(prompt: Prompt, table: Path):
    write(table, run={"steps": 100})
    assert prompt.run("meta-train", "quick.toml").code == 0
    words = ("meta-test", "runs/quick/policy.safetensors", "--tasks", "sky", "--greedy", "--episodes", 5, "--json")
    first, second = (json.loads(prompt.run(*words, "--meta-episodes", 4, "--out", out).out) for out in ("one", "two"))
    assert first["plays"] == second["plays"]
    assert len(first["plays"]["policy"]["sky"]["reward"]) == 5
    assert first["greedy"]


@pytest.mark.slow
def test_sb3_agents_are_trained_and_tested_by_the_same_commands(prompt: Prompt, table: Path):
    agents = {
        "dqn": {"learning_starts": 100, "hidden": [16], "dueling": 16},
        "masked-ppo": {"steps": 16, "batch_size": 64, "hidden": [16]},
    }
    for name, own in agents.items():
        values = settings(table) | {"agent": {"name": name} | own}
        Path(f"{name}.toml").write_text(toml(values))
        said = prompt.run("meta-train", f"{name}.toml", "--json")
        assert said.code == 0, said.err
        assert json.loads(said.out)["agent"] == name
        words = ("meta-test", f"runs/{name}/policy.safetensors", "--tasks", "sea")
        tested = prompt.run(*words, "--meta-episodes", 5, "--json")
        assert tested.code == 0, tested.err
        assert json.loads(tested.out)["agent"] == name
        yoked = prompt.run(*words, "--yoked", "wood")
        assert yoked.code == 2
        assert "does not observe rewards as a signal" in yoked.err


@pytest.mark.slow
def test_a_live_agent_goes_from_one_set_of_images_to_another(prompt: Prompt, photos: Path):
    values = {
        "agent": {"name": "rl2", "memory": {"kind": "gru", "size": 16}, "rollout": {"steps": 8}},
        "environment": {"max_layers": 2, "episodes": 2, "environments": 2, "describe_task": True},
        "tasks": {
            "train": [{"source": str(photos), "size": 12, "epochs": 1, "max_parameters": [400, 100000]}],
            "validation": [{"source": "digits", "size": 8, "classes": ["0", "1"], "samples": 40, "epochs": 1}],
        },
        "run": {"steps": 30, "evaluate_every": 30, "evaluation_meta_episodes": 1, "workers": 2},
    }
    Path("live.toml").write_text(toml(values))
    said = prompt.run("meta-train", "live.toml", "--json")
    assert said.code == 0, said.err
    assert "photos, parameters 400 and photos, parameters 100000" in said.err
    trained = json.loads(said.out)["evaluations"]
    with open_store("runs/store.sqlite") as store:
        kept = list(store.evaluations())
        assert len(kept) == trained > 0
        assert {one.task for one in kept} <= {"photos, parameters 400", "photos, parameters 100000", "digits"}
    words = ("--tasks", photos, "--size", 12, "--epochs", 1, "--meta-episodes", 1, "--workers", 0)
    tested = prompt.run("meta-test", "runs/live/policy.safetensors", *words, "--json")
    assert tested.code == 0, tested.err
    assert set(json.loads(tested.out)["plays"]["policy"]) == {"photos"}


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_training_keeps_a_checkpoint_and_goes_on(shell: Shell, prompt: Prompt, table: Path, stop):
    write(table, run={"steps": 2000, "evaluate_every": 2000})
    process = shell.start("meta-train", "quick.toml")
    deadline = time.monotonic() + 120
    while not updates() and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(stop)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Stopping after this update" in said
    assert "Stopped; the same command goes on." in said
    assert "Traceback" not in said
    assert survivors(process.pid) == []
    before = updates()
    assert Path("runs/quick/checkpoint.safetensors").exists()
    resumed = prompt.run("meta-train", "quick.toml")
    assert resumed.code == 0, resumed.err
    assert "Going on after" in resumed.err
    assert updates() > before
    again = prompt.run("meta-train", "quick.toml", "--json")
    assert json.loads(again.out)["updates"] == updates()


def updates() -> int:
    """How many updates the store in the working folder holds."""
    if not Path("runs/quick/run.json").exists():
        return 0
    with open_store("runs/store.sqlite") as store:
        return sum(1 for run in store.runs() for _ in store.training_log().updates(run.id))


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("meta-train", "missing.toml"), r"Cannot read configuration file missing\.toml"),
        (("meta-train", "quick.toml", "--agent", "rl3"), r"Unknown agent 'rl3'.*Did you mean 'rl2'\?"),
        (("meta-train", "quick.toml", "--steps", "0"), r"'run\.steps' is 0"),
        (("meta-train", "quick.toml", "--init", "quick.toml"), r"quick\.toml: no policy of nasgym"),
        (("meta-train", "typo.toml"), r"In typo\.toml: unknown key 'environment\.episods'\. Did you mean 'episodes'\?"),
        (("meta-test", "quick.toml", "--tasks", "sky"), r"quick\.toml: no policy of nasgym"),
        (("meta-test", "nothing", "--tasks", "sky"), r"nothing: cannot be read"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(prompt: Prompt, table: Path, words, error):
    write(table)
    write(table, "typo.toml", environment={"episods": 3})
    said = prompt.run(*words)
    assert said.code == 2
    assert re.search(error, said.err)
    assert "Traceback" not in said.err


def test_a_policy_and_its_tasks_must_go_together(prompt: Prompt, table: Path):
    write(table, run={"steps": 50})
    assert prompt.run("meta-train", "quick.toml").code == 0
    policy = "runs/quick/policy.safetensors"
    write(table, "other.toml", environment={"max_layers": 1}, tasks={"test": ["sky"]})
    write(table, "hidden.toml", environment={"signals": ["action", "step"]}, tasks={"test": ["sky"]})
    for words, error in (
        ((), r"Nothing says which tasks to play; name them with --tasks\."),
        (("--tasks", "skies"), r"has no task 'skies' \(tasks: sea, wood, sky\)\. Did you mean 'sky'\?"),
        (("--config", "other.toml"), r"was made for chain of up to 2 layers .* differ in search space"),
        (("--config", "hidden.toml"), r"They differ in signals"),
        (("--tasks", "sky", "--baseline", "evolution"), r"Unknown baseline 'evolution' \(known: random\)"),
    ):
        said = prompt.run("meta-test", policy, *words)
        assert (said.code, bool(re.search(error, said.err))) == (2, True), said.err
