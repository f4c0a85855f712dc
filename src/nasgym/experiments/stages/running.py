"""An experiment from its first stage to its last: what is finished is skipped, what was stopped goes on."""

import json
from collections.abc import Callable, Sequence
from typing import assert_never

from nasgym.architectures import parse_architecture
from nasgym.core.errors import ConfigurationError, PlanError
from nasgym.evaluation.recipes import training_profile
from nasgym.experiments.meta.config import MetaConfig, RunSettings, TasksSettings
from nasgym.experiments.meta.events import Event as MetaEvent
from nasgym.experiments.meta.events import Started, Updated
from nasgym.experiments.meta.stored import StoredAgent
from nasgym.experiments.meta.surroundings import MetaSurroundings
from nasgym.experiments.meta.training import meta_train
from nasgym.experiments.meta.workspace import begun_in
from nasgym.experiments.stages.evaluations import evaluated_networks
from nasgym.experiments.stages.events import StageBegun, StageEnded, StageWent
from nasgym.experiments.stages.experiment import Experiment
from nasgym.experiments.stages.home import refuse_unfinished
from nasgym.experiments.stages.kinds import (
    FinalStage,
    FrozenStage,
    HardnessStage,
    Stage,
    SurrogateStage,
    TrainStage,
    WalkStage,
)
from nasgym.experiments.stages.playing import Play, play_stage
from nasgym.experiments.stages.retraining import Contender, Retraining, contenders, retrain
from nasgym.experiments.stages.surrogates import Fitting, answered_tasks, fit_stage
from nasgym.networks.plan import plan
from nasgym.store import Store, open_store
from nasgym.tasks import ImageTask


def run_experiment(experiment: Experiment, only: Sequence[str] = ()) -> None:
    """Do the stages that are wanted, in their order.

    Args:
        experiment: what is done, and what it happens in.
        only: names of the stages; all if none is named.

    Raises:
        NasgymError: a setting, the data or the store is wrong, a worker died, a folder holds a stage with other
            settings, or a stage builds on one that is not finished.
        KeyboardInterrupt: stopped by the user; the same call goes on.
    """
    with open_store(experiment.around.location) as store:
        for name, stage in experiment.chosen(only).items():
            _do(experiment, name, stage, store)


def _do(experiment: Experiment, name: str, stage: Stage, store: Store) -> None:
    """Do one stage, unless it is finished."""
    around, stages = experiment.around, list(experiment.config.stages)
    workspace = around.stage(name)
    known = workspace.result.exists()
    if not known:
        for source in stage.sources:
            refuse_unfinished(around, name, source)
        total, unit = _amount(experiment, stage)
        around.tell(StageBegun(name, stages.index(name) + 1, len(stages), _in_words(stage), total, unit))
    match stage:
        case TrainStage():
            _train(experiment, name, stage)
        case _ if known:
            begun_in(workspace, experiment.settings_of(name, stage))
        case FinalStage():
            retrain(_retraining(experiment, name, stage, store), store, around)
        case SurrogateStage():
            fit_stage(_fitting(experiment, name, stage, store), store, around)
        case FrozenStage() | WalkStage() | HardnessStage():
            play_stage(_play(experiment, name, stage), experiment.source_of(name), store, around)
        case _:
            assert_never(stage)
    seconds = json.loads(workspace.result.read_text(encoding="utf-8"))["seconds"]
    around.tell(StageEnded(name, known, float(seconds)))


def _train(experiment: Experiment, name: str, stage: TrainStage) -> None:
    """Let an agent learn; nothing happens where it has."""
    around = experiment.around
    agent = experiment.config.agents[stage.agent]
    init = None if stage.init is None else around.stage(stage.init).policy
    config = MetaConfig(
        agent=agent.model_copy(update={"init": init}),
        environment=experiment.config.environment_of(name),
        tasks=TasksSettings(train=tuple(map(experiment.task_settings, stage.tasks)))
        if stage.surrogate is None
        else answered_tasks(experiment, stage, stage.surrogate),
        run=RunSettings(
            steps=stage.steps,
            seed=experiment.seed_of(stage),
            trace=True,
            device=around.device,
            workers=around.workers.workers,
            executor=around.workers.executor,
            ray=around.workers.ray,
            store=around.location,
            out=around.stage(name).folder,
        ),
    )
    going = _Going(around.listener)
    meta_around = MetaSurroundings(
        command=around.command,
        listener=going.hear,
        stopping=around.stopping,
        evaluated=going.trained,
        cache_dir=around.cache_dir,
    )
    meta_train(config, name, meta_around)


def _play(experiment: Experiment, name: str, stage: FrozenStage | WalkStage | HardnessStage) -> Play:
    """Return what is played in a stage."""
    policy = stage.policy if isinstance(stage, FrozenStage) else None
    return Play(
        name=name,
        kind=stage.kind,
        tasks=tuple(map(experiment.members, stage.tasks)),
        environment=experiment.config.environment_of(name),
        steps=stage.steps,
        seed=experiment.seed_of(stage),
        policy=None if policy is None else StoredAgent.read(experiment.around.stage(policy).policy),
        greedy=isinstance(stage, FrozenStage) and stage.greedy,
        settings=experiment.settings_of(name, stage),
    )


def _retraining(experiment: Experiment, name: str, stage: FinalStage, store: Store) -> Retraining:
    """Return which networks a stage trains for long."""
    episodes = experiment.episodes(stage.best_of, store)
    chosen = contenders(experiment.networks(stage.best_of).best(episodes, stage.networks), stage)
    task = experiment.task(stage.tasks[0])
    for one in chosen:
        _refuse_impossible(name, one, task)
    return Retraining(name, stage, task, chosen, experiment.seed_of(stage), experiment.settings_of(name, stage))


def _fitting(experiment: Experiment, name: str, stage: SurrogateStage, store: Store) -> Fitting:
    """Return what the surrogate of a stage is fitted to."""
    tasks = experiment.distinct(stage.tasks)
    return Fitting(
        name=name,
        networks=evaluated_networks(experiment, stage.of, tasks, store),
        tasks=tuple(tasks.values()),
        space=experiment.networks(name).space,
        estimator=experiment.source_of(name).estimator,
        seed=experiment.seed_of(stage),
        settings=experiment.settings_of(name, stage),
    )


def _in_words(stage: Stage) -> str:
    """Return what is done in a stage."""
    on = ", ".join(stage.tasks)
    match stage:
        case TrainStage():
            answering = "" if stage.surrogate is None else f"; {stage.surrogate} answers, no network is trained"
            return f"{stage.agent} learns on {on}{answering}"
        case FrozenStage():
            return f"the policy of {stage.policy} searches on {on}, its weights frozen"
        case WalkStage():
            return f"actions are drawn on {on}"
        case HardnessStage():
            return f"a short walk on each of {on}"
        case FinalStage():
            return f"the best of {stage.best_of} are trained for long"
        case SurrogateStage():
            return f"a surrogate is fitted to the networks of {', '.join(stage.of)} on {on}"
        case _:
            assert_never(stage)


class _Going:
    """Tells of a meta-training as of a stage.

    Args:
        listener: told how far it is.
    """

    def __init__(self, listener: Callable[[StageWent], None]) -> None:
        self._listener = listener
        self._trained = 0

    def trained(self) -> None:
        """Count a network."""
        self._trained += 1

    def hear(self, event: MetaEvent) -> None:
        """Hear what happens in the training."""
        if isinstance(event, Started):
            self._listener(StageWent(event.steps, 0))
        elif isinstance(event, Updated):
            self._listener(StageWent(event.update.steps, self._trained))


def _refuse_impossible(stage: str, contender: Contender, task: ImageTask) -> None:
    """Do nothing, unless a network cannot exist as its profile would build it."""
    profile = training_profile(contender.profile).network
    try:
        plan(parse_architecture(contender.architecture), task.input_shape, task.n_classes, profile)
    except PlanError as error:
        raise ConfigurationError(
            f"Stage {stage!r}: {contender.label} ({contender.architecture}) cannot be built by profile "
            f"{contender.profile!r}: {error} Choose the profile that networks were searched with, or larger images."
        ) from error


def _amount(experiment: Experiment, stage: Stage) -> tuple[int, str]:
    """Return how much there is to do in a stage, and of what."""
    match stage:
        case FinalStage():
            return (stage.networks + len(stage.beside)) * stage.trainings, "trainings"
        case HardnessStage():
            return stage.steps * len(stage.tasks), "steps"
        case SurrogateStage():
            return len(experiment.distinct(stage.tasks)), "tasks"
        case TrainStage() | FrozenStage() | WalkStage():
            return stage.steps, "steps"
        case _:
            assert_never(stage)
