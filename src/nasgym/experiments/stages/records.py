"""From the folders and rows of an experiment to its report, as far as its stages have come."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import assert_never

from nasgym.architectures.actions import ShiftPointer
from nasgym.data import Part
from nasgym.evaluation.recipes import training_profile
from nasgym.experiments.config import flat
from nasgym.experiments.meta.environments import action_labels
from nasgym.experiments.stages.evaluations import evaluated_networks
from nasgym.experiments.stages.experiment import Experiment
from nasgym.experiments.stages.home import known_run
from nasgym.experiments.stages.kinds import (
    FinalStage,
    FrozenStage,
    HardnessStage,
    Stage,
    SurrogateStage,
    TrainStage,
    WalkStage,
)
from nasgym.experiments.stages.retraining import read_trainings
from nasgym.experiments.stages.surrogates import read_fits
from nasgym.report.experiment_report import (
    ExperimentFacts,
    ExperimentReport,
    FinalRecord,
    HardnessRecord,
    StageKind,
    StageRecord,
    SurrogateRecord,
    TaskRecord,
)
from nasgym.report.experiment_writing import write_experiment
from nasgym.store import EvaluationQuery, Run, Store, open_store, without_password
from nasgym.tasks import ImageTask

_LABELS = {"frozen": "frozen policy", "walk": "uniform walk"}
"""What figures call those that do not learn, unless told otherwise."""


def write_report(experiment: Experiment) -> None:
    """Write the report of an experiment into its folder, beside those of its stages.

    Raises:
        ReportError: a file cannot be written.
        NasgymError: a folder of a stage is damaged, or the store cannot be read.
    """
    with open_store(experiment.around.location) as store:
        write_experiment(experiment_report(experiment, store), experiment.around.out)


def experiment_report(experiment: Experiment, store: Store) -> ExperimentReport:
    """Return the report of an experiment, from the rows of its stages alone."""
    config = experiment.config
    begun = {
        name: stage for name, stage in config.stages.items() if known_run(experiment.around.stage(name)) is not None
    }
    stages: list[StageRecord] = []
    finals: list[FinalRecord] = []
    hardness: list[HardnessRecord] = []
    surrogates: list[SurrogateRecord] = []
    for name, stage in begun.items():
        match stage:
            case FinalStage():
                finals += _finals(experiment, name, stage)
            case HardnessStage():
                hardness += _hardness(experiment, name, stage, store)
            case SurrogateStage():
                surrogates += _surrogates(experiment, name, stage)
            case TrainStage() | FrozenStage() | WalkStage():
                stages += _stages(experiment, name, stage, store)
            case _:
                assert_never(stage)
    named = dict.fromkeys(task for stage in begun.values() for task in stage.tasks)
    return ExperimentReport(
        name=config.name,
        title=config.title,
        facts=_facts(experiment, begun, store),
        tasks=tuple(_task(experiment.task(name), name, config.tasks[name].paper) for name in named),
        profile=training_profile(config.environment.profile).network,
        scaled=config.scaled,
        stages=tuple(stages),
        finals=tuple(finals),
        hardness=tuple(hardness),
        surrogates=tuple(surrogates),
    )


def _stages(
    experiment: Experiment, name: str, stage: TrainStage | FrozenStage | WalkStage, store: Store
) -> Iterator[StageRecord]:
    """Yield a record of a stage for each of its tasks; they share its time in proportion to their steps."""
    run, seconds = _run(experiment, name, store)
    episodes = experiment.episodes(name, store)
    steps = sum(episode.length for episode in episodes)
    record = _record(experiment, name, stage, run, store)
    for task in stage.tasks:
        mine = tuple(replace(one, task="") for one in episodes if one.task in ("", task))
        share = sum(one.length for one in mine) / steps if steps else 1 / len(stage.tasks)
        trained = _trained(run, store, experiment.members(task) if len(stage.tasks) > 1 else ())
        yield replace(
            record,
            task=task,
            episodes=mine,
            seconds=share * seconds,
            networks_evaluated=_evaluated(experiment, name, task, store),
            networks_trained=trained,
        )


def _record(
    experiment: Experiment, name: str, stage: TrainStage | FrozenStage | WalkStage, run: Run, store: Store
) -> StageRecord:
    """Return what a stage's records have in common."""
    environment, space = experiment.config.environment_of(name), experiment.networks(name).space
    updates = store.training_log().updates(run.id) if isinstance(stage, TrainStage) else ()
    has_pointers = any(isinstance(action, ShiftPointer) for action in space.actions)
    return StageRecord(
        name=name,
        kind=StageKind(stage.kind),
        agent=_agent(stage),
        paper_agent=stage.paper,
        task=stage.tasks[0],
        actions=action_labels(space),
        episodes=(),
        entropies=tuple((row.steps, row.entropy) for row in updates if row.entropy is not None),
        init=next(iter(stage.policies), ""),
        sigma=environment.shift_reward if has_pointers else None,
        interrupted=not experiment.around.stage(name).result.exists(),
        surrogate=_surrogate_of(stage),
    )


def _agent(stage: TrainStage | FrozenStage | WalkStage) -> str:
    """Return what figures call the agent of a stage; that of one whose accuracies are predictions tells it."""
    name = stage.label or (stage.agent if isinstance(stage, TrainStage) else _LABELS[stage.kind])
    surrogate = _surrogate_of(stage)
    return f"{name} (predictions of {surrogate})" if surrogate else name


def _surrogate_of(stage: Stage) -> str:
    """Return the stage whose surrogate answers in a stage; empty where networks are trained."""
    return (stage.surrogate or "") if isinstance(stage, TrainStage) else ""


def _surrogates(experiment: Experiment, name: str, stage: SurrogateStage) -> list[SurrogateRecord]:
    workspace = experiment.around.stage(name)
    if not workspace.result.exists():
        return []
    return [
        SurrogateRecord(
            stage=name,
            of=stage.of,
            task=one.task,
            networks=one.networks,
            failed=one.failed,
            spearman=one.fit.spearman,
            kendall=one.fit.kendall,
            error=one.fit.error,
        )
        for one in read_fits(workspace)
    ]


def _finals(experiment: Experiment, name: str, stage: FinalStage) -> list[FinalRecord]:
    workspace = experiment.around.stage(name)
    if not workspace.result.exists():
        return []
    predicted = bool(_surrogate_of(experiment.config.stages[stage.best_of]))
    return [
        FinalRecord(
            task=stage.tasks[0],
            label=one.contender.label,
            place=one.contender.place,
            architecture=one.contender.architecture,
            validation=one.validation,
            test=one.test,
            parameters=one.parameters,
            seconds=one.seconds,
            search_accuracy=None if predicted else one.contender.search_accuracy,
            profile=training_profile(one.contender.profile).network,
            failures=one.failures,
        )
        for one in read_trainings(workspace)
    ]


def _hardness(experiment: Experiment, name: str, stage: HardnessStage, store: Store) -> list[HardnessRecord]:
    run, _ = _run(experiment, name, store)
    networks, log = experiment.networks(name), store.training_log()
    records = []
    for task in stage.tasks:
        rows = [row for row in log.meta_episodes(run.id, phase=stage.kind) if row.task == task]
        steps = [
            reward
            for row in rows
            for actions, rewards in zip(row.actions or (), row.step_rewards or (), strict=True)
            for reward, text in zip(rewards, networks.after(actions, task), strict=True)
            if text is not None
        ]
        image_task = experiment.task(task)
        found = evaluated_networks(experiment, (name,), {image_task.fingerprint: image_task}, store)
        records.append(HardnessRecord(task, tuple(steps), sum(one.outcome.metrics.seconds for one in found)))
    return records


def _task(task: ImageTask, name: str, paper: str) -> TaskRecord:
    images = [len(task.indices(part)) for part in (Part.TRAIN, Part.VALIDATION, Part.TEST)]
    return TaskRecord(name, paper, (images[0], images[1], images[2]), task.n_classes, task.input_shape)


def _facts(experiment: Experiment, begun: dict[str, Stage], store: Store) -> ExperimentFacts:
    runs = [_run(experiment, name, store) for name in begun]
    config = experiment.config
    if not runs:
        return ExperimentFacts(command=experiment.around.command, fingerprint=config.fingerprint)
    first = min((run for run, _ in runs), key=lambda run: run.started_at)
    provenance = first.provenance
    chosen = flat({"environment": config.environment.model_dump(mode="json")})
    return ExperimentFacts(
        command=experiment.around.command,
        settings=tuple((name, str(value)) for name, value in chosen.items() if value is not None),
        seeds=tuple(sorted({run.seed for run, _ in runs})),
        store=without_password(experiment.around.location),
        started=f"{first.started_at:%Y-%m-%d %H:%M} UTC",
        seconds=sum(seconds for _, seconds in runs),
        versions=tuple(provenance.versions.items()),
        hardware=f"{provenance.hardware.get('processor', '')}, {provenance.hardware.get('cores', '?')} cores",
        commit=provenance.git_commit or "",
        fingerprint=config.fingerprint,
    )


def _run(experiment: Experiment, name: str, store: Store) -> tuple[Run, float]:
    """Return the run of a stage that has begun, and its seconds so far."""
    workspace = experiment.around.stage(name)
    reference = known_run(workspace)
    if reference is None:
        raise AssertionError("only stages that have begun are reported")
    seconds = reference.seconds
    if workspace.result.exists():
        seconds = float(json.loads(workspace.result.read_text(encoding="utf-8"))["seconds"])
    return store.run(reference.run), seconds


def _evaluated(experiment: Experiment, name: str, task: str, store: Store) -> int:
    """Return how many different networks a stage wanted to know the accuracy of, on one of its tasks."""
    if _surrogate_of(experiment.config.stages[name]):
        return 0
    members = {member.fingerprint: member for member in experiment.members(task)}
    return len(evaluated_networks(experiment, (name,), members, store))


def _trained(run: Run, store: Store, tasks: Sequence[ImageTask]) -> int:
    """Return how many networks a run has trained, on some tasks or on all."""
    data = {task.fingerprint for task in tasks}
    found = store.evaluations(EvaluationQuery(run=run.id))
    return sum(1 for one in found if not data or one.key.data in data)
