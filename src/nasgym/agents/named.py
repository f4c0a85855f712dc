"""The agents that have a name, and configurations from tables in tables, such as a TOML file holds."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, get_args

from pydantic import TypeAdapter, ValidationError

from nasgym.agents.config import (
    A2C,
    AgentConfig,
    AlgorithmConfig,
    Losses,
    MemoryConfig,
    NoMemory,
    Optimizer,
    Reinforce,
    Returns,
    Rollout,
)
from nasgym.agents.schedules import Constant, Schedule
from nasgym.core.errors import ConfigurationError, nearest

PAPER = AgentConfig(
    algorithm=A2C(),
    rollout=Rollout(steps=5, whole_meta_episodes=False),
    returns=Returns(discount=0.9, gae_lambda=1.0, normalize_advantages=False),
    optimizer=Optimizer("rmsprop", Constant(1e-3), decay=0.99),
)
"""RL²-A2C of arXiv 1911.03769, sections 4.2.4 and 4.2.5, with one environment; its mistakes are `Defects`."""

NAMED = {
    "rl2": AgentConfig(),
    "ppo": AgentConfig(memory=NoMemory()),
    "a2c": AgentConfig(algorithm=A2C(), returns=Returns(normalize_advantages=False)),
    "paper": PAPER,
    "reinforce": AgentConfig(
        algorithm=Reinforce(),
        returns=Returns(discount=1.0, gae_lambda=1.0, normalize_advantages=False),
        losses=Losses(value=0.0),
    ),
}
"""The agents that have a name."""

_CONFIG = TypeAdapter(AgentConfig)


def named_agent(name: str = "rl2", overrides: Mapping[str, Any] | None = None) -> AgentConfig:
    """Return the agent `name`, with other settings where `overrides` has them.

    Args:
        name: `rl2`, `ppo`, `a2c`, `paper` or `reinforce`.
        overrides: settings as in a TOML file: tables in tables. A table whose `kind` is another replaces what was
            there; a number stands for a constant schedule.

    Raises:
        ConfigurationError: an unknown name or key (names the nearest), or a value out of its range.
    """
    if name not in NAMED:
        raise ConfigurationError(f"Unknown agent {name!r} (known: {', '.join(NAMED)}).{nearest(name, NAMED)}")
    return agent_config(_merged(NAMED[name].to_json(), overrides or {}))


def agent_config(settings: Mapping[str, Any]) -> AgentConfig:
    """Return the configuration that `settings`, tables in tables, describe.

    Raises:
        ConfigurationError: an unknown key (names the nearest), or a value of the wrong kind or out of its range.
    """
    try:
        return _CONFIG.validate_python(dict(settings))
    except ValidationError as error:
        raise ConfigurationError(_explained(error)) from error


def _merged(settings: dict[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(settings)
    for key, value in overrides.items():
        before = settings.get(key)
        if not isinstance(before, dict):
            merged[key] = value
        elif not isinstance(value, Mapping):
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            merged[key] = (
                {"kind": "constant", "value": value} if key in ("entropy", "learning_rate") and is_number else value
            )
        elif value.get("kind", before.get("kind")) != before.get("kind") and key != "optimizer":
            merged[key] = dict(value)
        else:
            merged[key] = _merged(before, value)
    return merged


def _explained(error: ValidationError) -> str:
    """Return the first thing that is wrong, in words."""
    first = error.errors()[0]
    place = [str(part) for part in first["loc"]]
    where = ".".join(place)
    if first["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        known = _keys_at(place[:-1])
        return f"Unknown setting {where!r} of an agent (known: {', '.join(known)}).{nearest(place[-1], known)}"
    return f"{where}: {first['msg']}, got {first['input']!r}."


def _keys_at(place: list[str]) -> list[str]:
    """Return the settings in the table `place`, whose last part may be a kind."""
    kinds: dict[str, type] = {option.kind: option for option in (*_options(MemoryConfig), *_options(AlgorithmConfig))}
    kinds |= {option.kind: option for option in _options(Schedule)}
    tables: dict[str, type] = {field.name: type(getattr(NAMED["rl2"], field.name)) for field in fields(AgentConfig)}
    here = (kinds | tables).get(place[-1], AgentConfig) if place else AgentConfig
    return [field.name for field in fields(here)]


def _options(union: Any) -> tuple[Any, ...]:
    return get_args(union)
