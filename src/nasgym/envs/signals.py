"""What an agent whose memory lasts observes beside the architecture: what it did last, and what came of it.

One layout for the single and the vector form of meta-episodes.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from nasgym.core.errors import ConfigurationError, nearest
from nasgym.tasks import Task
from nasgym.tasks.distribution import TaskDistribution, task_distribution


class Signal(StrEnum):
    """One of the things observed beside the architecture, in the order in which they are observed."""

    ACTION = "action"
    """The previous action, one-hot with one place more, the last, for "none yet"."""
    REWARD = "reward"
    """The previous reward, 0 at the start of a meta-episode."""
    STEP = "step"
    """Steps taken in this episode over d."""
    END = "end"
    """1 if an episode ended with the previous action."""
    EPISODE = "episode"
    """Episodes ended in this meta-episode over K."""


@dataclass(frozen=True)
class MetaEpisodes:
    """What meta-episodes are made of.

    Attributes:
        episodes: K, how many make a meta-episode.
        tasks: what each meta-episode draws its task from; the environment's own task if `None`. May be given as a
            sequence of tasks or as a function from a generator to a task.
        observe: which signals follow the architecture in the observation; a task's description is observed where the
            environment has `describe_task`.

    Raises:
        ConfigurationError: K is not at least 1, an unknown signal, or no task distribution.
    """

    episodes: int
    tasks: TaskDistribution | Sequence[Task] | Callable[[np.random.Generator], Task] | None = None
    observe: Sequence[Signal | str] = tuple(Signal)

    def __post_init__(self) -> None:
        if isinstance(self.episodes, bool) or not isinstance(self.episodes, int) or self.episodes < 1:
            raise ConfigurationError(f"episodes is a whole number of at least 1, got {self.episodes!r}.")
        object.__setattr__(self, "observe", _signals(self.observe))

    @property
    def distribution(self) -> TaskDistribution | None:
        """What tasks are drawn from, if they are."""
        return None if self.tasks is None else task_distribution(self.tasks)


def _signals(names: Iterable[str]) -> tuple[Signal, ...]:
    known = [str(signal) for signal in Signal]
    if isinstance(names, str):
        raise ConfigurationError(f"observe is a list of signals such as ({names!r},), got a text.")
    for name in names:
        if name not in known:
            raise ConfigurationError(f"Unknown signal {name!r} (known: {', '.join(known)}).{nearest(name, known)}")
    return tuple(signal for signal in Signal if signal in tuple(names))


@dataclass(frozen=True)
class Signals:
    """The signals of `n` environments at one moment.

    Attributes:
        actions: previous action, the number of actions for "none yet", shape `(n,)`, int64.
        rewards: previous reward, shape `(n,)`.
        steps: taken in this episode, shape `(n,)`.
        ends: whether an episode ended with the previous action, shape `(n,)`.
        episodes: ended in this meta-episode, shape `(n,)`.
    """

    actions: NDArray[np.int64]
    rewards: NDArray[np.float64]
    steps: NDArray[np.int64]
    ends: NDArray[np.bool_]
    episodes: NDArray[np.int64]


@dataclass(frozen=True)
class SignalLayout:
    """How signals are observed.

    Attributes:
        observe: which.
        n_actions: number of actions.
        depth: d.
        max_steps: τ.
        episodes: K.
    """

    observe: tuple[Signal, ...]
    n_actions: int
    depth: int
    max_steps: int
    episodes: int

    def numbers(self, signals: Signals) -> NDArray[np.float32]:
        """Return all but the action, shape `(n, n_numbers)`."""
        values: dict[Signal, NDArray[np.generic]] = {
            Signal.REWARD: signals.rewards,
            Signal.STEP: signals.steps / self.depth,
            Signal.END: signals.ends,
            Signal.EPISODE: signals.episodes / self.episodes,
        }
        chosen = [values[signal] for signal in self.observe if signal is not Signal.ACTION]
        numbers = np.empty((len(signals.actions), len(chosen)), dtype=np.float32)
        for place, value in enumerate(chosen):
            numbers[:, place] = value
        return numbers

    def flat(self, signals: Signals) -> NDArray[np.float32]:
        """Return the signals as one row of numbers for each environment, shape `(n, length)`."""
        numbers = self.numbers(signals)
        if Signal.ACTION not in self.observe:
            return numbers
        actions = np.eye(self.n_actions + 1, dtype=np.float32).take(signals.actions, axis=0)
        return np.concatenate([actions, numbers], axis=1)

    @property
    def bounds(self) -> NDArray[np.float32]:
        """The largest value of each number of `numbers`; the smallest is 0."""
        largest = {Signal.STEP: max(1.0, self.max_steps / self.depth)}
        return np.array(
            [largest.get(signal, 1.0) for signal in self.observe if signal is not Signal.ACTION], dtype=np.float32
        )

    @property
    def flat_bounds(self) -> NDArray[np.float32]:
        """The largest value of each number of `flat`; the smallest is 0."""
        actions = self.n_actions + 1 if Signal.ACTION in self.observe else 0
        return np.concatenate([np.ones(actions, dtype=np.float32), self.bounds])
