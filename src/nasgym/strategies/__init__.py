"""Strategies: propose architectures, hear how good they were."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from nasgym.core.errors import ConfigurationError, nearest
from nasgym.strategies.evolution import EvolutionSettings, RegularisedEvolution
from nasgym.strategies.random_search import RandomSearch
from nasgym.strategies.strategy import Sampler, Strategy

STRATEGIES: Mapping[str, Callable[[Sampler, int], Strategy]] = MappingProxyType(
    {"warm-evolution": RegularisedEvolution.warm, "evolution": RegularisedEvolution, "random": RandomSearch}
)
"""The strategies by name; each is made from a sampler and a seed."""


def strategy_named(name: str) -> Callable[[Sampler, int], Strategy]:
    """Return what makes the strategy called `name`.

    Raises:
        ConfigurationError: there is no such strategy.
    """
    if name not in STRATEGIES:
        known = ", ".join(STRATEGIES)
        raise ConfigurationError(f"Unknown strategy {name!r} (known: {known}).{nearest(name, STRATEGIES)}")
    return STRATEGIES[name]


__all__ = [
    "STRATEGIES",
    "EvolutionSettings",
    "RandomSearch",
    "RegularisedEvolution",
    "Sampler",
    "Strategy",
    "strategy_named",
]
