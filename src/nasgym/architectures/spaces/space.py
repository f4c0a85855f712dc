"""What a search space is: a pure transition system from an empty draft to an architecture."""

import operator
from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from nasgym.architectures.actions import Action, action_label
from nasgym.architectures.architecture import Architecture, Layer
from nasgym.architectures.canonical import LeafMerge
from nasgym.core.errors import ArchitectureError


class Ending(Enum):
    """Why a draft takes no more actions."""

    TERMINAL = "terminal"
    """The terminal action was taken."""
    FULL = "full"
    """The last layer the space has room for is in place."""
    ILLEGAL = "illegal"
    """A pointer left its range, or the action cannot be taken here; the architecture is the one before it."""


@dataclass(frozen=True, slots=True)
class Draft:
    """An architecture under construction.

    Attributes:
        layers: layers in place.
        settings: header choices made so far, in header order.
        pointers: offsets of predecessor pointers 1 and 2 relative to the newest layer, 0 or below.
        ending: why no more actions can be taken; `None` while they can.
    """

    layers: tuple[Layer, ...] = ()
    settings: tuple[int, ...] = ()
    pointers: tuple[int, int] = (0, 0)
    ending: Ending | None = None


class SearchSpace(ABC):
    """A set of architectures and the actions that build them. Everything is pure; a space has no state.

    Attributes:
        name: what users call it.
        kind: the family it belongs to: `chain`, `multi-branch`, …; a plug-in names its own.
        max_layers: d, the largest number of layers.
        actions: the actions by id.
        n_rows: rows of the NSC array and of the observation (d, and the header's rows where there is one).
        observation_length: length of the flat observation.
        observation_groups: lengths of the one-hot groups that the observation consists of, in order.
        default_max_steps: τ unless the user says otherwise.
    """

    name: str
    kind: str
    max_layers: int
    actions: tuple[Action, ...]
    n_rows: int
    observation_length: int
    observation_groups: tuple[int, ...]
    default_max_steps: int

    def start(self) -> Draft:
        """Return the empty draft."""
        return Draft()

    def describe(self, action: int) -> str:
        """Return what the action with this id does, in a few words."""
        return action_label(self.actions[action])

    @abstractmethod
    def apply(self, draft: Draft, action: int) -> Draft:
        """Return the draft after `action`; an action that cannot be taken gives an `ILLEGAL` ending.

        Raises:
            ArchitectureError: `action` is not an id of this space, or the draft has ended.
        """

    @abstractmethod
    def legal(self, draft: Draft) -> NDArray[np.bool_]:
        """Return which actions can be taken, shape `(len(actions),)`: those that do not end as `ILLEGAL`.

        None can once the draft has ended. The array is the caller's own.
        """

    @abstractmethod
    def architecture(self, draft: Draft) -> Architecture | None:
        """Return the architecture so far.

        `None` while choices that every network of the space needs are still to be made, such as a header's.
        """

    @abstractmethod
    def rows(self, draft: Draft) -> NDArray[np.int64]:
        """Return the NSC, shape `(n_rows, 5)`, empty rows first; a terminal action leaves its row if there is room."""

    @abstractmethod
    def observe(self, draft: Draft) -> NDArray[np.float32]:
        """Return the flat one-hot observation of the rows, shape `(observation_length,)`, values 0 and 1."""

    @abstractmethod
    def path(self, architecture: Architecture) -> tuple[int, ...]:
        """Return the actions that build `architecture` from `start()`, terminal included where it is needed.

        Raises:
            ArchitectureError: the space does not contain it; names the layer and the reason.
        """

    @abstractmethod
    def count_by_depth(self, leaves: LeafMerge) -> list[int | None]:
        """Return the number of distinct networks (canonical ids) of each depth 0..d; `None` where too many to count."""

    def _chosen(self, draft: Draft, action: int) -> Action:
        """Return the action with this id, once both are known to be usable."""
        try:
            number = operator.index(action)
        except TypeError as error:
            raise ArchitectureError(f"An action is a whole number, got {action!r}.") from error
        if not 0 <= number < len(self.actions):
            raise ArchitectureError(
                f"Action {number} is not one of space {self.name!r}, whose actions are 0 to {len(self.actions) - 1}."
            )
        if draft.ending is not None:
            raise ArchitectureError(
                f"The architecture has ended ({draft.ending.value}) and takes no more actions; begin with start()."
            )
        return self.actions[number]
