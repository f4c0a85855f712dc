"""A tiny experiment on the digits in which an agent learns on a surrogate, done in seconds."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tiny_experiment import write

from nasgym.experiments.meta.config import WorkerSettings
from nasgym.experiments.stages.config import read_experiment
from nasgym.experiments.stages.events import Event
from nasgym.experiments.stages.experiment import Experiment
from nasgym.experiments.stages.home import ExperimentSurroundings
from nasgym.experiments.stages.records import experiment_report
from nasgym.report.experiment_report import ExperimentReport
from nasgym.store import EvaluationQuery, StoredEvaluation, open_store

MODELLED = """
name = "modelled"
title = "A policy from a surrogate"

[defaults.task]
source = "digits"
size = 8
epochs = 1
samples = 30
n_classes = 3

[environment]
max_layers = 3
max_steps = 3
episodes = 2

[agents.rl2]
name = "rl2"
memory = { size = 8 }
rollout = { steps = 4 }

[tasks.parts]
subsets = 2

[tasks.other]
classes = ["7", "8", "9"]
subsets = 1

[stages.walk]
kind = "walk"
tasks = "parts"
steps = 160

[stages.model]
kind = "surrogate"
of = "walk"
tasks = "parts"

[stages.learn]
kind = "train"
agent = "rl2"
surrogate = "model"
tasks = "parts"
steps = 512

[stages.frozen]
kind = "frozen"
policy = "learn"
tasks = "other"
steps = 24

[stages.final]
kind = "final"
best_of = "learn"
tasks = "other"
networks = 1
trainings = 1
profile = "default"
epochs = 1
"""


def quiet(_: Event) -> None:
    """Hear nothing."""


def experiment(folder: Path, text: str = MODELLED, listener: Callable[[Event], None] = quiet) -> Experiment:
    around = ExperimentSurroundings(
        command="nasgym experiment modelled.toml",
        out=folder / "modelled",
        store=str(folder / "store.sqlite"),
        workers=WorkerSettings(workers=0),
        listener=listener,
        cache_dir=folder.parent / "cache",
    )
    return Experiment(read_experiment(write(text, folder / "modelled.toml")), around)


def report_of(done: Experiment) -> ExperimentReport:
    with open_store(done.around.location) as store:
        return experiment_report(done, store)


def trained_by(done: Experiment, stage: str) -> list[StoredEvaluation]:
    """What a stage has trained itself."""
    run = json.loads(done.around.stage(stage).run.read_text())["run"]
    with open_store(done.around.location) as store:
        return list(store.evaluations(EvaluationQuery(run=run)))


def result_of(done: Experiment, stage: str) -> dict[str, Any]:
    return json.loads(done.around.stage(stage).result.read_text())
