"""A frozen policy at work: meta-episodes played, and what came of each of their episodes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray

from nasgym.agents.config import Defects
from nasgym.agents.playing import Environments, Seen, Transition, environment_seeds
from nasgym.agents.policy import Inputs, Policy
from nasgym.agents.rollout import gumbel_noise
from nasgym.agents.spec import PolicySpec, SpecError
from nasgym.agents.voices import voice_of
from nasgym.core.errors import ConfigurationError
from nasgym.core.randomness import stream


@dataclass(frozen=True)
class Episode:
    """An episode that was played.

    Attributes:
        meta_episode: number of its meta-episode.
        index: in the meta-episode; 0 is the first.
        environment: where it was played.
        reward: the last one.
        total_reward: sum of all.
        length: in steps.
        actions: in order.
        rewards: one for each action.
        told: what infos told of it, by name, of what was asked for.
    """

    meta_episode: int
    index: int
    environment: int
    reward: float
    total_reward: float
    length: int
    actions: tuple[int, ...]
    rewards: tuple[float, ...]
    told: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Steps:
    """How long to play, where steps count and not meta-episodes.

    Attributes:
        number: of all environments together, rounded up to a multiple of how many there are.

    Raises:
        ConfigurationError: none are wanted.
    """

    number: int

    def __post_init__(self) -> None:
        if self.number < 1:
            raise ConfigurationError(f"There is at least 1 step to play, got {self.number}.")


@dataclass(frozen=True)
class Played:
    """What was played.

    Attributes:
        episodes: sorted by meta-episode, then by index.
        n_meta_episodes: how many.
    """

    episodes: tuple[Episode, ...]
    n_meta_episodes: int

    def table(self, what: str = "reward") -> NDArray[np.float64]:
        """Return numbers by meta-episode and index of the episode, NaN where there was none.

        Args:
            what: an attribute of episodes that is a number, or the name of something told.
        """
        longest = max((episode.index for episode in self.episodes), default=-1) + 1
        table = np.full((self.n_meta_episodes, longest), np.nan)
        for episode in self.episodes:
            value = episode.told[what] if what in episode.told else getattr(episode, what)
            table[episode.meta_episode, episode.index] = np.nan if value is None else value
        return table


class Actor(Protocol):
    """Whoever chooses actions: a policy, another library's, or chance."""

    @property
    def spec(self) -> PolicySpec:
        """What it speaks."""
        ...

    @property
    def defects(self) -> Defects:
        """What of the original agent's mistakes concerns acting."""
        ...

    def begin(self, n: int, seed: int) -> None:
        """Begin in `n` environments, having seen nothing."""
        ...

    def act(self, seen: Seen, *, greedy: bool) -> NDArray[np.int64]:
        """Return an action for each environment: the likeliest if `greedy`, else one that is drawn."""
        ...


class PolicyActor:
    """A policy as an actor: its memory, and the generator of its draws.

    Args:
        policy: whose weights stay as they are.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.spec = policy.spec
        self.defects = policy.config.defects
        self.begin(1, 0)

    def begin(self, n: int, seed: int) -> None:
        """Begin in `n` environments, having seen nothing."""
        self._state = self._policy.initial(n)
        self._voice = voice_of(self._policy)
        self._noise = stream(seed, "actions", "play")

    def act(self, seen: Seen, *, greedy: bool) -> NDArray[np.int64]:
        """Return an action for each environment."""
        inputs = Inputs(*(torch.from_numpy(part) for part in seen))
        (logits, _), self._state = self._voice(inputs, self._state)
        chosen = logits if greedy else logits + gumbel_noise(self._noise, logits.shape).numpy()
        actions: NDArray[np.int64] = chosen.argmax(axis=1)
        return actions


class ShownRewards(Protocol):
    """Rewards that a policy is shown in place of those that it earns."""

    def begin(self) -> None:
        """Begin with the first meta-episodes."""

    def __call__(self, transition: Transition) -> NDArray[Any]:
        """Return the rewards to show for the actions of a step, shape `(n,)`."""


class TwinRewards:
    """Rewards that the same actions earn in other environments: a yoked control.

    A policy that learns what its rewards tell about the task will then search for what is good in the other one.

    Args:
        envs: as many, of the same space, on other tasks, with `SameStep` autoreset.
        seed: of their first reset.
    """

    def __init__(self, envs: "VectorEnv[Any, Any, NDArray[Any]]", seed: int = 0) -> None:
        self._envs = envs
        self._seed = seed

    def begin(self) -> None:
        """Begin with the first meta-episodes."""
        self._envs.reset(seed=environment_seeds(self._seed, self._envs.num_envs, "play"))  # type: ignore[arg-type]  # lists are taken

    def __call__(self, transition: Transition) -> NDArray[Any]:
        """Take the same actions in the other environments; return the rewards there."""
        _, rewards, _, _, _ = self._envs.step(transition.actions)
        return rewards


def play(
    policy: Policy | Actor,
    envs: "VectorEnv[Any, Any, NDArray[Any]]",
    length: int | Steps,
    *,
    seed: int = 0,
    greedy: bool = False,
    tell: Sequence[str] = (),
    shown: ShownRewards | None = None,
    options: dict[str, Any] | None = None,
) -> Played:
    """Play meta-episodes with a policy whose weights stay as they are.

    Meta-episode j is played in environment j mod n. If a number of them is wanted, each environment plays its share to
    the end, so that short ones do not count more than long ones.

    Args:
        policy: who plays: a policy, or any other actor.
        envs: where, with `SameStep` autoreset.
        length: how many meta-episodes, or how many steps; what has not ended by then is left out.
        seed: of environments and actions.
        greedy: take the likeliest action; otherwise actions are drawn.
        tell: names of what is kept of the infos of each episode's last step, such as `accuracy` or `architecture`.
        shown: rewards that the policy is shown in place of its own; those recorded are its own.
        options: of the first reset of the environments.

    Raises:
        SpecError: the policy was made for other environments, or cannot be shown rewards since it observes none.
        ConfigurationError: no meta-episodes or steps are wanted.
    """
    actor = PolicyActor(policy) if isinstance(policy, Policy) else policy
    spec = actor.spec
    spec.check(PolicySpec.of(envs, spec.space, spec.signals))
    if isinstance(length, int) and length < 1:
        raise ConfigurationError(f"meta_episodes is at least 1, got {length}.")
    if shown is not None and spec.column("reward") is None:
        raise SpecError("The policy does not observe rewards as a signal, so that none can be shown to it.")
    environments = Environments(envs, spec, actor.defects)
    seen = Seen.empty(spec, environments.n)
    environments.reset(environment_seeds(seed, environments.n, "play"), seen, options)
    record = _Record(environments.n, length, tuple(tell))
    if shown is not None:
        shown.begin()
    actor.begin(environments.n, seed)
    while not record.complete:
        record.add(environments.step(actor.act(seen, greedy=greedy), seen, shown))
    return record.played()


class _Record:
    """Episodes as they are played.

    Args:
        n: environments.
        length: wanted.
        tell: what is kept of infos.
    """

    def __init__(self, n: int, length: int | Steps, tell: tuple[str, ...]) -> None:
        self._n, self._length, self._tell = n, length, tell
        self._meta_episodes = np.arange(n)
        self._steps = 0
        self._totals = np.zeros(n)
        self._actions: list[list[int]] = [[] for _ in range(n)]
        self._rewards: list[list[float]] = [[] for _ in range(n)]
        self._episodes: list[Episode] = []

    @property
    def complete(self) -> bool:
        """Whether everything that is wanted has been played."""
        if isinstance(self._length, Steps):
            return self._steps >= self._length.number
        return bool((self._meta_episodes >= self._length).all())

    def add(self, transition: Transition) -> None:
        """Add a step."""
        self._steps += self._n
        self._totals += transition.rewards
        done = (transition.actions.tolist(), transition.rewards.tolist())
        for actions, rewards, action, reward in zip(self._actions, self._rewards, *done, strict=True):
            actions.append(action)
            rewards.append(reward)
        for place in np.flatnonzero(transition.episode_ended).tolist():
            if isinstance(self._length, Steps) or self._meta_episodes[place] < self._length:
                self._episodes.append(self._episode(transition, place))
            self._actions[place], self._rewards[place] = [], []
        self._totals[transition.episode_ended] = 0.0
        self._meta_episodes[transition.ended] += self._n

    def played(self) -> Played:
        """Return what was played."""
        ordered = sorted(self._episodes, key=lambda episode: (episode.meta_episode, episode.index))
        if isinstance(self._length, int):
            return Played(tuple(ordered), self._length)
        return Played(tuple(ordered), 1 + max((episode.meta_episode for episode in ordered), default=-1))

    def _episode(self, transition: Transition, place: int) -> Episode:
        return Episode(
            meta_episode=int(self._meta_episodes[place]),
            index=int(transition.indices[place]),
            environment=place,
            reward=float(transition.rewards[place]),
            total_reward=float(self._totals[place]),
            length=len(self._actions[place]),
            actions=tuple(self._actions[place]),
            rewards=tuple(self._rewards[place]),
            told={key: _plain(transition.told(key, place)) for key in self._tell},
        )


def _plain(value: Any) -> Any:
    """Return a number of NumPy as Python's."""
    return value.item() if isinstance(value, np.generic) else value
