"""What a store keeps of agents: a row for each update, and one for each meta-episode that they are judged by.

At the speed of a table a row sums up thousands of steps. Networks that are really trained are evaluations of the run.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Trace:
    """Consecutive steps of n environments, one by one. A step is a row of n values.

    Attributes:
        actions: that were taken.
        rewards: for them.
        ends: what ended with them: 0 for nothing, 1 for an episode, 2 for a meta-episode and its last episode.
        resets: numbers of the rows, the first being 0, before which all environments began anew.
        tasks: number, in the order of the training's tasks, of the task that each step was taken on; empty where there
            is only one.
    """

    actions: tuple[tuple[int, ...], ...] = ()
    rewards: tuple[tuple[float, ...], ...] = ()
    ends: tuple[tuple[int, ...], ...] = ()
    resets: tuple[int, ...] = ()
    tasks: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class TrainingUpdate:
    """One update of an agent's weights, and the steps it was made from.

    Attributes:
        run: id of the run.
        number: of the update, from 1.
        steps: of all environments together, since training began.
        seconds: that the update took, its steps included.
        meta_episodes: how many ended in it.
        mean_return: of these, undiscounted; `None` where none ended.
        entropy: of the policy, nats, mean over the steps; `None` where the agent has none.
        episode_length: mean, in steps, of the episodes that ended; `None` where none did.
        rewards: mean sum of rewards of an episode, by its index in the meta-episode; `None` where none ended.
        actions: how often each action was taken.
        metrics: further numbers of the agent by name, such as losses.
        trace: its steps one by one; `None` where nobody asked for them.
    """

    run: str
    number: int
    steps: int
    seconds: float
    meta_episodes: int = 0
    mean_return: float | None = None
    entropy: float | None = None
    episode_length: float | None = None
    rewards: tuple[float | None, ...] = ()
    actions: tuple[int, ...] = ()
    metrics: dict[str, float] = field(default_factory=dict)
    trace: Trace | None = None


@dataclass(frozen=True, slots=True)
class PlayedMetaEpisode:
    """One meta-episode that a policy with frozen weights has played.

    Attributes:
        run: id of the run.
        phase: what it was played for, such as `validation`.
        after_update: number of the update that the weights are from; 0 before the first.
        number: of the meta-episode.
        task: name of the task.
        rewards: sum of the rewards of each episode.
        accuracies: validation accuracy of each episode's last network; `None` where there is none.
        lengths: steps of each episode.
        architectures: text of each episode's last network; `None` where there is none.
        actions: of each episode, step by step; `None` in rows of stores that did not keep them yet.
        step_rewards: likewise.
    """

    run: str
    phase: str
    after_update: int
    number: int
    task: str
    rewards: tuple[float, ...]
    accuracies: tuple[float | None, ...]
    lengths: tuple[int, ...]
    architectures: tuple[str | None, ...]
    actions: tuple[tuple[int, ...], ...] | None = None
    step_rewards: tuple[tuple[float, ...], ...] | None = None


class TrainingLog(ABC):
    """Keeps what agents do; `Store.training_log` gives it. What is written when a method returns survives any kill.

    The first row of a number stays: a run that is resumed and repeats itself changes nothing.
    """

    @abstractmethod
    def save_updates(self, updates: Iterable[TrainingUpdate]) -> None:
        """Keep `updates` unless their numbers are known.

        Raises:
            StoreError: an unknown run, or the store cannot be written.
        """

    @abstractmethod
    def updates(self, run: str) -> Iterator[TrainingUpdate]:
        """Yield the updates of run `run` by number."""

    @abstractmethod
    def save_meta_episodes(self, played: Iterable[PlayedMetaEpisode]) -> None:
        """Keep meta-episodes unless their numbers are known.

        Raises:
            StoreError: an unknown run, or the store cannot be written.
        """

    @abstractmethod
    def meta_episodes(self, run: str, *, phase: str | None = None) -> Iterator[PlayedMetaEpisode]:
        """Yield the meta-episodes of run `run`, of one phase if given, by phase, update and number."""
