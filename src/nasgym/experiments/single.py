"""One network on one data set, trained as often as asked for."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from nasgym.architectures import Architecture, parse_architecture
from nasgym.core.errors import ArchitectureError, ConfigurationError
from nasgym.evaluation import Estimator, EvaluationRequest, Outcome
from nasgym.evaluation.feasibility import Feasibility
from nasgym.evaluation.recipes import Profile, training_profile
from nasgym.evaluation.training import TrainingEstimator
from nasgym.executors import Evaluations, Workforce, local_executor
from nasgym.networks.profiles import NAMED_ARCHITECTURES
from nasgym.store import Store, StoredEvaluation
from nasgym.tasks import ImageTask

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class NetworkToEvaluate:
    """A network and how it is built and trained.

    Attributes:
        architecture: what is trained.
        profile: how.
    """

    architecture: Architecture
    profile: Profile


def network_to_evaluate(text: str, profile: str | None) -> NetworkToEvaluate:
    """Return the network that a user names by its text, or by a name such as `vgg19-like`.

    Raises:
        ConfigurationError: an unknown profile, or one that a named network does not have.
        ArchitectureError: the text describes no network.
    """
    named = NAMED_ARCHITECTURES.get(text)
    if named is None:
        return NetworkToEvaluate(parse_architecture(text), training_profile(profile or "default"))
    if profile not in (None, named.profile.name):
        raise ConfigurationError(f"{text!r} comes with its own profile {named.profile.name!r}; leave --profile out.")
    return NetworkToEvaluate(named.architecture, training_profile(named.profile.name))


def evaluate_repeatedly(
    network: NetworkToEvaluate,
    task: ImageTask,
    store: Store,
    repeats: int,
    *,
    workers: int,
    estimator: Estimator | None = None,
    listener: Callable[[int, Outcome], None] = lambda _repeat, _outcome: None,
) -> list[StoredEvaluation]:
    """Train `network` on `task` with as many seeds as `repeats`; what `store` holds is not trained again.

    Args:
        network: what is trained, and how.
        task: on what; its fidelity and evaluation seed apply.
        store: keeps each outcome as soon as it is known.
        repeats: number of trainings.
        workers: processes; 0 for the calling one, which also makes a single training.
        estimator: evaluates; the one that trains, on the best device, unless given.
        listener: told the number of a repeat, from 0, and its outcome.

    Returns:
        What the store holds of each, in order of the seeds.

    Raises:
        ArchitectureError: the network cannot exist on these images, or is too large to be built.
    """
    estimator = estimator or TrainingEstimator(network.profile, threads=1)
    problem = Feasibility(task, estimator.profile).problem(network.architecture)
    if problem is not None:
        raise ArchitectureError(f"{network.architecture} cannot be trained on {task.name}. {problem.message}")
    rows: dict[int, StoredEvaluation] = {}

    def keep(repeat: int, request: EvaluationRequest, outcome: Outcome) -> None:
        key = request.key(estimator)
        store.put(request, key, outcome)
        _log.info("Training %d of %d ended: %s", repeat + 1, repeats, type(outcome).__name__.lower())
        rows[repeat] = StoredEvaluation.of(request, key, outcome)
        listener(repeat, outcome)

    with Workforce(lambda: local_executor(min(workers, repeats) if repeats > 1 else 0)) as workforce:
        evaluations = Evaluations(estimator, workforce)
        for repeat in range(repeats):
            request = EvaluationRequest.of(network.architecture, task, repeat=repeat)
            known = store.get(request.key(estimator))
            if known is not None:
                keep(repeat, request, known)
                continue
            evaluations.start(repeat, request)
            for finished in evaluations.finished(timeout=0):
                keep(*finished)
        while len(evaluations):
            for finished in evaluations.finished():
                keep(*finished)
    return [rows[repeat] for repeat in sorted(rows)]
