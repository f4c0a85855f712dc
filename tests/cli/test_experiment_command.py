"""`nasgym experiment` as a person types it."""

import json
import re
import signal
import sys
import time
from pathlib import Path

import pytest
from terminal import Prompt, Shell, survivors

from nasgym.store import RunStatus, open_store

sys.path.insert(0, str(Path(__file__).parents[1] / "experiments"))
from tiny_experiment import TINY, write

QUICK = TINY.partition("[stages.frozen]")[0]
"""The stages that need no other kind of stage."""


@pytest.mark.slow
def test_a_whole_experiment_is_done_and_reported(shell: Shell):
    write(TINY, shell.folder / "tiny.toml")
    said = shell.run("experiment", "tiny.toml", "--workers", 2, "--json")
    assert said.code == 0, said.err
    assert "Stage 1 of 7, meta-low: meta-a2c learns on low; 30 steps." in said.err
    assert "Stage 5 of 7, frozen: the policy of meta-high searches on low, its weights frozen; 16 steps." in said.err
    assert "Stage 7 of 7, final: the best of frozen are trained for long; 4 trainings." in said.err
    assert "Report: runs/tiny/report.html" in said.err
    out = shell.folder / "runs" / "tiny"
    numbers = json.loads(said.out)
    assert numbers == json.loads((out / "report.json").read_text())
    assert [stage["name"] for stage in numbers["stages"]] == ["meta-low", "meta-high", "dqn-low", "walk-low", "frozen"]
    assert numbers["scaled"] == ["Everything is tiny."]
    assert len(numbers["hardness"]) == len(numbers["intensive"]) == 2
    page = (out / "report.html").read_text()
    assert "A tiny experiment" in page
    assert {path.name for path in out.iterdir() if path.is_dir()} >= {"meta-low", "final", "figures"}
    for figure in re.findall(r"figures/[\w.-]+\.svg", (out / "report.md").read_text()):
        assert (out / figure).exists()
    again = shell.run("experiment", "tiny.toml", "--workers", 0)
    assert again.code == 0, again.err
    assert again.err.count("known already") == 7
    with open_store(shell.folder / "runs" / "store.sqlite") as store:
        assert len(list(store.runs())) == 7


def test_one_stage_is_done_with_data_and_results_elsewhere(prompt: Prompt, photos: Path):
    text = QUICK.replace('source = "digits"', f'source = "{photos.name}"').replace("size = 8", "size = 12")
    text = text.replace('classes = ["0", "1", "2"]', "").replace('classes = ["7", "8", "9"]', "")
    write(text)
    words = ("--data", photos.parent, "--only", "walk-low", "--out", "elsewhere", "--workers", 0)
    said = prompt.run("experiment", "tiny.toml", *words, "--store", "my.sqlite", "--json")
    assert said.code == 0, said.err
    numbers = json.loads(said.out)
    assert [(task["name"], task["classes"]) for task in numbers["tasks"]] == [("low", 3)]
    assert Path("elsewhere/walk-low/result.json").exists()
    assert Path("my.sqlite").exists()
    assert not Path("runs").exists()


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_experiment_says_so_and_goes_on(shell: Shell, prompt: Prompt, stop):
    write(QUICK.replace("steps = 30", "steps = 400"))
    process = shell.start("experiment", "tiny.toml", "--workers", 0)
    deadline = time.monotonic() + 120
    while updates() < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(stop)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Stopping after this step" in said
    assert "Stopped; the same command goes on." in said
    assert "Traceback" not in said
    assert survivors(process.pid) == []
    before = updates()
    assert Path("runs/tiny/report.html").exists()
    with open_store("runs/store.sqlite") as store:
        assert [run.status for run in store.runs()] == [RunStatus.INTERRUPTED]
    resumed = prompt.run("experiment", "tiny.toml", "--only", "meta-low", "--workers", 0)
    assert resumed.code == 0, resumed.err
    assert updates() == 80 > before


def updates() -> int:
    """How many updates the store in the working folder holds."""
    if not Path("runs/tiny/meta-low/run.json").exists():
        return 0
    with open_store("runs/store.sqlite") as store:
        return sum(1 for run in store.runs() for _ in store.training_log().updates(run.id))


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("missing.toml",), r"Cannot read configuration file missing\.toml"),
        (("tiny.toml", "--only", "walk"), r"There is no stage 'walk' \(stages: .*\)\. Did you mean 'walk-low'\?"),
        (
            ("tiny.toml", "--only", "meta-high"),
            r"builds on stage 'meta-low', which is not finished in runs/tiny/meta-low",
        ),
        (("tiny.toml", "--executor", "clouds"), r"In the options: 'executor' is 'clouds'"),
        (("tiny.toml", "--workers", "-1"), r"In the options: 'workers' is -1"),
        (("typo.toml",), r"In typo\.toml: unknown key 'stages\.walk-low\.stepz'\. Did you mean 'steps'\?"),
        (("photos.toml",), r"Task 'low': No file or folder 'photos'"),
        (("tiny.toml", "--store", "nowhere://x"), r"nowhere"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(prompt: Prompt, words, error):
    write(QUICK)
    write(QUICK.replace("steps = 24", "steps = 24\nstepz = 1"), "typo.toml")
    write(QUICK.replace('source = "digits"', 'source = "photos"'), "photos.toml")
    said = prompt.run("experiment", *words)
    assert said.code == 2
    assert re.search(error, said.err), said.err
    assert "Traceback" not in said.err
