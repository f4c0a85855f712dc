"""From a run in a store to what its report shows."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from nasgym.architectures import parse_architecture
from nasgym.architectures.spaces import SearchSpace
from nasgym.evaluation.tables import Table
from nasgym.experiments.config import flat
from nasgym.experiments.meta.config import TaskSettings
from nasgym.experiments.meta.environments import action_labels
from nasgym.experiments.meta.judging import VALIDATION, mean_return
from nasgym.experiments.meta.results import TrainingResult
from nasgym.report.meta_report import AgentFacts, Proposal, TrainingReport
from nasgym.store import EvaluationQuery, PlayedMetaEpisode, Run, Store

_PROPOSALS = 5
"""Networks listed for each task."""


def training_report(
    store: Store,
    run: str,
    *,
    space: SearchSpace,
    command: str,
    seconds: float,
    interrupted: bool = False,
    result: TrainingResult | None = None,
) -> TrainingReport:
    """Return the report of a meta-training, from the rows of its run alone."""
    log, kept = store.training_log(), store.run(run)
    looks = tuple(log.meta_episodes(run, phase=VALIDATION))
    agent = kept.configuration["agent"]["name"]
    return TrainingReport(
        facts=agent_facts(kept, agent, command, seconds, interrupted=interrupted),
        actions=action_labels(space),
        updates=tuple(log.updates(run)),
        looks=looks,
        kept_update=result.best_update if result is not None and looks else best_update(looks),
        evaluations=sum(1 for _ in store.evaluations(EvaluationQuery(run=run))),
    )


def best_update(looks: Sequence[PlayedMetaEpisode]) -> int | None:
    """Return the update after which a policy did best on the validation tasks, the first among equals."""
    by_update: dict[int, list[PlayedMetaEpisode]] = {}
    for one in looks:
        by_update.setdefault(one.after_update, []).append(one)
    return max(by_update, key=lambda number: (mean_return(by_update[number]), -number), default=None)


def agent_facts(run: Run, agent: str, command: str, seconds: float, *, interrupted: bool = False) -> AgentFacts:
    """Return what there is to say around a run."""
    provenance = run.provenance
    return AgentFacts(
        agent=agent,
        name=agent,
        command=command,
        settings=tuple((name, _value(value)) for name, value in flat(run.configuration).items() if _says(value)),
        seconds=seconds,
        versions=tuple(provenance.versions.items()),
        hardware=f"{provenance.hardware.get('processor', '')}, {provenance.hardware.get('cores', '?')} cores",
        commit=provenance.git_commit or "",
        run=run.id,
        created=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        interrupted=interrupted,
    )


def proposals(played: Sequence[PlayedMetaEpisode], table: Table | None) -> tuple[Proposal, ...]:
    """Return the networks that were most often the best of their meta-episode, task by task.

    Args:
        played: by the policy itself.
        table: where scores for reporting are; `None` where there are none.
    """
    found = []
    for task in dict.fromkeys(one.task for one in played):
        best = [pair for one in played if one.task == task and (pair := _best(one)) is not None]
        for (architecture, accuracy), times in Counter(best).most_common(_PROPOSALS):
            found.append(Proposal(task, architecture, accuracy, _test(table, task, architecture), times))
    return tuple(found)


def _best(one: PlayedMetaEpisode) -> tuple[str, float] | None:
    """Return text and accuracy of the best network of a meta-episode, the first among equals."""
    pairs = zip(one.architectures, one.accuracies, strict=True)
    known = [(text, accuracy) for text, accuracy in pairs if text is not None and accuracy is not None]
    return max(known, key=lambda pair: pair[1], default=None)


def _test(table: Table | None, task: str, architecture: str) -> float | None:
    names = [] if table is None else [one.name for one in table.tasks]
    if table is None or task not in names:
        return None
    row = table.row(parse_architecture(architecture))
    return None if row is None else table.test_score(names.index(task), row)


def _says(value: object) -> bool:
    """Return whether a setting has been given, or has a default that says something."""
    return value is not None and value != []


def _value(value: object) -> str:
    match value:
        case list():
            return ", ".join(map(_value, value))
        case {"source": source, **settings}:
            defaults = TaskSettings(source=str(source)).model_dump(mode="json")
            others = [f"{name} {_value(one)}" for name, one in settings.items() if one != defaults[str(name)]]
            return f"{source} ({', '.join(others)})" if others else str(source)
        case _:
            return str(value)
