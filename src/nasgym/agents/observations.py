"""Observations of any layout as two arrays: whole numbers, each the row of one table, and real numbers."""

from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from nasgym.agents.config import Defects
from nasgym.agents.spec import PolicySpec

_NOTHING = Defects()


class Reader:
    """Reads observations of a batch of environments.

    Whole numbers come out as rows of a table that holds all values of the first group, then of the second, and so on;
    the previous action is the last group. Of real numbers the signals come first.

    Args:
        spec: what is observed.
        space: of single observations.
        defects: `shifted_inputs` shows action 0 for "none yet", and neither ends nor the number of the episode.
    """

    def __init__(self, spec: PolicySpec, space: spaces.Space[Any], defects: Defects = _NOTHING) -> None:
        self.spec = spec
        parts: dict[str | None, spaces.Space[Any]] = {}
        if isinstance(space, spaces.Dict):
            parts.update(space.spaces)
        else:
            parts[None] = space
        plain = [(name, part) for name, part in parts.items() if name not in ("action", "signals")]
        self._whole = [name for name, part in plain if not isinstance(part, spaces.Box)]
        self._real: list[str | None] = [name for name, part in parts.items() if name == "signals"]
        self._real += [name for name, part in plain if isinstance(part, spaces.Box)]
        self._starts = np.concatenate([[0], np.cumsum(spec.all_groups)]).astype(np.int32)
        self._null_is_first = defects.shifted_inputs
        hidden = [spec.column(name) for name in ("end", "episode")] if defects.shifted_inputs else []
        self._hidden = [column for column in hidden if column is not None]

    def read(self, observations: Any, rows: NDArray[np.int32], numbers: NDArray[np.float32]) -> None:
        """Write observations to arrays.

        Args:
            observations: of `n` environments.
            rows: where whole numbers go, shape `(n, len(spec.all_groups))`.
            numbers: where real numbers go, shape `(n, spec.n_numbers)`.
        """
        n, place = len(rows), 0
        for name in self._whole:
            part = np.asarray(_part(observations, name)).reshape(n, -1)
            rows[:, place : place + part.shape[1]] = part
            place += part.shape[1]
        if self.spec.observes_action:
            actions = np.asarray(observations["action"])
            rows[:, place] = np.where(actions == self.spec.n_actions, 0, actions) if self._null_is_first else actions
        rows += self._starts[:-1]
        place = 0
        for name in self._real:
            part = np.asarray(_part(observations, name)).reshape(n, -1)
            numbers[:, place : place + part.shape[1]] = part
            place += part.shape[1]
        for column in self._hidden:
            numbers[:, column] = 0.0

    def forget(self, where: NDArray[np.bool_], rows: NDArray[np.int32], numbers: NDArray[np.float32]) -> None:
        """Show no previous action and no previous reward, as if nothing had been done yet.

        Args:
            where: in which environments, shape `(n,)`.
            rows: as `read` has written them.
            numbers: likewise.
        """
        if self.spec.observes_action:
            rows[where, -1] = self._starts[-2] + (0 if self._null_is_first else self.spec.n_actions)
        column = self.spec.column("reward")
        if column is not None:
            numbers[where, column] = 0.0

    def read_one(self, observation: Any) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return rows and numbers of a single observation, each with a first dimension of 1."""
        rows = np.empty((1, len(self.spec.all_groups)), dtype=np.int32)
        numbers = np.empty((1, self.spec.n_numbers), dtype=np.float32)
        if isinstance(observation, dict):
            batch: Any = {name: np.asarray(part)[np.newaxis] for name, part in observation.items()}
        else:
            batch = np.asarray(observation)[np.newaxis]
        self.read(batch, rows, numbers)
        return rows, numbers


def _part(observations: Any, name: str | None) -> Any:
    return observations if name is None else observations[name]
