"""Regularised evolution (Real et al., AAAI 2019, arXiv 1802.01548, Algorithm 1) over action sequences.

A mutation replaces, inserts or removes one action of the shortest sequence that builds the parent, so that one
rule serves every search space.
"""

from collections import deque
from dataclasses import dataclass

from nasgym.architectures import Architecture
from nasgym.architectures.actions import Terminate
from nasgym.core.randomness import stream
from nasgym.strategies.strategy import ATTEMPTS, Sampler, Strategy


@dataclass(frozen=True, slots=True)
class EvolutionSettings:
    """Settings of regularised evolution.

    Attributes:
        population: networks alive at once; as many random ones are proposed first.
        tournament: networks drawn from the population, of which the best becomes the parent.
    """

    population: int = 12
    tournament: int = 4


class RegularisedEvolution(Strategy):
    """Mutate the best of a random few; the oldest network dies, however good."""

    def __init__(self, sampler: Sampler, seed: int, settings: EvolutionSettings | None = None) -> None:
        self._sampler = sampler
        self._settings = settings or EvolutionSettings()
        self._generator = stream(seed, "evolution")
        self._population: deque[tuple[Architecture, float]] = deque(maxlen=self._settings.population)
        self._proposed = 0
        self._terminate = next(
            (number for number, action in enumerate(sampler.space.actions) if isinstance(action, Terminate)), None
        )

    def propose(self) -> Architecture | None:
        """Return a random architecture while the population is being filled, then a mutated one."""
        self._proposed += 1
        if self._proposed <= self._settings.population or not self._population:
            return self._sampler.draw(self._generator)
        for _ in range(ATTEMPTS):
            child = self._mutated(self._parent())
            if child is not None and self._sampler.claim(child):
                return child
        return self._sampler.draw(self._generator)

    def feedback(self, architecture: Architecture, reward: float) -> None:
        """Let the network join the population; the oldest leaves a full one."""
        self._population.append((architecture, reward))

    def _parent(self) -> Architecture:
        size = min(self._settings.tournament, len(self._population))
        drawn = self._generator.choice(len(self._population), size=size, replace=False)
        best = max(drawn, key=lambda number: self._population[number][1])
        return self._population[best][0]

    def _mutated(self, parent: Architecture) -> Architecture | None:
        actions = [action for action in self._sampler.space.path(parent) if action != self._terminate]
        place = int(self._generator.integers(len(actions) + 1))
        match self._generator.choice(["replace", "insert", "remove"]):
            case "insert":
                actions.insert(place, self._random_action())
            case "replace" if place < len(actions):
                actions[place] = self._random_action()
            case "remove" if place < len(actions):
                del actions[place]
            case _:
                return None
        return self._sampler.replay(actions)

    def _random_action(self) -> int:
        return int(self._generator.integers(len(self._sampler.space.actions)))
