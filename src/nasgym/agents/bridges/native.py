"""This package's own agents behind the common protocol."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nasgym.agents.acting import Played, ShownRewards, Steps, play
from nasgym.agents.bridges.protocol import Environments, Learner, Lesson, Player, Progress
from nasgym.agents.config import AgentConfig
from nasgym.agents.files import load_policy, save_policy
from nasgym.agents.named import named_agent
from nasgym.agents.policy import Policy
from nasgym.agents.spec import PolicySpec
from nasgym.agents.trainer import Trainer
from nasgym.agents.update import Update


@dataclass(frozen=True)
class NativePlayer:
    """A policy of this package with frozen weights.

    Attributes:
        policy: the network.
    """

    policy: Policy

    @property
    def spec(self) -> PolicySpec:
        """What the policy speaks."""
        return self.policy.spec

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
        """Play, learning nothing."""
        return play(self.policy, envs, length, seed=seed, greedy=greedy, tell=tuple(tell), shown=shown)


@dataclass(frozen=True)
class NativeLearner:
    """An agent of this package that is being trained.

    Attributes:
        trainer: does it.
    """

    trainer: Trainer

    @property
    def number(self) -> int:
        """Updates so far."""
        return self.trainer.number

    @property
    def steps(self) -> int:
        """Steps of all environments together so far."""
        return self.trainer.steps

    def learn(self, hear: Callable[[Progress], None]) -> None:
        """Learn until all steps are done; call `hear` after every update."""
        while self.trainer.steps < self.trainer.total_steps:
            hear(progress_of(self.trainer.update()))

    def player(self) -> Player:
        """Return the policy as it is now."""
        return NativePlayer(self.trainer.policy)

    def save(self, path: Path, provenance: Mapping[str, Any]) -> None:
        """Write a checkpoint."""
        self.trainer.save(path, provenance=dict(provenance))

    def save_policy(self, path: Path, provenance: Mapping[str, Any]) -> None:
        """Write the policy as it is now."""
        save_policy(self.trainer.policy, path, provenance=dict(provenance))


@dataclass(frozen=True)
class NativeAgent:
    """One of the agents of this package.

    Attributes:
        name: of its configuration.
        environments: how many it plays side by side unless told otherwise.
    """

    name: str
    environments: int | None = None
    observation: str = "compact"

    def config(self, settings: Mapping[str, Any]) -> AgentConfig:
        """Return the configuration with these settings."""
        return named_agent(self.name, settings)

    def check(self, settings: Mapping[str, Any]) -> None:
        """Refuse wrong settings."""
        self.config(settings)

    def start(self, envs: Environments, spec: PolicySpec, lesson: Lesson) -> Learner:
        """Return a learner that has not learned anything yet."""
        initial = None if lesson.initial is None else load_policy(lesson.initial, spec=spec).policy
        return NativeLearner(
            Trainer(
                self.config(lesson.settings),
                envs,
                spec=spec,
                seed=lesson.seed,
                total_steps=lesson.steps,
                policy=initial,
                device=lesson.device,
            )
        )

    def resume(self, checkpoint: Path, envs: Environments, lesson: Lesson) -> Learner:
        """Return the learner that wrote `checkpoint`."""
        return NativeLearner(Trainer.resume(checkpoint, envs, device=lesson.device))

    def load(self, path: Path) -> Player:
        """Return the policy in a file."""
        return NativePlayer(load_policy(path).policy)


def progress_of(update: Update) -> Progress:
    """Return an update of a `Trainer` as `Progress`."""
    numbers = asdict(update.learned)
    return Progress(
        number=update.number + 1,
        steps=update.steps,
        seconds=update.seconds.total,
        meta_episodes=update.n_meta_episodes,
        mean_return=_known(update.mean_return),
        entropy=_known(numbers.pop("entropy")),
        episode_length=_known(update.episode_length),
        rewards=tuple(map(_known, update.episode_returns)),
        actions=update.action_counts,
        metrics={name: value for name, value in numbers.items() if math.isfinite(value)},
    )


def _known(value: float) -> float | None:
    """Return a number, or `None` where there is none."""
    return float(value) if math.isfinite(value) else None
