"""From the episodes of stages to what their networks came to: what a surrogate is fitted to."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from nasgym.architectures import Architecture, parse_architecture
from nasgym.envs.config import RewardTiming
from nasgym.evaluation import EvaluationKey, EvaluationRequest, Outcome
from nasgym.experiments.stages.episodes import played_episodes, traced_episodes
from nasgym.experiments.stages.experiment import Experiment
from nasgym.experiments.stages.home import known_run
from nasgym.experiments.stages.kinds import TrainStage
from nasgym.report.experiment_report import EpisodeRecord
from nasgym.store import EvaluationQuery, Store
from nasgym.tasks import ImageTask


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A network, and what came of it.

    Attributes:
        architecture: the network.
        task: that it was trained on.
        outcome: of its training.
    """

    architecture: Architecture
    task: ImageTask
    outcome: Outcome


def evaluated_networks(
    experiment: Experiment, stages: Iterable[str], tasks: Mapping[str, ImageTask], store: Store
) -> tuple[Evaluated, ...]:
    """Return the networks that stages had evaluated, failures included, each once on each task.

    Those that the store knew when a stage asked for them are among them, so that it does not matter what else the store
    is used for.

    Args:
        experiment: that the stages are of.
        stages: names of stages that have begun.
        tasks: by fingerprint of their data; what was evaluated on others is left out.
        store: that holds the stages.
    """
    found: dict[EvaluationKey, Evaluated] = {}
    for name in stages:
        estimator = experiment.source_of(name).estimator
        pairs = dict.fromkeys((*_asked(experiment, name, store), *_evaluated(experiment, name, store)))
        known = ((parse_architecture(text), tasks[data]) for text, data in pairs if data in tasks)
        requests = (EvaluationRequest.of(architecture, task) for architecture, task in known)
        asked = {request.key(estimator): request for request in requests}
        for key, outcome in store.get_many(tuple(asked)).items():
            found[key] = Evaluated(asked[key].architecture, tasks[key.data], outcome)
    return tuple(found.values())


def _evaluated(experiment: Experiment, name: str, store: Store) -> Iterator[tuple[str, str]]:
    """Yield text and data of the networks that a stage has trained itself, also in episodes that did not end."""
    reference = known_run(experiment.around.stage(name))
    if reference is not None:
        for row in store.evaluations(EvaluationQuery(run=reference.run)):
            yield row.architecture, row.key.data


def _asked(experiment: Experiment, name: str, store: Store) -> Iterator[tuple[str, str]]:
    """Yield text and data of the networks whose accuracy a stage wanted to know, in episodes that ended."""
    timing = experiment.config.environment_of(name).reward_timing
    names = {
        member.name: member.fingerprint
        for task in experiment.config.stages[name].tasks
        for member in experiment.members(task)
    }
    for task, episode in _played(experiment, name, tuple(names), store):
        wanted = episode.networks if timing is RewardTiming.EVERY_STEP else episode.networks[-1:]
        for text in wanted:
            if text is not None:
                yield text, names[task]


def _played(
    experiment: Experiment, name: str, tasks: tuple[str, ...], store: Store
) -> Iterator[tuple[str, EpisodeRecord]]:
    """Yield the episodes of a stage, each with the name of its task: of one of the subsets, where there are some."""
    reference = known_run(experiment.around.stage(name))
    if reference is None:
        return
    stage, log, networks = experiment.config.stages[name], store.training_log(), experiment.networks(name)
    if isinstance(stage, TrainStage):
        traces = (row.trace for row in log.updates(reference.run) if row.trace is not None)
        for episode in traced_episodes(traces, [(task, task) for task in tasks], networks):
            yield episode.task or tasks[0], episode
        return
    for row in log.meta_episodes(reference.run, phase=stage.kind):
        for episode in played_episodes((row,), networks):
            yield row.task, episode
