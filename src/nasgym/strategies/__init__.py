"""Strategies: propose architectures, hear how good they were."""

from nasgym.core.errors import ConfigurationError, nearest
from nasgym.strategies.evolution import EvolutionSettings, RegularisedEvolution
from nasgym.strategies.random_search import RandomSearch
from nasgym.strategies.strategy import Sampler, Strategy

STRATEGIES = ("evolution", "random")


def make_strategy(name: str, sampler: Sampler, seed: int) -> Strategy:
    """Return the strategy called `name`.

    Raises:
        ConfigurationError: there is no such strategy.
    """
    match name:
        case "evolution":
            return RegularisedEvolution(sampler, seed)
        case "random":
            return RandomSearch(sampler, seed)
    raise ConfigurationError(f"Unknown strategy {name!r} (known: {', '.join(STRATEGIES)}).{nearest(name, STRATEGIES)}")


__all__ = [
    "STRATEGIES",
    "EvolutionSettings",
    "RandomSearch",
    "RegularisedEvolution",
    "Sampler",
    "Strategy",
    "make_strategy",
]
