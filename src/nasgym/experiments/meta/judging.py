"""Playing policies with frozen weights, and what is kept of it."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from nasgym.agents.acting import Episode, Played, ShownRewards
from nasgym.agents.bridges.protocol import Player
from nasgym.core.randomness import stream
from nasgym.experiments.meta.environments import EnvironmentMaker
from nasgym.experiments.meta.watching import DIGITS, Environments
from nasgym.store import PlayedMetaEpisode
from nasgym.tasks import Task

VALIDATION = "validation"
"""Phase of the meta-episodes by which the best policy is chosen."""
MOST_SIDE_BY_SIDE = 256
"""Environments that play meta-episodes at once, at most."""
TOLD = ("accuracy", "architecture")
"""What environments tell of an episode, that rows need."""


class Judge:
    """Plays meta-episodes on some tasks, always the same way: the same seed, whatever policy plays.

    Args:
        maker: makes the environments, once for each task.
        tasks: to play on.
        meta_episodes: on each task.
        seed: of actions, together with the phase.
    """

    def __init__(self, maker: EnvironmentMaker, tasks: Sequence[Task], meta_episodes: int, seed: int) -> None:
        self.tasks = tuple(tasks)
        self.meta_episodes = meta_episodes
        self._maker = maker
        self._seed = seed
        self._envs: dict[str, Environments] = {}

    def environments(self, task: Task) -> Environments:
        """Return the environments on a task."""
        if task.name not in self._envs:
            self._envs[task.name] = self._maker.fixed(min(self.meta_episodes, MOST_SIDE_BY_SIDE), task)
        return self._envs[task.name]

    def play(
        self,
        player: Player,
        run: str,
        *,
        phase: str = VALIDATION,
        after_update: int = 0,
        greedy: bool = False,
        shown: Callable[[Task], ShownRewards] | None = None,
    ) -> list[PlayedMetaEpisode]:
        """Return what `player` plays on all tasks.

        Args:
            player: with frozen weights.
            run: id of the run in which it is played.
            phase: what for.
            after_update: number of the update that the weights are from.
            greedy: whether it takes its most probable action, instead of drawing one.
            shown: makes, for a task, what the policy is shown in place of its rewards; nothing is replaced if `None`.
        """
        played: list[PlayedMetaEpisode] = []
        for task in self.tasks:
            seed = int(stream(self._seed, phase, task.name).integers(2**31))
            episodes = player.play(
                self.environments(task),
                self.meta_episodes,
                seed=seed,
                greedy=greedy,
                tell=TOLD,
                shown=None if shown is None else shown(task),
            )
            rows = meta_episode_rows(episodes, run, phase, task.name, after_update=after_update)
            played += [replace(row, number=len(played) + row.number) for row in rows]
        return played


def meta_episode_rows(
    played: Played, run: str, phase: str, task: str, *, after_update: int = 0
) -> list[PlayedMetaEpisode]:
    """Return what was played as rows of a store, numbered from 0.

    Args:
        played: with accuracy and architecture told, as `TOLD` has them.
        run: id of the run in which it was played.
        phase: what for.
        task: name of the task.
        after_update: number of the update that the weights are from.
    """
    return [
        PlayedMetaEpisode(
            run=run,
            phase=phase,
            after_update=after_update,
            number=number,
            task=task,
            rewards=tuple(float(episode.total_reward) for episode in episodes),
            accuracies=tuple(_number(episode.told.get("accuracy")) for episode in episodes),
            lengths=tuple(int(episode.length) for episode in episodes),
            architectures=tuple(_text(episode.told.get("architecture")) for episode in episodes),
            actions=tuple(episode.actions for episode in episodes),
            step_rewards=tuple(tuple(round(one, DIGITS) for one in episode.rewards) for episode in episodes),
        )
        for number, episodes in enumerate(_meta_episodes(played))
    ]


def mean_return(played: Sequence[PlayedMetaEpisode]) -> float:
    """Return the mean over tasks of the mean return of a meta-episode, undiscounted."""
    by_task: dict[str, list[float]] = {}
    for one in played:
        by_task.setdefault(one.task, []).append(sum(one.rewards))
    return float(np.mean([np.mean(returns) for returns in by_task.values()]))


def _meta_episodes(played: Played) -> list[list[Episode]]:
    """Return the episodes of each meta-episode, in order."""
    grouped: dict[int, list[Episode]] = {}
    for episode in played.episodes:
        grouped.setdefault(episode.meta_episode, []).append(episode)
    return [sorted(grouped[number], key=lambda episode: episode.index) for number in sorted(grouped)]


def _number(value: object) -> float | None:
    return None if value is None else float(value)  # type: ignore[arg-type]  # a number told by infos


def _text(value: object) -> str | None:
    return None if value is None else str(value)
