"""What a policy speaks: which numbers it observes, which actions it has, and for which search space it was made."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv

from nasgym.core.errors import ConfigurationError

SIGNALS = ("reward", "step", "end", "episode")
"""The names of the first numbers of `observation["signals"]`, where nothing else is said."""


class SpecError(ConfigurationError):
    """A policy was made for another search space, or environments are not such as an agent can play."""


@dataclass(frozen=True)
class PolicySpec:
    """What a policy speaks.

    Attributes:
        space: the search space, as whoever makes the policy names it.
        n_actions: number of actions.
        groups: how many values each observed whole number may take, in order, the previous action not among them.
        observes_action: whether the previous action is observed, with one value more for "none yet".
        signals: names of the first of the real numbers observed.
        context: how many real numbers follow them: a task's description, or all of a plain observation.

    Raises:
        SpecError: there is nothing to observe, or a signal has no name or twice the same.
    """

    space: str
    n_actions: int
    groups: tuple[int, ...] = ()
    observes_action: bool = False
    signals: tuple[str, ...] = ()
    context: int = 0

    def __post_init__(self) -> None:
        if len(set(self.signals)) < len(self.signals):
            raise SpecError(f"Each signal has a name of its own, got {', '.join(self.signals)}.")
        if not self.all_groups and not self.n_numbers:
            raise SpecError(f"There is nothing to observe in {self.space!r}.")

    @classmethod
    def of(cls, envs: "VectorEnv[Any, Any, Any]", space: str, signals: tuple[str, ...] = SIGNALS) -> Self:
        """Return what a policy for `envs` speaks.

        Args:
            envs: with `SameStep` autoreset, discrete actions, and observations that are a `Box`, `Discrete`,
                `MultiDiscrete` or a `Dict` of such. In a dictionary, `action` is the previous action, and `signals`
                begins with the numbers that `signals` names.
            space: name of the search space, which must be the same wherever the policy is used.
            signals: names of the numbers in `observation["signals"]`; what is behind them is context.

        Raises:
            SpecError: other environments than these; names what is wrong and the remedy.
        """
        mode = envs.metadata.get("autoreset_mode")
        if str(getattr(mode, "value", mode)) != AutoresetMode.SAME_STEP.value:
            raise SpecError(f"Agents play environments with autoreset_mode='SameStep'; these have {mode}.")
        actions = envs.single_action_space
        if not isinstance(actions, spaces.Discrete) or actions.start != 0:
            raise SpecError(f"Agents choose among actions numbered from 0 (Discrete), got {actions}.")
        n_actions = int(actions.n)
        observed = envs.single_observation_space
        parts = dict(observed.spaces) if isinstance(observed, spaces.Dict) else {"": observed}
        groups: list[int] = []
        n_signals, context = 0, 0
        for name, part in parts.items():
            if name == "action":
                if part != spaces.Discrete(n_actions + 1):
                    raise SpecError(f"observation['action'] is Discrete({n_actions + 1}), got {part}.")
            elif name == "signals":
                n_signals = _numbers(name, part)
            elif isinstance(part, spaces.Box):
                context += _numbers(name, part)
            else:
                groups += _groups(name, part)
        if "signals" in parts and len(signals) > n_signals:
            raise SpecError(
                f"observation['signals'] holds {n_signals} numbers, and {len(signals)} are named "
                f"({', '.join(signals)}): name those that are observed."
            )
        named = signals if "signals" in parts else ()
        return cls(space, n_actions, tuple(groups), "action" in parts, named, context + n_signals - len(named))

    @property
    def all_groups(self) -> tuple[int, ...]:
        """How many values each whole number may take, the previous action being the last."""
        return (*self.groups, self.n_actions + 1) if self.observes_action else self.groups

    @property
    def n_numbers(self) -> int:
        """How many real numbers are observed, the signals first."""
        return len(self.signals) + self.context

    def column(self, signal: str) -> int | None:
        """Return the place of a signal among the real numbers, `None` where it is not observed."""
        return self.signals.index(signal) if signal in self.signals else None

    def check(self, other: "PolicySpec") -> None:
        """Refuse environments of another kind.

        Args:
            other: what is spoken in the environments.

        Raises:
            SpecError: it is not what the policy speaks; says what differs.
        """
        mine, others = self.facts(), other.facts()
        for what, value in mine.items():
            if others[what] != value:
                raise SpecError(
                    f"The policy was made for {self.space} ({self.n_actions} actions); this environment is "
                    f"{other.space} ({other.n_actions} actions). They differ in {what}: {value} and {others[what]}. "
                    "Use the policy with the space and the observation that it was trained with, or train another."
                )

    def facts(self) -> dict[str, object]:
        """Return everything that two specs must agree in, by its name in words."""
        return {
            "search space": self.space,
            "number of actions": self.n_actions,
            "whole numbers observed": self.groups,
            "previous action": self.observes_action,
            "signals": self.signals,
            "context": self.context,
        }


def _numbers(name: str, part: spaces.Space[Any]) -> int:
    if not isinstance(part, spaces.Box):
        raise SpecError(f"observation[{name!r}] is a Box of numbers, got {part}.")
    return int(np.prod(part.shape))


def _groups(name: str, part: spaces.Space[Any]) -> list[int]:
    """Return the number of values of each whole number."""
    if isinstance(part, spaces.Discrete) and part.start == 0:
        return [int(part.n)]
    if isinstance(part, spaces.MultiDiscrete) and not part.start.any():
        return [int(size) for size in part.nvec.reshape(-1)]
    raise SpecError(
        f"Agents observe Box, Discrete and MultiDiscrete numbered from 0, and dictionaries of them; got {part}"
        + (f" as {name!r}." if name else ".")
    )
