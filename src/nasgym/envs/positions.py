"""Where an episode can be: drafts on a task, what each action leads to, and which actions are masked."""

from enum import StrEnum
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from nasgym.architectures import Architecture, Skeleton, format_architecture
from nasgym.architectures.actions import ShiftPointer
from nasgym.architectures.spaces.space import Draft, Ending, SearchSpace
from nasgym.core.errors import PlanError
from nasgym.evaluation.evaluator import Evaluation
from nasgym.evaluation.feasibility import excess
from nasgym.networks.plan import Trunk
from nasgym.networks.profiles import NetworkProfile
from nasgym.tasks import Task

AnyArray = TypeVar("AnyArray", bound=NDArray[Any])

MAX_POSITIONS = 20_000
"""Positions remembered (about 4 kB each) before all of them are forgotten and met anew."""


class Stop(StrEnum):
    """Why an episode ended (SPEC §3, endings a to e)."""

    ILLEGAL = "illegal"
    """(a) A pointer left its range, or the action cannot be taken here."""
    TERMINAL = "terminal"
    """(b) The terminal action was taken."""
    FULL = "full"
    """(c) The last layer is in place."""
    MAX_STEPS = "max_steps"
    """(d) The last step was taken: truncation."""
    INVALID = "invalid"
    """(e) The network cannot exist on this input."""


_STOPS = {Ending.TERMINAL: Stop.TERMINAL, Ending.FULL: Stop.FULL, Ending.ILLEGAL: Stop.ILLEGAL}


class Position:
    """A draft on a task, with what has been found out about it; arrays are read-only.

    Attributes:
        draft: the architecture under construction.
        architecture: the same as a network; `None` while choices that every network needs are still to be made.
        trunk: its plan so far; `None` without a network.
        stop: why no more actions can be taken, the number of steps aside; `None` while they can.
        nsc: rows, shape `(n_rows, 5)`.
        observation: flat one-hot rows, shape `(observation_length,)`.
        after: the positions that actions lead to, as far as they were taken.
        masks: the action masks asked for so far, by whether the next step is the last.
        evaluation: the answer, once the network was evaluated; from then on it is known.
    """

    __slots__ = (
        "_text",
        "after",
        "architecture",
        "draft",
        "evaluation",
        "masks",
        "nsc",
        "observation",
        "stop",
        "trunk",
    )

    def __init__(self, space: SearchSpace, draft: Draft, trunk: Trunk | None, *, exists: bool) -> None:
        self.draft = draft
        self.architecture: Architecture | None = space.architecture(draft)
        self.trunk = trunk
        self.stop = Stop.INVALID if not exists else None if draft.ending is None else _STOPS[draft.ending]
        self.nsc = _frozen(space.rows(draft))
        self.observation = _frozen(space.observe(draft))
        self.after: dict[int, Position] = {}
        self.masks: dict[bool, NDArray[np.int8]] = {}
        self.evaluation: Evaluation | None = None
        self._text: str | None = None

    @property
    def text(self) -> str:
        """The architecture as text; empty where there is none."""
        if self._text is None:
            self._text = "" if self.architecture is None else format_architecture(self.architecture)
        return self._text


class PositionTree:
    """The positions of one space on one task, grown as they are visited.

    Args:
        space: the actions.
        task: decides what exists, and what is within the budget.
        profile: how architectures become networks.
        limit: positions kept; beyond it the tree is grown anew.
    """

    def __init__(self, space: SearchSpace, task: Task, profile: NetworkProfile, *, limit: int = MAX_POSITIONS) -> None:
        self.space = space
        self._task = task
        self._profile = profile
        self._limit = limit
        self._size = 0
        self._root: Position | None = None

    def start(self) -> Position:
        """Return the position before the first action."""
        if self._root is None or self._size > self._limit:
            draft = self.space.start()
            self._root = Position(self.space, draft, self._trunk(None, draft), exists=True)
            self._size = 1
        return self._root

    def step(self, position: Position, action: int) -> Position:
        """Return the position after `action`; an action that cannot be taken leads to one with a `stop`."""
        following = position.after.get(action)
        if following is None:
            draft = self.space.apply(position.draft, action)
            try:
                following = Position(self.space, draft, self._trunk(position, draft), exists=True)
            except PlanError:
                following = Position(self.space, draft, None, exists=False)
            position.after[action] = following
            self._size += 1
        return following

    def mask(self, position: Position, *, last: bool) -> NDArray[np.int8]:
        """Return 1 for the actions that may be worth something, 0 for the masked ones, shape `(n_actions,)`.

        Masked is what ends the episode with reward 0 for certain: what the space does not allow, what would make the
        network impossible on this input, and what would finish a network that is over the budget. `last` says that
        the next step is the last, so that every action finishes the network. With a `stop` all are masked.
        """
        mask = position.masks.get(last)
        if mask is None:
            mask = position.masks[last] = _frozen(self._mask(position, last=last))
        return mask

    def _mask(self, position: Position, *, last: bool) -> NDArray[np.int8]:
        if position.stop is not None:
            return np.zeros(len(self.space.actions), dtype=np.int8)
        mask = self.space.legal(position.draft).astype(np.int8)
        for action in np.flatnonzero(mask).tolist():
            mask[action] = self._promising(position, action, last=last)
        return mask

    def _promising(self, position: Position, action: int, *, last: bool) -> bool:
        """Return whether a legal action leads to a network that exists and, if it ends the episode, is affordable."""
        if isinstance(self.space.actions[action], ShiftPointer) and not last:
            return True
        draft = self.space.apply(position.draft, action)
        if not last and draft.ending is None and _adds_one_layer(position, draft):
            return position.trunk is not None and position.trunk.accepts(draft.layers[-1])
        try:
            trunk = self._trunk(position, draft)
        except PlanError:
            return False
        return trunk is None or not (last or draft.ending) or self._affordable(trunk)

    def _affordable(self, trunk: Trunk) -> bool:
        return excess(trunk.finish(self._task.n_classes), self._task.budget) is None

    def _trunk(self, before: Position | None, draft: Draft) -> Trunk | None:
        """Return the plan so far of `draft`; only the layers that `before` lacks are planned.

        Raises:
            PlanError: the network cannot exist.
        """
        architecture = self.space.architecture(draft)
        if architecture is None or not architecture.skeleton.is_built:
            return None
        if architecture.skeleton is not Skeleton.LAYERED:
            return Trunk.whole(architecture, self._task.input_shape, self._profile)
        trunk = None if before is None else before.trunk
        if trunk is None or not _begins_with(architecture, trunk):
            trunk = Trunk.start(self._task.input_shape, self._profile, architecture.header)
        for layer in architecture.layers[len(trunk.layers) :]:
            trunk = trunk.add(layer)
        return trunk


def _adds_one_layer(position: Position, draft: Draft) -> bool:
    """Return whether `draft` is the network at `position` and one more layer."""
    trunk = position.trunk
    return (
        trunk is not None
        and trunk.skeleton is Skeleton.LAYERED
        and len(draft.layers) == len(trunk.layers) + 1
        and draft.layers[:-1] == trunk.layers
        and draft.settings == position.draft.settings
    )


def _begins_with(architecture: Architecture, trunk: Trunk) -> bool:
    return architecture.header == trunk.header and architecture.layers[: len(trunk.layers)] == trunk.layers


def _frozen(array: AnyArray) -> AnyArray:
    array.setflags(write=False)
    return array
