"""Stages in which the best networks of another stage are trained for long, several times, beside networks by hand."""

import json
import shutil
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nasgym.architectures import parse_architecture
from nasgym.core.errors import ConfigurationError, nearest
from nasgym.data import Part
from nasgym.evaluation import Completed
from nasgym.evaluation.recipes import training_profile
from nasgym.executors import InProcessExecutor, Workforce
from nasgym.experiments.final_training import FINALISTS, FinalJob, FinalRound, FinalSettings, train_all
from nasgym.experiments.meta.surroundings import worker_executor
from nasgym.experiments.meta.workspace import MetaWorkspace
from nasgym.experiments.stages.events import StageWent
from nasgym.experiments.stages.home import ExperimentSurroundings, StageRun, stage_folder
from nasgym.experiments.stages.kinds import FinalStage
from nasgym.experiments.workspace import Workspace
from nasgym.networks.plan import plan
from nasgym.networks.profiles import NAMED_ARCHITECTURES
from nasgym.store import Step, Store
from nasgym.tasks import ImageTask


@dataclass(frozen=True, slots=True)
class Contender:
    """A network that is trained for long.

    Attributes:
        label: what tables call it.
        place: 1 for the best network that was found, 2 for the next; 0 for one designed by hand.
        architecture: text of the network.
        profile: name of the profile whose final recipe it is trained by.
        search_accuracy: what the search saw in it; `None` for one designed by hand.
    """

    label: str
    place: int
    architecture: str
    profile: str
    search_accuracy: float | None


@dataclass(frozen=True, slots=True)
class Trainings:
    """What came of the trainings of one network.

    Attributes:
        contender: the network.
        validation: accuracies, one for each training that came to its end.
        test: likewise; none where the task has no test images.
        parameters: trainable ones.
        seconds: of all trainings together.
        failures: what went wrong with the others.
    """

    contender: Contender
    validation: tuple[float, ...]
    test: tuple[float, ...]
    parameters: int
    seconds: float
    failures: tuple[str, ...]


def contenders(best: Sequence[tuple[str, float]], stage: FinalStage) -> tuple[Contender, ...]:
    """Return the networks to train: the best that were found, then those designed by hand.

    Args:
        best: text and accuracy of networks, the best first.
        stage: says by which profile, and which beside them.

    Raises:
        ConfigurationError: a network designed by hand is not known.
    """
    unknown = [name for name in stage.beside if name not in NAMED_ARCHITECTURES]
    if unknown:
        known = ", ".join(NAMED_ARCHITECTURES)
        raise ConfigurationError(
            f"Unknown network {unknown[0]!r} (known: {known}).{nearest(unknown[0], NAMED_ARCHITECTURES)}"
        )
    found = tuple(
        Contender(f"network {place}", place, text, stage.profile, accuracy)
        for place, (text, accuracy) in enumerate(best, start=1)
    )
    return found + tuple(
        Contender(name, 0, str(NAMED_ARCHITECTURES[name].architecture), NAMED_ARCHITECTURES[name].profile.name, None)
        for name in stage.beside
    )


@dataclass(frozen=True)
class Retraining:
    """The final trainings of a stage.

    Attributes:
        name: of the stage.
        stage: its settings.
        task: that networks are trained on.
        contenders: the networks.
        seed: of the stage; its first training has this times the number of trainings, so that no two seeds share one.
        settings: all that decides what comes out, as JSON values.
    """

    name: str
    stage: FinalStage
    task: ImageTask
    contenders: tuple[Contender, ...]
    seed: int
    settings: dict[str, Any]


def retrain(work: Retraining, store: Store, around: ExperimentSurroundings) -> None:
    """Train every network as often as the stage says, each training kept as soon as it is done; write `result.json`.

    Weights are kept until the last training is done, and only where there are test images to score them by.

    Raises:
        ConfigurationError: the folder holds a stage with other settings.
        KeyboardInterrupt: stopped by the user; the same call goes on.
    """
    workspace = stage_folder(around, work.name)
    with StageRun(store, around.location, workspace, work.settings, work.seed) as run:
        jobs = list(_jobs(work, store, run.id, workspace.folder))
        steps: dict[int, Step] = {}
        with Workforce(lambda: _executor(around)) as workforce:
            for step in train_all(jobs, workforce):
                steps[step.number] = step
                run.note_time()
                around.tell(StageWent(len(steps), len(steps)))
        trained = [_trainings(work, place, contender, jobs, steps) for place, contender in enumerate(work.contenders)]
        result = {
            "networks": [asdict(one) for one in trained],
            "run": run.id,
            "seconds": round(run.seconds, 3),
        }
        run.finish(result)
        for final, _ in jobs:
            if final.workspace is not None:
                shutil.rmtree(final.workspace.folder, ignore_errors=True)


def read_trainings(workspace: MetaWorkspace) -> tuple[Trainings, ...]:
    """Return what a finished stage came to.

    Raises:
        ConfigurationError: its result cannot be read.
    """
    try:
        networks = json.loads(workspace.result.read_text(encoding="utf-8"))["networks"]
        return tuple(_read(one) for one in networks)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"{workspace.result} cannot be read ({error}); remove it, and the same command does the stage again."
        ) from error


def _read(fields: dict[str, Any]) -> Trainings:
    lists = {name: tuple(fields[name]) for name in ("validation", "test", "failures")}
    return Trainings(**{**fields, **lists, "contender": Contender(**fields["contender"])})


def _executor(around: ExperimentSurroundings) -> Executor:
    return InProcessExecutor() if around.workers.workers == 0 else worker_executor(around.workers)


def _jobs(work: Retraining, store: Store, run: str, folder: Path) -> list[tuple[FinalRound, FinalJob]]:
    """Return the trainings, numbered by network and then by seed."""
    scored = len(work.task.labels(Part.TEST)) > 0
    first = work.seed * work.stage.trainings
    jobs = []
    for place, contender in enumerate(work.contenders):
        profile = training_profile(contender.profile)
        for number in range(work.stage.trainings):
            settings = FinalSettings(profile, work.stage.epochs or profile.final.epochs, None, "auto", first + number)
            weights = Workspace(folder / f"{profile.name}-{number + 1}") if scored else None
            step = place * work.stage.trainings + number
            job = FinalJob(FINALISTS, step, parse_architecture(contender.architecture))
            jobs.append((FinalRound(settings, work.task, store, run, weights), job))
    return jobs


def _trainings(
    work: Retraining,
    place: int,
    contender: Contender,
    jobs: Sequence[tuple[FinalRound, FinalJob]],
    steps: dict[int, Step],
) -> Trainings:
    """Return what came of one network; this alone looks at test images."""
    numbers = range(place * work.stage.trainings, (place + 1) * work.stage.trainings)
    outcomes = [steps[number].outcome for number in numbers]
    completed = [outcome for outcome in outcomes if isinstance(outcome, Completed)]
    test = []
    for number, outcome in zip(numbers, outcomes, strict=True):
        final, job = jobs[number]
        path = final.weights(job.architecture)
        if path is not None and isinstance(outcome, Completed):
            test.append(_test_accuracy(path, work.task))
    return Trainings(
        contender=contender,
        validation=tuple(outcome.accuracy for outcome in completed),
        test=tuple(test),
        parameters=_parameters(contender, work.task),
        seconds=sum(outcome.metrics.seconds for outcome in completed),
        failures=tuple(outcome.message for outcome in outcomes if not isinstance(outcome, Completed)),
    )


def _parameters(contender: Contender, task: ImageTask) -> int:
    """Return how many parameters a network has, be it trained or not."""
    architecture, profile = parse_architecture(contender.architecture), training_profile(contender.profile).network
    return plan(architecture, task.input_shape, task.n_classes, profile).parameters


def _test_accuracy(weights: Path, task: ImageTask) -> float:
    import torch

    from nasgym.evaluation.checkpoints import Classifier

    predicted = Classifier.load(weights).probabilities(torch.from_numpy(task.images(Part.TEST))).argmax(dim=1).numpy()
    return float((predicted == task.labels(Part.TEST)).mean())
