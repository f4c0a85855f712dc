"""Random search: the baseline that every other strategy has to beat."""

from nasgym.architectures import Architecture
from nasgym.core.randomness import stream
from nasgym.strategies.strategy import Sampler, Strategy


class RandomSearch(Strategy):
    """Depth uniform in 1..d, then legal operations uniformly, distinct canonical ids (SPEC §6)."""

    def __init__(self, sampler: Sampler, seed: int) -> None:
        self._sampler = sampler
        self._generator = stream(seed, "random-search")

    def propose(self) -> Architecture | None:
        """Return the next random architecture."""
        return self._sampler.draw(self._generator)

    def feedback(self, architecture: Architecture, reward: float) -> None:
        """Do nothing: random search does not learn."""
