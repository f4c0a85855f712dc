"""Meta-training: an agent learns on the training tasks, and is judged by the validation tasks while it does."""

import logging
import time
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass, replace

import numpy as np

from nasgym.agents.bridges.protocol import Agent, Learner, Lesson, Progress
from nasgym.core.errors import NasgymError
from nasgym.core.files import write_atomically
from nasgym.envs.vector import Observing
from nasgym.experiments.meta.agents import agent_named
from nasgym.experiments.meta.config import MetaConfig
from nasgym.experiments.meta.environments import EnvironmentMaker
from nasgym.experiments.meta.events import Judged, Started, Updated
from nasgym.experiments.meta.judging import VALIDATION, Judge, mean_return
from nasgym.experiments.meta.reporting import training_report
from nasgym.experiments.meta.results import TrainingResult, read_training_result
from nasgym.experiments.meta.surroundings import Heard, MetaSurroundings, training_executor
from nasgym.experiments.meta.tasks import TaskLists, make_tasks, open_source
from nasgym.experiments.meta.watching import Traced
from nasgym.experiments.meta.workspace import MetaWorkspace, begun_in, workspace_for
from nasgym.experiments.results import write_json
from nasgym.experiments.workspace import RunReference, write_reference
from nasgym.report.meta_html import write_training
from nasgym.store import (
    DEFAULT_STORE,
    EvaluationQuery,
    PlayedMetaEpisode,
    RunStatus,
    Store,
    TrainingUpdate,
    open_store,
)

COMMAND = "meta-train"
LOSSES = 3
"""Times that a worker may die before it is left to the user to go on."""
SECONDS_BETWEEN_ROWS = 1.0
"""Updates are written down at least so often, several at once where they are quick."""

_log = logging.getLogger(__name__)


class WorkerDiedError(NasgymError):
    """A process that trained a network died; what was finished is kept."""


def meta_train(config: MetaConfig, name: str, around: MetaSurroundings) -> TrainingResult:
    """Train an agent, or go on where an earlier call with the same settings was stopped.

    Args:
        config: every setting.
        name: of the run: its folder is `runs/NAME` unless the settings say otherwise.
        around: what it happens in.

    Raises:
        NasgymError: a setting, the data or the store is wrong, or a worker died.
        KeyboardInterrupt: stopped by the user; the same call goes on.
    """
    agent = agent_named(config.agent.name)
    agent.check(config.agent.settings)
    workspace = workspace_for(config.run.out, name)
    settings = config.model_dump(mode="json")
    reference = begun_in(workspace, settings)
    if reference is not None and workspace.result.exists():
        return read_training_result(workspace.result)
    source = open_source(config.tasks, config.environment, cache_dir=around.cache_dir, decoding=around.decoding)
    tasks = make_tasks(source, config.tasks, config.environment.profile)
    location = config.run.store or (DEFAULT_STORE if reference is None else reference.store)
    with open_store(location) as store, training_executor(config.run, source) as executor:
        if reference is None:
            run = store.start_run(COMMAND, settings, seed=config.run.seed)
            reference = RunReference(run.id, location, settings, 0.0)
        else:
            store.resume_run(reference.run)
        cache = Heard(store.for_run(reference.run), around.evaluated)
        maker = EnvironmentMaker(config.environment, source, cache, executor, Observing(agent.observation))
        for _ in range(LOSSES):
            try:
                return _Training(config, tasks, agent, maker, _Home(store, reference, workspace), around).complete()
            except BrokenExecutor as error:
                _log.warning("A worker died (%s); the training goes on from its last checkpoint.", error)
                last = error
                store.resume_run(reference.run)
        store.finish_run(reference.run, RunStatus.FAILED)
        raise WorkerDiedError(
            f"A process that trained a network died {LOSSES} times, perhaps for want of memory. Every finished "
            "evaluation is kept: give the same command again, with fewer --workers."
        ) from last


@dataclass(frozen=True)
class _Home:
    """Where a run is kept.

    Attributes:
        store: keeps updates, meta-episodes and, live, evaluations.
        reference: to the run in it.
        workspace: folder of the results.
    """

    store: Store
    reference: RunReference
    workspace: MetaWorkspace


class _Training:
    """One part of a run: from its start or resumption to its end or interruption.

    Args:
        config: every setting.
        tasks: made from it.
        agent: that learns.
        maker: of environments.
        home: where the run is kept.
        around: what it happens in.
    """

    def __init__(
        self,
        config: MetaConfig,
        tasks: TaskLists,
        agent: Agent,
        maker: EnvironmentMaker,
        home: _Home,
        around: MetaSurroundings,
    ) -> None:
        self._config = config
        self._tasks = tasks
        self._agent = agent
        self._maker = maker
        self._store, self._reference, self._workspace = home.store, home.reference, home.workspace
        self._log = home.store.training_log()
        self._around = around
        run = config.run
        self._judge = Judge(maker, tasks.validation, run.evaluation_meta_episodes, run.seed)
        self._kept = self._known_looks()
        self._best: tuple[float, int] | None = None
        self._rows: list[TrainingUpdate] = []
        self._written_at = self._saved_at = time.monotonic()
        self._looked_after = -1
        self._steps = 0
        self._traced: Traced | None = None

    def complete(self) -> TrainingResult:
        """Learn, judge, keep the best, and write everything down."""
        status = RunStatus.FAILED
        try:
            result = self._complete()
            status = RunStatus.FINISHED
        except KeyboardInterrupt:
            status = RunStatus.INTERRUPTED
            self._write_rows()
            self._write_report(interrupted=True)
            raise
        finally:
            if status is not RunStatus.FINISHED:
                self._store.finish_run(self._reference.run, status)
                self._write_reference()
        write_json(self._workspace.result, result.as_json())
        self._store.finish_run(self._reference.run, status, result.as_json())
        return result

    def _complete(self) -> TrainingResult:
        self._write_reference()
        learner = self._learner()
        self._best = self._best_until(learner.number)
        self._steps = learner.steps
        self._around.listener(
            Started(
                self._config.agent.name,
                tuple(task.name for task in self._tasks.train),
                tuple(task.name for task in self._tasks.validation),
                self._n_environments,
                learner.steps,
                self._config.run.steps,
            )
        )
        if learner.number == 0:
            self._look(learner)
        learner.learn(lambda progress: self._hear(learner, progress))
        self._write_rows()
        if self._looked_after != learner.number:
            self._look(learner)
        learner.save_policy(self._workspace.last, self._provenance(learner))
        if not self._tasks.validation:
            write_atomically(self._workspace.policy, self._workspace.last.read_bytes())
        result = self._result(learner)
        self._write_report(result)
        return result

    @property
    def _n_environments(self) -> int:
        return self._config.environments(self._agent.environments)

    def _learner(self) -> Learner:
        """Return the learner: as the checkpoint has it, else a new one."""
        run, agent = self._config.run, self._config.agent
        envs = self._maker.drawing(self._n_environments, self._tasks.train)
        if run.trace:
            envs = self._traced = Traced(envs, tuple(task.name for task in self._tasks.train))
        lesson = Lesson(agent.settings, run.steps, run.seed, run.device, agent.init)
        if self._workspace.checkpoint.exists():
            learner = self._agent.resume(self._workspace.checkpoint, envs, lesson)
            if self._traced is not None:
                self._traced.take()  # the steps back to where the learner was are in rows already
            _log.info("Run %s goes on after %d updates.", self._reference.run, learner.number)
            return learner
        return self._agent.start(envs, self._maker.spec(envs), lesson)

    def _hear(self, learner: Learner, progress: Progress) -> None:
        """Write an update down; judge, keep and stop where it is time to."""
        row = TrainingUpdate(
            run=self._reference.run,
            number=progress.number,
            steps=progress.steps,
            seconds=progress.seconds,
            meta_episodes=progress.meta_episodes,
            mean_return=progress.mean_return,
            entropy=progress.entropy,
            episode_length=progress.episode_length,
            rewards=progress.rewards,
            actions=progress.actions,
            metrics=dict(progress.metrics),
            trace=None if self._traced is None else self._traced.take(),
        )
        self._rows.append(row)
        self._around.listener(Updated(row))
        before, self._steps = self._steps, progress.steps
        between = self._config.run.steps_between_looks
        if before // between < progress.steps // between:
            self._write_rows()
            self._look(learner)
        now, stopping = time.monotonic(), self._around.stopping()
        if now - self._written_at >= SECONDS_BETWEEN_ROWS:
            self._write_rows()
        due = now - self._saved_at >= self._config.run.checkpoint_every
        if due or stopping or self._maker.source.is_live:
            self._write_rows()
            learner.save(self._workspace.checkpoint, self._provenance(learner))
            self._write_reference()
            self._saved_at = time.monotonic()
        if stopping:
            raise KeyboardInterrupt

    def _look(self, learner: Learner) -> None:
        """Judge the policy by the validation tasks, and keep it if none was better."""
        self._looked_after = learner.number
        if not self._tasks.validation:
            return
        played = self._kept.get(learner.number)
        if played is None:
            played = self._judge.play(learner.player(), self._reference.run, after_update=learner.number)
            self._log.save_meta_episodes(played)
            self._kept[learner.number] = played
        score = mean_return(played)
        if self._best is None or score > self._best[0]:
            self._best = score, learner.number
            learner.save_policy(self._workspace.policy, self._provenance(learner) | {"validation_return": score})
        self._around.listener(Judged(learner.steps, score, self._best[0]))

    def _known_looks(self) -> dict[int, list[PlayedMetaEpisode]]:
        """Return the looks at validation tasks that earlier parts of the run have finished."""
        looks: dict[int, list[PlayedMetaEpisode]] = {}
        for one in self._log.meta_episodes(self._reference.run, phase=VALIDATION):
            looks.setdefault(one.after_update, []).append(one)
        whole = len(self._judge.tasks) * self._judge.meta_episodes
        return {number: played for number, played in looks.items() if len(played) == whole}

    def _best_until(self, update: int) -> tuple[float, int] | None:
        """Return score and update of the best policy up to an update, the first among equals; `None` for none."""
        best: tuple[float, int] | None = None
        for number in sorted(number for number in self._kept if update and number <= update):
            score = mean_return(self._kept[number])
            if best is None or score > best[0]:
                best = score, number
        return best

    def _provenance(self, learner: Learner) -> dict[str, object]:
        """Return what a policy's file says of where it is from."""
        return {
            "agent": self._config.agent.name,
            "space": self._maker.space.name,
            "run": self._reference.run,
            "update": learner.number,
            "steps": learner.steps,
            "settings": self._reference.settings,
        }

    def _result(self, learner: Learner) -> TrainingResult:
        run = self._store.run(self._reference.run)
        rows = list(self._log.updates(run.id))
        late = [row for row in rows if row.steps > 0.9 * learner.steps and row.mean_return is not None]
        weights = [row.meta_episodes for row in late]
        best = self._best[1] if self._best is not None else learner.number
        validation: dict[str, list[float]] = {}
        for task in self._tasks.validation:
            rewards = [one.rewards for one in self._kept[best] if one.task == task.name]
            validation[task.name] = [float(value) for value in np.mean(rewards, axis=0)]
        return TrainingResult(
            agent=self._config.agent.name,
            steps=learner.steps,
            updates=learner.number,
            validation_return=None if self._best is None else self._best[0],
            best_update=best,
            validation=validation,
            train_return=float(np.average([row.mean_return or 0.0 for row in late], weights=weights)) if late else None,
            evaluations=sum(1 for _ in self._store.evaluations(EvaluationQuery(run=run.id))),
            policy=str(self._workspace.policy),
            run=run.id,
            store=self._reference.store,
            seed=self._config.run.seed,
            seconds=round(self._seconds(), 3),
            versions=dict(run.provenance.versions),
            out=str(self._workspace.folder),
        )

    def _write_rows(self) -> None:
        self._log.save_updates(self._rows)
        self._rows.clear()
        self._written_at = time.monotonic()

    def _write_report(self, result: TrainingResult | None = None, *, interrupted: bool = False) -> None:
        report = training_report(
            self._store,
            self._reference.run,
            space=self._maker.space,
            command=self._around.command,
            seconds=self._seconds(),
            interrupted=interrupted,
            result=result,
        )
        write_training(report, self._workspace.report)

    def _seconds(self) -> float:
        return self._reference.seconds + time.monotonic() - self._around.started

    def _write_reference(self) -> None:
        write_reference(self._workspace, replace(self._reference, seconds=self._seconds()))
