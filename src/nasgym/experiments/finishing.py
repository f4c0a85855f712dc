"""The end of a search: choose by validation, test once, write result, weights and report."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from nasgym.architectures import architecture_id, encode, format_architecture, parse_architecture
from nasgym.core.errors import NasgymError
from nasgym.core.files import write_atomically
from nasgym.data import Part
from nasgym.evaluation import Completed, Failed
from nasgym.evaluation.checkpoints import Classifier
from nasgym.experiments.ending import Ending
from nasgym.experiments.final_training import RANDOM
from nasgym.experiments.reporting import search_report
from nasgym.experiments.results import BaselineResult, SearchResult, Tested, unwritable, write_json
from nasgym.experiments.workspace import Workspace
from nasgym.report.html import write
from nasgym.report.search_report import SearchReport
from nasgym.store import Step
from nasgym.tasks import BaselineScore


class NothingTrainedError(NasgymError):
    """No finalist got through its final training."""


@dataclass(frozen=True)
class Finished:
    """What a search gives back to its caller.

    Attributes:
        result: the values of `result.json`.
        report: what `report.html` shows.
        workspace: where everything lies.
    """

    result: SearchResult
    report: SearchReport
    workspace: Workspace


def finish(ending: Ending, linear: BaselineScore) -> Finished:
    """Choose the finalist that is best on validation images, test it once, and write everything down."""
    finalists = [step for step in ending.ranked_finalists() if isinstance(step.outcome, Completed)]
    if not finalists:
        raise NothingTrainedError(
            "None of the finalists got through its final training; `nasgym store ls --failed` says why. "
            "Start anew with stricter limits, such as --max-parameters, or fewer --final-epochs, and another --out: "
            "what the search has evaluated is in the store and costs nothing again."
        )
    chosen = _tested(ending, finalists[0], keep=True)
    random = next((_tested(ending, step) for step in ending.steps(RANDOM) if isinstance(step.outcome, Completed)), None)
    result = _result(ending, chosen, random, linear)
    report = search_report(ending, chosen, random, linear)
    write(report, ending.workspace.report)
    write_json(ending.workspace.result, result.as_json())
    return Finished(result, report, ending.workspace)


def write_interrupted(ending: Ending) -> None:
    """Write the report of a search that was stopped before its end."""
    write(search_report(ending), ending.workspace.report)


def _tested(ending: Ending, step: Step, *, keep: bool = False) -> Tested:
    """Test the weights of `step`, and copy them to `best.pt` if they are to be kept."""
    architecture = parse_architecture(step.architecture)
    path = ending.workspace.trained(architecture_id(architecture, ending.profile.network.leaves))
    classifier = Classifier.load(path)
    if keep:
        _copy(path, ending.workspace.weights)
    task = ending.task
    validation = classifier.metadata.validation.accuracy
    labels = task.labels(Part.TEST)
    if not len(labels):
        return Tested(step, validation, None, ())
    predicted = classifier.probabilities(torch.from_numpy(task.images(Part.TEST))).argmax(dim=1).numpy()
    confusion = np.zeros((task.n_classes, task.n_classes), dtype=np.int64)
    np.add.at(confusion, (labels, predicted), 1)
    counts = tuple(tuple(row) for row in confusion.tolist())
    return Tested(step, validation, float(np.mean(labels == predicted)), counts)


def _copy(path: Path, to: Path) -> None:
    try:
        write_atomically(to, path.read_bytes())
    except OSError as error:
        raise unwritable(to, error) from error


def _result(ending: Ending, chosen: Tested, random: Tested | None, linear: BaselineScore) -> SearchResult:
    steps = list(ending.store.steps(ending.run))
    architecture = parse_architecture(chosen.step.architecture)
    planned = ending.plan(chosen.step.architecture)
    failures: dict[str, int] = {}
    for step in steps:
        if isinstance(step.outcome, Failed):
            failures[step.outcome.kind.value] = failures.get(step.outcome.kind.value, 0) + 1
    baselines = {"linear": BaselineResult(linear.validation, linear.test)}
    if random is not None:
        baselines["random"] = BaselineResult(random.validation_accuracy, random.test_accuracy, random.step.architecture)
    return SearchResult(
        task=ending.task.name,
        architecture=format_architecture(architecture),
        nsc=encode(architecture).tolist(),
        architecture_id=architecture_id(architecture, ending.profile.network.leaves),
        validation_accuracy=chosen.validation_accuracy,
        test_accuracy=chosen.test_accuracy,
        search_validation_accuracy=ending.search_accuracy(chosen.step),
        parameters=planned.parameters,
        flops=planned.flops,
        memory=planned.memory,
        evaluations=len(steps),
        failures=dict(sorted(failures.items())),
        baselines=dict(sorted(baselines.items())),
        seconds=round(ending.seconds, 1),
        seed=ending.config.seed,
        versions=ending.store.run(ending.run).provenance.versions,
        out=str(ending.workspace.folder),
    )
