"""What the commands ask of an agent, wherever it is from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from gymnasium.vector import VectorEnv

from nasgym.agents.acting import Played, ShownRewards, Steps
from nasgym.agents.spec import PolicySpec

Environments = VectorEnv[Any, Any, Any]


@dataclass(frozen=True, slots=True)
class Progress:
    """What an agent did up to one update of its weights.

    Attributes:
        number: of the update, from 1.
        steps: of all environments together, since training began.
        seconds: that the update took, its steps included.
        meta_episodes: how many ended in it.
        mean_return: of these, undiscounted; `None` where none ended.
        entropy: of the policy, nats; `None` where the agent has none.
        episode_length: mean, in steps, of the episodes that ended; `None` where none did.
        rewards: mean sum of rewards of an episode, by its index in the meta-episode; `None` where none ended.
        actions: how often each action was taken.
        metrics: further numbers by name, such as losses.
    """

    number: int
    steps: int
    seconds: float
    meta_episodes: int = 0
    mean_return: float | None = None
    entropy: float | None = None
    episode_length: float | None = None
    rewards: tuple[float | None, ...] = ()
    actions: tuple[int, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Lesson:
    """How an agent is to be trained.

    Attributes:
        settings: that differ from those of its name, tables in tables.
        steps: of all environments together.
        seed: of weights and actions.
        device: that the agent computes on.
        initial: file of a policy to start from; `None` for new weights.
    """

    settings: Mapping[str, Any]
    steps: int
    seed: int = 0
    device: str = "cpu"
    initial: Path | None = None


class Player(Protocol):
    """A policy with frozen weights."""

    @property
    def spec(self) -> PolicySpec:
        """What the policy speaks."""
        ...

    def play(
        self,
        envs: Environments,
        length: int | Steps,
        *,
        seed: int,
        greedy: bool = False,
        tell: Sequence[str] = (),
        shown: ShownRewards | None = None,
    ) -> Played:
        """Play, learning nothing; as `nasgym.agents.acting.play`."""
        ...


class Learner(Protocol):
    """An agent that is being trained."""

    @property
    def number(self) -> int:
        """Updates so far."""
        ...

    @property
    def steps(self) -> int:
        """Steps of all environments together so far."""
        ...

    def learn(self, hear: Callable[[Progress], None]) -> None:
        """Learn until all steps are done; call `hear` after every update. What `hear` raises ends it."""
        ...

    def player(self) -> Player:
        """Return the policy as it is now."""
        ...

    def save(self, path: Path, provenance: Mapping[str, Any]) -> None:
        """Write a checkpoint from which `Agent.resume` goes on exactly.

        An agent that cannot writes nothing: it is trained again from the beginning, which repeats itself.
        """
        ...

    def save_policy(self, path: Path, provenance: Mapping[str, Any]) -> None:
        """Write the policy as it is now, for `Agent.load`."""
        ...


class Agent(Protocol):
    """What is registered under a name. Third parties register theirs under `nasgym.agents`."""

    @property
    def observation(self) -> str:
        """How it observes architectures: `compact` or `one-hot`."""
        ...

    @property
    def environments(self) -> int | None:
        """How many environments it plays side by side unless told otherwise; `None` if it has no wish."""
        ...

    def check(self, settings: Mapping[str, Any]) -> None:
        """Refuse wrong settings, before anything is made.

        Raises:
            ConfigurationError: an unknown key (names the nearest) or a wrong value.
        """
        ...

    def start(self, envs: Environments, spec: PolicySpec, lesson: Lesson) -> Learner:
        """Return a learner that has not learned anything yet."""
        ...

    def resume(self, checkpoint: Path, envs: Environments, lesson: Lesson) -> Learner:
        """Return the learner that wrote `checkpoint`."""
        ...

    def load(self, path: Path) -> Player:
        """Return the policy in a file that a learner of this agent wrote."""
        ...
