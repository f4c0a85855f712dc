"""Meta-testing: a policy with frozen weights searches on tasks, beside baselines and controls."""

import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from nasgym.agents.acting import ShownRewards
from nasgym.agents.bridges.chance import ChancePlayer
from nasgym.agents.bridges.protocol import Player
from nasgym.core.errors import ConfigurationError
from nasgym.envs.vector import Observing
from nasgym.experiments.meta.config import MetaConfig, TaskSettings, WorkerSettings
from nasgym.experiments.meta.environments import EnvironmentMaker
from nasgym.experiments.meta.judging import Judge
from nasgym.experiments.meta.reporting import agent_facts, proposals
from nasgym.experiments.meta.stored import StoredAgent
from nasgym.experiments.meta.surroundings import training_executor
from nasgym.experiments.meta.tasks import Source, open_source
from nasgym.experiments.meta.workspace import MetaWorkspace
from nasgym.experiments.meta.yoked import YokedRewards
from nasgym.experiments.results import write_json
from nasgym.report.meta_html import write_test, yoked_name
from nasgym.report.meta_report import OWN, MetaTestReport
from nasgym.report.meta_statistics import (
    accuracies_of,
    from_the_third_on,
    incumbents_of,
    mean_intervals,
    rewards_of,
)
from nasgym.report.statistics import Interval
from nasgym.store import DEFAULT_STORE, PlayedMetaEpisode, RunStatus, Store, open_store
from nasgym.tasks import Task

COMMAND = "meta-test"
RANDOM = "random"
"""Name of the baseline that draws legal actions, all alike."""
BASELINES = (RANDOM,)


@dataclass(frozen=True)
class MetaTestSettings:
    """What is tested, and how.

    Attributes:
        policy: file.
        tasks: settings of the tasks.
        meta_episodes: on each.
        greedy: take the most probable action instead of drawing one.
        yoked: settings of the task whose rewards are shown in the control; `None` for no control.
        baselines: names of baselines to play, too.
        seed: of actions.
    """

    policy: Path
    tasks: tuple[TaskSettings, ...]
    meta_episodes: int = 100
    greedy: bool = False
    yoked: TaskSettings | None = None
    baselines: tuple[str, ...] = ()
    seed: int = 0


@dataclass(frozen=True)
class MetaTestSurroundings:
    """What a meta-test does not depend on, but happens in.

    Attributes:
        command: what repeats it, for the report.
        out: folder for the results.
        store: file or URL.
        workers: who trains networks.
        hear: told what is being played.
        cache_dir: where decoded images are kept.
        started: reading of `time.monotonic` from which time counts.
    """

    command: str
    out: Path
    store: str | None = None
    workers: WorkerSettings = field(default_factory=WorkerSettings)
    hear: Callable[[str], None] = lambda _: None
    cache_dir: Path | None = None
    started: float = field(default_factory=time.monotonic)


def meta_test(
    stored: StoredAgent, config: MetaConfig, settings: MetaTestSettings, around: MetaTestSurroundings
) -> MetaTestReport:
    """Play the tasks, keep what was played in the store, and write `result.json` and `report.html`.

    Args:
        stored: the policy.
        config: the environments' and tables' settings.
        settings: what is tested, and how.
        around: what it happens in.

    Raises:
        SpecError: the policy was made for another search space.
        NasgymError: a setting, the data or the store is wrong.
    """
    unknown = [name for name in settings.baselines if name not in BASELINES]
    if unknown:
        raise ConfigurationError(f"Unknown baseline {unknown[0]!r} (known: {', '.join(BASELINES)}).")
    source = open_source(config.tasks, config.environment, cache_dir=around.cache_dir)
    profile = config.environment.profile
    tasks = source.tasks(settings.tasks, profile)
    yoked = None if settings.yoked is None else source.tasks((settings.yoked,), profile)[0]
    location = around.store or DEFAULT_STORE
    kept = {**_json(settings), "training": config.model_dump(mode="json")}
    with open_store(location) as store, training_executor(around.workers, source) as executor:
        run = store.start_run(COMMAND, kept, seed=settings.seed)
        test = _Test(stored, config, settings, source, store, run.id, executor)
        status = RunStatus.FAILED
        try:
            plays = test.plays(tasks, yoked, around.hear)
            report = _report(stored, settings, around, source, store, run.id, tasks, plays, yoked)
            workspace = _workspace(around.out)
            write_test(report, workspace.report)
            result = test_result(report)
            write_json(workspace.result, result)
            status = RunStatus.FINISHED
        except KeyboardInterrupt:
            status = RunStatus.INTERRUPTED
            raise
        finally:
            if status is not RunStatus.FINISHED:
                store.finish_run(run.id, status)
        store.finish_run(run.id, status, result)
    return report


def test_result(report: MetaTestReport) -> dict[str, Any]:
    """Return the numbers of a test as JSON values: means with 95 % intervals, by who played and task."""
    return {
        "agent": report.facts.agent,
        "run": report.facts.run,
        "greedy": report.greedy,
        "plays": {
            name or "policy": {task: _numbers([one for one in played if one.task == task]) for task in report.tasks}
            for name, played in report.plays.items()
        },
        "yoked_difference_from_the_third": _yoked_difference(report),
        "proposals": [asdict(one) for one in report.proposals],
        "versions": dict(report.facts.versions),
        "seconds": round(report.facts.seconds, 3),
    }


@dataclass(frozen=True)
class _Test:
    """The play of one policy, its baselines and controls."""

    stored: StoredAgent
    config: MetaConfig
    settings: MetaTestSettings
    source: Source
    store: Store
    run: str
    executor: Executor | None

    def plays(
        self, tasks: tuple[Task, ...], yoked: Task | None, hear: Callable[[str], None]
    ) -> dict[str, tuple[PlayedMetaEpisode, ...]]:
        """Return who played what."""
        player = self.stored.agent.load(self.stored.path)
        maker = self._maker(self.stored.agent.observation)
        judge = Judge(maker, tasks, self.settings.meta_episodes, self.settings.seed)
        spec = maker.spec(judge.environments(tasks[0]))
        player.spec.check(spec)
        hear("the policy")
        plays = {OWN: self._played(judge, player, "test")}
        if yoked is not None:
            name = yoked_name(yoked.name)
            hear(f"the policy, {name}")
            twin = Judge(maker, (yoked,), self.settings.meta_episodes, self.settings.seed)

            def shown(task: Task) -> ShownRewards:
                return YokedRewards(twin.environments(yoked), self.settings.seed, f"{task.name!r} and {yoked.name!r}")

            plays[name] = self._played(judge, player, name, shown=shown)
        if RANDOM in self.settings.baselines:
            hear("random legal actions")
            plays[RANDOM] = self._played(judge, ChancePlayer(spec), RANDOM)
        return plays

    def _played(
        self, judge: Judge, player: Player, phase: str, *, shown: Callable[[Task], ShownRewards] | None = None
    ) -> tuple[PlayedMetaEpisode, ...]:
        played = judge.play(player, self.run, phase=phase, greedy=self.settings.greedy, shown=shown)
        self.store.training_log().save_meta_episodes(played)
        return tuple(played)

    def _maker(self, observation: str) -> EnvironmentMaker:
        return EnvironmentMaker(
            self.config.environment,
            self.source,
            self.store.for_run(self.run),
            self.executor,
            Observing(observation),
        )


def _report(
    stored: StoredAgent,
    settings: MetaTestSettings,
    around: MetaTestSurroundings,
    source: Source,
    store: Store,
    run: str,
    tasks: tuple[Task, ...],
    plays: dict[str, tuple[PlayedMetaEpisode, ...]],
    yoked: Task | None,
) -> MetaTestReport:
    table = source.table
    tested = [] if table is None else [one.test for one in table.tasks if one.name in {task.name for task in tasks}]
    return MetaTestReport(
        facts=agent_facts(store.run(run), stored.name, around.command, time.monotonic() - around.started),
        tasks=tuple(task.name for task in tasks),
        plays=plays,
        proposals=proposals(plays[OWN], table),
        greedy=settings.greedy,
        yoked="" if yoked is None else yoked.name,
        test_meaning=next((meaning for meaning in tested if meaning), ""),
    )


def _workspace(out: Path) -> MetaWorkspace:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"Cannot make the folder {out}: {error.strerror}; choose another --out.") from error
    return MetaWorkspace(out)


def _json(settings: MetaTestSettings) -> dict[str, Any]:
    return {
        "policy": str(settings.policy),
        "tasks": [task.model_dump(mode="json") for task in settings.tasks],
        "meta_episodes": settings.meta_episodes,
        "greedy": settings.greedy,
        "yoked": None if settings.yoked is None else settings.yoked.model_dump(mode="json"),
        "baselines": list(settings.baselines),
        "seed": settings.seed,
    }


def _numbers(played: list[PlayedMetaEpisode]) -> dict[str, list[list[float]]]:
    """Return means by episode with their intervals: `[mean, low, high]` for each episode."""
    groups = [one.task for one in played]
    values = {"reward": rewards_of(played), "accuracy": accuracies_of(played), "best_so_far": incumbents_of(played)}
    return {name: [_triple(one) for one in mean_intervals(table, groups)] for name, table in values.items()}


def _triple(interval: Interval) -> list[float]:
    return [interval.estimate, interval.low, interval.high]


def _yoked_difference(report: MetaTestReport) -> list[float] | None:
    if not report.yoked:
        return None
    difference = from_the_third_on(report.plays[OWN], report.plays[yoked_name(report.yoked)])
    return None if difference is None else _triple(difference)
