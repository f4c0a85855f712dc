"""Stages in which nothing is learned: a frozen policy plays, or actions are drawn."""

from concurrent.futures import BrokenExecutor
from dataclasses import dataclass, replace
from typing import Any

from gymnasium.vector import VectorWrapper

from nasgym.agents.acting import Played, Steps
from nasgym.agents.bridges.chance import ChancePlayer
from nasgym.agents.bridges.protocol import Player
from nasgym.core.randomness import stream
from nasgym.envs.vector import Observing
from nasgym.experiments.meta.config import LIVE_ENVIRONMENTS, EnvironmentSettings
from nasgym.experiments.meta.environments import EnvironmentMaker
from nasgym.experiments.meta.judging import TOLD, meta_episode_rows
from nasgym.experiments.meta.stored import StoredAgent
from nasgym.experiments.meta.surroundings import Heard, training_executor
from nasgym.experiments.meta.tasks import Source
from nasgym.experiments.meta.training import WorkerDiedError
from nasgym.experiments.meta.watching import Environments
from nasgym.experiments.stages.events import StageWent
from nasgym.experiments.stages.home import ExperimentSurroundings, StageRun, stage_folder
from nasgym.store import EvaluationQuery, PlayedMetaEpisode, Store
from nasgym.tasks import Task


@dataclass(frozen=True)
class Play:
    """What is played in a stage.

    Attributes:
        name: of the stage.
        kind: of the stage; phase of its rows.
        tasks: to play on, one after the other; each as its subsets, or itself alone.
        environment: how networks are built and rewarded.
        steps: on each task; its subsets share them.
        seed: of actions.
        policy: that plays; `None` where actions are drawn, all alike.
        greedy: whether the policy takes its most probable action.
        settings: all of the above as JSON values.
    """

    name: str
    kind: str
    tasks: tuple[tuple[Task, ...], ...]
    environment: EnvironmentSettings
    steps: int
    seed: int
    policy: StoredAgent | None
    greedy: bool
    settings: dict[str, Any]


class _Told(VectorWrapper):
    """Environments that tell of every step.

    Args:
        envs: to play in.
        telling: told how many steps were taken in all of them since the last call.
    """

    def __init__(self, envs: Environments, telling: "_Telling") -> None:
        super().__init__(envs)
        self._telling = telling

    def step(self, actions: Any) -> Any:
        """Take one action in every environment."""
        answer = self.env.step(actions)
        self._telling.step(self.num_envs)
        return answer


class _Telling:
    """Counts steps and trained networks, and tells of them.

    Args:
        around: what the stage happens in.
        run: of the stage.
    """

    def __init__(self, around: ExperimentSurroundings, run: StageRun) -> None:
        self._around, self._run = around, run
        self._steps = self._trained = 0

    def step(self, steps: int) -> None:
        """Count steps."""
        self._steps += steps
        self._run.note_time()
        self._around.tell(StageWent(self._steps, self._trained))

    def trained(self) -> None:
        """Count a network."""
        self._trained += 1


def play_stage(play: Play, source: Source, store: Store, around: ExperimentSurroundings) -> None:
    """Play, keep what was played in the store, and write `result.json`.

    A play that was stopped is played again from the beginning: the store answers for what it had trained.

    Raises:
        SpecError: the policy was made for another search space.
        WorkerDiedError: a worker died, as for want of memory.
        KeyboardInterrupt: stopped by the user; the same call goes on.
    """
    workspace = stage_folder(around, play.name)
    with StageRun(store, around.location, workspace, play.settings, play.seed) as run:
        try:
            rows = _play_all(play, source, store, around, run)
        except BrokenExecutor as error:
            raise WorkerDiedError(
                f"Stage {play.name!r}: a process that trained a network died ({error}), perhaps for want of memory. "
                "Every finished evaluation is kept: give the same command again, with fewer --workers."
            ) from error
        store.training_log().save_meta_episodes(rows)
        result = {
            "episodes": sum(len(row.rewards) for row in rows),
            "evaluations": sum(1 for _ in store.evaluations(EvaluationQuery(run=run.id))),
            "run": run.id,
            "seconds": round(run.seconds, 3),
        }
        run.finish(result)


def _play_all(
    play: Play, source: Source, store: Store, around: ExperimentSurroundings, run: StageRun
) -> list[PlayedMetaEpisode]:
    """Return what is played on all tasks."""
    rows: list[PlayedMetaEpisode] = []
    with training_executor(around.workers, source) as executor:
        telling = _Telling(around, run)
        observation = Observing.COMPACT if play.policy is None else Observing(play.policy.agent.observation)
        cache = Heard(store.for_run(run.id), telling.trained)
        maker = EnvironmentMaker(play.environment, source, cache, executor, observation)
        for members in play.tasks:
            for task in members:
                played = _play_on(task, max(1, play.steps // len(members)), play, maker, telling)
                more = meta_episode_rows(played, run.id, play.kind, task.name)
                rows += [replace(row, number=len(rows) + row.number) for row in more]
    return rows


def _play_on(task: Task, steps: int, play: Play, maker: EnvironmentMaker, telling: _Telling) -> Played:
    """Return what is played on one task."""
    envs = _Told(maker.fixed(play.environment.environments or LIVE_ENVIRONMENTS, task), telling)
    player: Player
    if play.policy is None:
        player = ChancePlayer(maker.spec(envs))
    else:
        player = play.policy.agent.load(play.policy.path)
        player.spec.check(maker.spec(envs))
    seed = int(stream(play.seed, play.kind, task.name).integers(2**31))
    return player.play(envs, Steps(steps), seed=seed, greedy=play.greedy, tell=TOLD)
