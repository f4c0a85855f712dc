"""What a strategy is: it proposes architectures and hears how good they were."""

from abc import ABC, abstractmethod

import numpy as np

from nasgym.architectures import Architecture, architecture_id
from nasgym.architectures.actions import SetHeader, Terminate
from nasgym.architectures.spaces.space import Draft, Ending, SearchSpace
from nasgym.core.errors import ArchitectureError
from nasgym.evaluation.feasibility import Feasibility
from nasgym.networks.profiles import NetworkProfile
from nasgym.tasks import Task

ATTEMPTS = 2000
"""Draws in a row without a new network after which a space counts as exhausted."""


class Strategy(ABC):
    """Propose and feedback over architectures, deterministic in the seed and the order of calls.

    `feedback` comes in proposal order, possibly some proposals late. Recovery is replay: a new strategy with the
    same seed that is told the same rewards makes the same proposals.
    """

    @abstractmethod
    def propose(self) -> Architecture | None:
        """Return the next architecture to evaluate, feasible and never proposed before; `None` if none is left."""

    @abstractmethod
    def feedback(self, architecture: Architecture, reward: float) -> None:
        """Hear the reward, in [0, 1], of an earlier proposal."""


class Sampler:
    """Draws feasible architectures of one space for one task, each network once.

    Args:
        space: where architectures come from.
        task: decides with `profile` what exists and what the budget allows.
        profile: how architectures become networks.
    """

    def __init__(self, space: SearchSpace, task: Task, profile: NetworkProfile) -> None:
        self.space = space
        self._feasibility = Feasibility(task, profile)
        self._leaves = profile.leaves
        self._terminal = np.array([isinstance(action, Terminate) for action in space.actions])
        self._seen: set[str] = set()

    def claim(self, architecture: Architecture) -> bool:
        """Return whether `architecture` is feasible and new; if so, it is not new any more."""
        if self._feasibility.problem(architecture) is not None:
            return False
        identity = architecture_id(architecture, self._leaves)
        if identity in self._seen:
            return False
        self._seen.add(identity)
        return True

    def draw(self, generator: np.random.Generator) -> Architecture | None:
        """Return a new network of random depth: uniform in 1..d, then uniform over legal operations (SPEC §6).

        In spaces with pointers the moves between two layers are part of the walk. `None` when `ATTEMPTS` draws in
        a row give nothing new.
        """
        for _ in range(ATTEMPTS):
            depth = int(generator.integers(1, self.space.max_layers + 1))
            architecture = self._walk(depth, generator)
            if architecture is not None and self.claim(architecture):
                return architecture
        return None

    @property
    def has_header(self) -> bool:
        """Whether networks of the space begin with header choices."""
        return any(isinstance(action, SetHeader) for action in self.space.actions)

    def contains(self, architecture: Architecture) -> bool:
        """Return whether the space holds `architecture`."""
        try:
            self.space.path(architecture)
        except ArchitectureError:
            return False
        return True

    def replay(self, actions: list[int]) -> Architecture | None:
        """Return the architecture that `actions` build, or `None` where one of them cannot be taken."""
        draft = self.space.start()
        for action in actions:
            if draft.ending is not None:
                return None
            draft = self.space.apply(draft, action)
            if draft.ending is Ending.ILLEGAL:
                return None
        return self.space.architecture(draft)

    def _walk(self, depth: int, generator: np.random.Generator) -> Architecture | None:
        draft = self.space.start()
        while len(draft.layers) < depth and draft.ending is None:
            after = self._step(draft, generator)
            if after is None:
                break
            draft = after
        return self.space.architecture(draft)

    def _step(self, draft: Draft, generator: np.random.Generator) -> Draft | None:
        """Take a random legal action, other than terminating, that leads to a network that exists."""
        legal = np.flatnonzero(self.space.legal(draft) & ~self._terminal)
        for action in generator.permutation(legal):
            after = self.space.apply(draft, int(action))
            architecture = self.space.architecture(after)
            if architecture is None or self._feasibility.exists(architecture):
                return after
        return None
