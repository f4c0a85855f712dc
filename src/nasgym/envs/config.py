"""What an environment is made from, as one frozen value."""

import math
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, Self, TypeVar

from nasgym.architectures.spaces.space import SearchSpace
from nasgym.core.errors import ConfigurationError, nearest
from nasgym.evaluation import Estimator, OutcomeCache
from nasgym.evaluation.recipes import Profile
from nasgym.evaluation.rewards import Reward
from nasgym.tasks import Budget, Task


class RewardTiming(StrEnum):
    """When networks are trained."""

    EVERY_STEP = "every_step"
    """After each step, as in arXiv 1911.03769: each prefix is trained."""
    TERMINAL = "terminal"
    """When an episode ends with a network, truncation included; intermediate rewards are 0."""


class Objective(StrEnum):
    """What is rewarded."""

    ACCURACY = "accuracy"
    """The reward of the network, as in arXiv 1911.03769."""
    IMPROVEMENT = "improvement"
    """By how much it exceeds the best of the meta-episode so far: the undiscounted return is the incumbent."""


Choice = TypeVar("Choice", bound=StrEnum)


@dataclass(frozen=True, kw_only=True)
class EnvConfig:
    """Everything that makes an environment; `gymnasium.make` takes the same names as keywords.

    Attributes:
        space: name of a search space, its YAML file, or the space itself; the one named like `kind` unless given.
        kind: how actions build architectures where a file allows several; the registered ids set it: `chain`,
            `multi-branch`, `explicit`, `edge` or `joint`.
        task: a task, or the path or name of a data set; the embedded digits at 32 px unless given.
        estimator: what tells how good a network is: an estimator, or a plug-in's name; training unless given.
        profile: how an architecture becomes a trained network: `default`, `paper`, another name or a profile; left
            out where an estimator is given, which has its own.
        max_steps: τ, steps after which an episode is truncated; the space's own unless given.
        max_layers: d, the largest number of layers; the space's own unless given.
        shift_reward: σ, factor of the reward when a pointer was shifted.
        reward_timing: when networks are trained.
        objective: what is rewarded.
        reward: `accuracy`, `blockqnn`, or a function from an outcome to [0, 1].
        budget: what a network may cost; the task's own unless given.
        store: where outcomes are kept: a file, a URL or a cache; this process's memory unless given.
        describe_task: whether a description of the task follows the rows in the observation.
    """

    space: str | Path | SearchSpace | None = None
    kind: str | None = None
    task: str | Path | Task | None = None
    estimator: str | Estimator | None = None
    profile: str | Profile | None = None
    max_steps: int | None = None
    max_layers: int | None = None
    shift_reward: float = 0.5
    reward_timing: RewardTiming | str = RewardTiming.EVERY_STEP
    objective: Objective | str = Objective.ACCURACY
    reward: str | Reward = "accuracy"
    budget: Budget | None = None
    store: str | Path | OutcomeCache | None = None
    describe_task: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "reward_timing", _choice("reward_timing", self.reward_timing, RewardTiming))
        object.__setattr__(self, "objective", _choice("objective", self.objective, Objective))
        if not (math.isfinite(self.shift_reward) and 0 <= self.shift_reward <= 1):
            raise ConfigurationError(f"shift_reward is a factor from 0 to 1, got {self.shift_reward}.")
        for name, value in (("max_steps", self.max_steps), ("max_layers", self.max_layers)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise ConfigurationError(f"{name} is a whole number of at least 1, got {value!r}.")

    @classmethod
    def of(cls, **settings: Any) -> Self:
        """Return the configuration with these settings.

        Raises:
            ConfigurationError: an unknown setting; names the nearest.
        """
        known = [field.name for field in fields(cls)]
        for name in settings:
            if name not in known:
                raise ConfigurationError(
                    f"Unknown setting {name!r} of an environment (known: {', '.join(known)}, render_mode)."
                    + nearest(name, [*known, "render_mode"])
                )
        return cls(**settings)


def _choice(name: str, value: str, options: type[Choice]) -> Choice:
    """Return the member of `options` that `value` names."""
    try:
        return options(value)
    except ValueError:
        known = [str(option) for option in options]
        raise ConfigurationError(
            f"{name} is {' or '.join(known)}, got {value!r}.{nearest(str(value), known)}"
        ) from None
