"""Settings of the agents that learn by Stable-Baselines3, without importing it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config

from nasgym.core.errors import ConfigurationError, nearest

_STRICT = ConfigDict(extra="forbid")


@with_config(_STRICT)
@dataclass(frozen=True)
class DqnSettings:
    """Deep Q-learning (1312.5602) as the baseline of arXiv 1911.03769 had it; actions are not masked.

    Attributes:
        learning_rate: of Adam.
        batch_size: transitions in a gradient step; there is one for each environment step.
        discount: γ.
        learning_starts: environment steps before the first gradient step.
        target_update: environment steps between two copies of the weights to the target network.
        replay: transitions remembered; half of all steps if left out.
        exploration_start: ε at the start.
        exploration_end: ε at the end.
        exploration_fraction: of all steps over which ε falls linearly.
        hidden: units of the tanh layers.
        dueling: units of the hidden layer of each of the two streams (1511.06581); 0 for one stream.
    """

    learning_rate: float = 5e-4
    batch_size: int = 20
    discount: float = 1.0
    learning_starts: int = 1000
    target_update: int = 100
    replay: int | None = None
    exploration_start: float = 1.0
    exploration_end: float = 0.1
    exploration_fraction: float = 1.0
    hidden: tuple[int, ...] = (64, 64)
    dueling: int = 256


@with_config(_STRICT)
@dataclass(frozen=True)
class MaskedPpoSettings:
    """Proximal policy optimisation (1707.06347) in which masked actions have no probability (2006.14171).

    Attributes:
        learning_rate: of Adam.
        steps: of each environment in a rollout.
        batch_size: steps in a gradient step.
        epochs: passes over each rollout.
        discount: γ.
        gae_lambda: λ.
        clip: ε.
        entropy: weight of the entropy.
        value: weight of the squared error of the values.
        gradient_norm: larger gradients are scaled down to it.
        hidden: units of the tanh layers.
    """

    learning_rate: float = 3e-4
    steps: int = 128
    batch_size: int = 256
    epochs: int = 4
    discount: float = 0.99
    gae_lambda: float = 0.95
    clip: float = 0.2
    entropy: float = 0.01
    value: float = 0.5
    gradient_norm: float = 0.5
    hidden: tuple[int, ...] = (64, 64)


Settings = TypeVar("Settings", DqnSettings, MaskedPpoSettings)


def read_settings(kind: type[Settings], name: str, given: Mapping[str, Any]) -> Settings:
    """Return the settings of agent `name` with those `given`.

    Raises:
        ConfigurationError: an unknown key (names the nearest) or a wrong value.
    """
    try:
        return TypeAdapter(kind).validate_python(dict(given))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        known = [field.name for field in fields(kind)]
        if first["type"] == "unexpected_keyword_argument":
            raise ConfigurationError(
                f"Unknown setting {where!r} of agent {name!r} (known: {', '.join(known)}).{nearest(where, known)}"
            ) from error
        raise ConfigurationError(f"agent.{where} is {first['input']!r}: {first['msg'].lower()}.") from error
