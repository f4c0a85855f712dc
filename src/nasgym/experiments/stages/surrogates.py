"""Stages in which a surrogate is fitted to what other stages had trained, and trainings on its answers."""

import json
from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from nasgym.architectures import Skeleton
from nasgym.architectures.spaces import BUILT_IN, FixedSpace, SearchSpace
from nasgym.core.errors import ConfigurationError, TableError
from nasgym.evaluation import Completed, Estimator, Outcome
from nasgym.evaluation.surrogates import Fit
from nasgym.evaluation.tables import Table, TableBuilder, TableDescription, TableTask
from nasgym.experiments.meta.config import TaskSettings, TasksSettings
from nasgym.experiments.meta.workspace import MetaWorkspace
from nasgym.experiments.stages.evaluations import Evaluated
from nasgym.experiments.stages.events import StageWent
from nasgym.experiments.stages.experiment import Experiment
from nasgym.experiments.stages.home import ExperimentSurroundings, StageRun, stage_folder
from nasgym.experiments.stages.kinds import TrainStage
from nasgym.store import Store
from nasgym.tasks import ImageTask, Task

_NAME = "networks"
"""Of the table and the surrogate in the folder of a stage, without suffix."""


@dataclass(frozen=True)
class Fitting:
    """What a surrogate is fitted to in a stage.

    Attributes:
        name: of the stage.
        networks: what came of them.
        tasks: that they were trained on.
        space: that they are from.
        estimator: that trained them.
        seed: of folds and trees.
        settings: all that decides what comes out, as JSON values.
    """

    name: str
    networks: tuple[Evaluated, ...]
    tasks: tuple[ImageTask, ...]
    space: SearchSpace
    estimator: Estimator
    seed: int
    settings: dict[str, Any]


@dataclass(frozen=True, slots=True)
class TaskFit:
    """How well a surrogate tells the networks of one task.

    Attributes:
        task: name of the task.
        networks: that it was fitted to.
        failed: further ones, whose training failed.
        fit: what cross-validation found.
    """

    task: str
    networks: int
    failed: int
    fit: Fit


def fit_stage(work: Fitting, store: Store, around: ExperimentSurroundings) -> None:
    """Write what networks came to as a table, fit a surrogate to it, and write `result.json`.

    Raises:
        ConfigurationError: the folder holds a stage with other settings.
        TableError: too few networks were trained on a task, or a file cannot be written; names the stage.
        KeyboardInterrupt: stopped by the user; the same call fits anew, to the same networks.
    """
    workspace = stage_folder(around, work.name)
    with StageRun(store, around.location, workspace, work.settings, work.seed) as run:
        fits = _fitted(work, workspace, around)
        result = {
            "tasks": [asdict(one) for one in fits],
            "networks": sum(one.networks for one in fits),
            "run": run.id,
            "seconds": round(run.seconds, 3),
        }
        run.finish(result)


def _fitted(work: Fitting, workspace: MetaWorkspace, around: ExperimentSurroundings) -> tuple[TaskFit, ...]:
    """Write the table and the surrogate, and return how good it is on each task."""
    from nasgym.evaluation.surrogates.fitting import fit_surrogate

    try:
        table = _write_table(work, workspace.folder / f"{_NAME}.table")
        surrogate = fit_surrogate(
            table, surrogate_in(workspace), seed=work.seed, fitted=lambda tasks: around.tell(StageWent(tasks, 0))
        )
    except TableError as error:
        raise TableError(f"Stage {work.name!r}: {error}") from error
    known = Counter((one.task.name, isinstance(one.outcome, Completed)) for one in work.networks)
    return tuple(
        TaskFit(task.name, known[task.name, True], known[task.name, False], fit)
        for task, fit in zip(surrogate.description.tasks, surrogate.fits, strict=True)
    )


def _write_table(work: Fitting, path: Path) -> Table:
    """Write what networks came to, and return the table."""
    space = work.space
    described = tuple(
        TableTask(task.name, task.fingerprint, task.input_shape, task.n_classes, task.fidelity, (task.evaluation_seed,))
        for task in work.tasks
    )
    builder = TableBuilder(
        TableDescription(
            name=work.name,
            tasks=described,
            profile=work.estimator.profile.name,
            estimator=work.estimator.fingerprint,
            source=f"stages of an experiment, {len(work.networks)} evaluations",
            space=space.name if space.name in BUILT_IN else "",
            skeleton=space.skeleton if isinstance(space, FixedSpace) else Skeleton.LAYERED,
        )
    )
    for one in work.networks:
        builder.add(one.architecture, one.task.fingerprint, one.task.evaluation_seed, _timeless(one.outcome))
    return builder.write(path)


def _timeless(outcome: Outcome) -> Outcome:
    """Return an outcome without how long it took, so that equal accuracies make equal files, and equal noise."""
    return replace(outcome, metrics=replace(outcome.metrics, seconds=0.0))


def surrogate_in(workspace: MetaWorkspace) -> Path:
    """Return the file of the surrogate in the folder of a stage."""
    return workspace.folder / f"{_NAME}.surrogate"


def read_fits(workspace: MetaWorkspace) -> tuple[TaskFit, ...]:
    """Return how good the surrogate of a finished stage is.

    Raises:
        ConfigurationError: its result cannot be read.
    """
    try:
        tasks = json.loads(workspace.result.read_text(encoding="utf-8"))["tasks"]
        return tuple(TaskFit(**{**one, "fit": Fit(**one["fit"])}) for one in tasks)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"{workspace.result} cannot be read ({error}); remove it, and the same command does the stage again."
        ) from error


def answered_tasks(experiment: Experiment, stage: TrainStage, surrogate: str) -> TasksSettings:
    """Return the tasks of a training on a surrogate: those of its images, with their names and limits.

    Args:
        experiment: that the stage is of.
        stage: its settings.
        surrogate: stage that fitted it.
    """
    known = experiment.distinct(experiment.config.stages[surrogate].tasks)
    members = [member for task in stage.tasks for member in experiment.members(task)]
    return TasksSettings(
        surrogate=surrogate_in(experiment.around.stage(surrogate)),
        train=tuple(_under_its_name(task, known[task.fingerprint].name) for task in members),
    )


def _under_its_name(task: Task, known_as: str) -> TaskSettings:
    """Return a task, which a surrogate knows under another name where it knows another one with the same data."""
    budget = task.budget
    limits = {"max_parameters": budget.parameters, "max_flops": budget.flops, "max_memory": budget.memory}
    given = {name: limit for name, limit in limits.items() if limit is not None}
    return TaskSettings.model_validate({"source": known_as, "name": task.name, **given})
