"""Regularised evolution (Real et al., AAAI 2019, arXiv 1802.01548, Algorithm 1) over action sequences.

A mutation replaces, inserts or removes one action of the shortest sequence that builds the parent, so that one
rule serves every search space.
"""

from collections import deque
from dataclasses import dataclass, replace
from typing import Self

from nasgym.architectures import Architecture, Header, parse_architecture
from nasgym.architectures.actions import Terminate
from nasgym.core.randomness import stream
from nasgym.strategies.strategy import ATTEMPTS, Sampler, Strategy


@dataclass(frozen=True, slots=True)
class EvolutionSettings:
    """Settings of regularised evolution.

    Attributes:
        population: networks alive at once; as many are proposed first: those of `start`, then random ones.
        start: texts of layers to begin with; those that the space or the budget does not allow are left out.
        tournament: networks drawn from the population, of which the best becomes the parent.
    """

    population: int = 12
    start: tuple[str, ...] = ()
    tournament: int = 4


CLASSICS = (
    "conv3 maxpool2 conv3 maxpool2 conv3 maxpool2 conv3",
    "conv3 conv3 maxpool2 conv3 conv3 maxpool2 conv3 conv3",
    "conv3 maxpool2 conv3 conv3 maxpool2 conv3 maxpool2 conv3",
    "conv5 maxpool2 conv3 maxpool2 conv3",
    "conv3 conv3 maxpool2 conv3 conv3 maxpool2 conv3 maxpool2 conv3",
    "conv3 maxpool2 conv3 maxpool2",
)
"""Chains that a person would try first, in the manner of VGG (arXiv 1409.1556); nothing was measured to choose them."""
CLASSIC_HEADER = Header(stem_stride=1, base_width=16)
"""What classics begin with in spaces whose networks have a header."""


class RegularisedEvolution(Strategy):
    """Mutate the best of a random few; the oldest network dies, however good."""

    def __init__(self, sampler: Sampler, seed: int, settings: EvolutionSettings | None = None) -> None:
        self._sampler = sampler
        self._settings = settings or EvolutionSettings()
        self._generator = stream(seed, "evolution")
        self._population: deque[tuple[Architecture, float]] = deque(maxlen=self._settings.population)
        self._proposed = 0
        header = CLASSIC_HEADER if sampler.has_header else None
        self._start = deque(replace(parse_architecture(text), header=header) for text in self._settings.start)
        self._terminate = next(
            (number for number, action in enumerate(sampler.space.actions) if isinstance(action, Terminate)), None
        )

    @classmethod
    def warm(cls, sampler: Sampler, seed: int) -> Self:
        """Return evolution that begins with the classics."""
        return cls(sampler, seed, EvolutionSettings(start=CLASSICS))

    def propose(self) -> Architecture | None:
        """Return a classic or a random architecture while the population is being filled, then a mutated one."""
        while self._start:
            first = self._start.popleft()
            if self._sampler.contains(first) and self._sampler.claim(first):
                self._proposed += 1
                return first
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
