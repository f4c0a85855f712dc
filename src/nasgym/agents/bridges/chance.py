"""Legal actions, all alike: what every agent is compared with."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nasgym.agents.acting import Played, ShownRewards, Steps, play
from nasgym.agents.bridges.protocol import Environments
from nasgym.agents.config import Defects
from nasgym.agents.playing import Seen
from nasgym.agents.spec import PolicySpec
from nasgym.core.randomness import stream


class ChanceActor:
    """Draws legal actions.

    Args:
        spec: what is spoken in the environments.
    """

    def __init__(self, spec: PolicySpec) -> None:
        self.spec = spec
        self.defects = Defects()
        self.begin(1, 0)

    def begin(self, n: int, seed: int) -> None:
        """Begin in `n` environments."""
        del n
        self._draws = stream(seed, "actions", "chance")

    def act(self, seen: Seen, *, greedy: bool) -> NDArray[np.int64]:
        """Return an action for each environment; there is no likeliest one."""
        del greedy
        noise = np.where(seen.mask, self._draws.random(seen.mask.shape), -1.0)
        actions: NDArray[np.int64] = noise.argmax(axis=1)
        return actions


@dataclass(frozen=True)
class ChancePlayer:
    """Plays legal actions, all alike.

    Attributes:
        spec: what is spoken in the environments.
    """

    spec: PolicySpec

    def play(
        self,
        envs: Environments,
        length: int | Steps,
        *,
        seed: int,
        greedy: bool = False,
        tell: Sequence[str] = (),
        shown: ShownRewards | None = None,
    ) -> Played:
        """Play; as `nasgym.agents.acting.play`."""
        actor = ChanceActor(self.spec)
        return play(actor, envs, length, seed=seed, greedy=greedy, tell=tuple(tell), shown=shown)
