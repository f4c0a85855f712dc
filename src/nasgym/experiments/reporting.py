"""From a run in a store to what its report shows."""

from datetime import UTC, datetime

from nasgym.architectures import architecture_id, parse_architecture
from nasgym.experiments.ending import Ending, accuracy_of
from nasgym.experiments.results import Tested
from nasgym.report.search_report import (
    Baseline,
    Candidate,
    DroppedFile,
    Finalist,
    FinalTest,
    RunFacts,
    SearchReport,
    SearchSettings,
    TaskSummary,
)
from nasgym.store import Step
from nasgym.tasks import BaselineScore


def search_report(
    ending: Ending,
    chosen: Tested | None = None,
    random: Tested | None = None,
    linear: BaselineScore | None = None,
) -> SearchReport:
    """Return the report of a run; without `chosen`, that of an interrupted one."""
    return SearchReport(
        task=_task(ending),
        settings=_settings(ending),
        run=_facts(ending, interrupted=chosen is None),
        candidates=tuple(_candidate(ending, step) for step in ending.steps()),
        finalists=tuple(_finalist(ending, step) for step in ending.ranked_finalists()),
        test=_test(ending, chosen) if chosen is not None else None,
        baselines=tuple(_baselines(ending, random, linear)),
    )


def _accuracy(step: Step) -> float:
    return accuracy_of(step.outcome)


def _id(ending: Ending, step: Step) -> str:
    return architecture_id(parse_architecture(step.architecture), ending.profile.network.leaves)


def _task(ending: Ending) -> TaskSummary:
    task = ending.task
    train, validation, test = (len(side) for side in task.split.sides())
    return TaskSummary(
        name=task.name,
        class_names=task.class_names,
        train=train,
        validation=validation,
        test=test,
        input_shape=task.input_shape,
        dropped=tuple(DroppedFile(problem.where, problem.why) for problem in task.problems),
        fingerprint=task.fingerprint,
    )


def _settings(ending: Ending) -> SearchSettings:
    config = ending.config
    return SearchSettings(
        command=ending.command,
        strategy=config.strategy,
        space=config.space,
        profile=ending.profile.network,
        fidelity=ending.task.fidelity,
        seed=config.seed,
        budget=ending.task.budget,
        evaluations=config.evaluations,
        seconds=config.budget,
        final_epochs=config.final_epochs or ending.profile.final.epochs,
    )


def _facts(ending: Ending, *, interrupted: bool) -> RunFacts:
    provenance = ending.store.run(ending.run).provenance
    return RunFacts(
        seconds=ending.seconds,
        versions=tuple(provenance.versions.items()),
        hardware=f"{provenance.hardware.get('processor', '')}, {provenance.hardware.get('cores', '?')} cores",
        interrupted=interrupted,
        created=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
    )


def _candidate(ending: Ending, step: Step) -> Candidate:
    return Candidate(
        number=step.number + 1,
        architecture=step.architecture,
        architecture_id=_id(ending, step),
        outcome=step.outcome,
        memory=ending.plan(step.architecture).memory,
        from_store=step.from_store,
    )


def _finalist(ending: Ending, step: Step) -> Finalist:
    return Finalist(
        architecture=step.architecture,
        architecture_id=_id(ending, step),
        search_validation_accuracy=ending.search_accuracy(step),
        outcome=step.outcome,
        memory=ending.plan(step.architecture).memory,
    )


def _test(ending: Ending, chosen: Tested) -> FinalTest | None:
    if chosen.test_accuracy is None:
        return None
    return FinalTest(
        architecture_id=_id(ending, chosen.step),
        accuracy=chosen.test_accuracy,
        confusion=chosen.confusion,
        weights=ending.workspace.weights.name,
    )


def _baselines(ending: Ending, random: Tested | None, linear: BaselineScore | None) -> list[Baseline]:
    baselines = []
    if random is not None:
        planned = ending.plan(random.step.architecture)
        baselines.append(
            Baseline(
                name="random network",
                validation_accuracy=random.validation_accuracy,
                test_accuracy=random.test_accuracy,
                architecture=random.step.architecture,
                parameters=planned.parameters,
                memory=planned.memory,
            )
        )
    if linear is not None and linear.validation is not None:
        baselines.append(Baseline("linear model", linear.validation, linear.test))
    return baselines
