"""Which networks exist, told by small whole numbers: the last node of a chain decides what can follow it.

Two chains whose last nodes agree in shape, and in what the profile's widths look back at, can be continued in the same
ways, however many layers they have. There are few such *plan states*: they are numbered, and a table
tells which action leads from which to which.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nasgym.architectures import Layer, Operation
from nasgym.architectures.actions import Action, AddLayer, AddStage, SetHeader
from nasgym.architectures.nsc import header_from
from nasgym.architectures.spaces.edge import HeaderSpace
from nasgym.architectures.spaces.space import SearchSpace
from nasgym.core.errors import PlanError
from nasgym.networks.plan import Trunk
from nasgym.networks.profiles import NetworkProfile, Widths

DEAD = 0
"""Plan state of what cannot exist."""


@dataclass(frozen=True)
class _State:
    """A plan state by one chain that is in it.

    Attributes:
        settings: header choices, while the header is incomplete.
        trunk: the plan; `None` while there is none.
        input_shape: of the task.
    """

    settings: tuple[int, ...]
    trunk: Trunk | None
    input_shape: tuple[int, int, int]


class PlanStates:
    """The plan states of one space under one profile, grown by image shape.

    Args:
        space: a space whose layers follow one another.
        profile: how architectures become networks.
        planned: whether layers are planned one by one; without, everything exists.

    Attributes:
        most_added: parameters of the largest layer that any action adds in any state.
    """

    def __init__(self, space: SearchSpace, profile: NetworkProfile, *, planned: bool) -> None:
        self._space = space
        self._profile = profile
        self._planned = planned
        self._keys: dict[object, int] = {DEAD: DEAD}
        self._states: list[_State] = [_State((), None, (0, 0, 0))]
        self._after = [[DEAD] * len(space.actions)]
        self.most_added = 0
        self._choices = space.definition.header if isinstance(space, HeaderSpace) else ()

    @property
    def after(self) -> NDArray[np.intp]:
        """State after each action, shape `(n_states, n_actions)`."""
        return np.array(self._after, dtype=np.intp)

    def start(self, input_shape: tuple[int, int, int]) -> int:
        """Return the state of the empty draft on images of `input_shape`, everything that follows it included."""
        found = self._number(self._begun((), input_shape))
        while len(self._after) < len(self._states):
            state = self._states[len(self._after)]
            self._after.append([self._following(state, action) for action in self._space.actions])
        return found

    def largest_head(self, n_classes: int) -> int:
        """Return a number of parameters that no head exceeds."""
        trunks = [state.trunk for state in self._states if state.trunk is not None]
        return max((trunk.finish(n_classes).parameters for trunk in trunks), default=0)

    def _begun(self, settings: tuple[int, ...], input_shape: tuple[int, int, int]) -> _State | None:
        if not self._planned:
            return _State((), None, input_shape)
        choices = self._choices
        if len(settings) < len(choices):
            return _State(settings, None, input_shape)
        values = {choice.operation: value for choice, value in zip(choices, settings, strict=True)}
        try:
            return _State(
                (), Trunk.start(input_shape, self._profile, header_from(values) if values else None), input_shape
            )
        except PlanError:
            return None

    def _is_next(self, operation: Operation, state: _State) -> bool:
        """Return whether `operation` is the header choice to make in `state`."""
        made = len(state.settings)
        return state.trunk is None and made < len(self._choices) and self._choices[made].operation is operation

    def _following(self, state: _State, action: Action) -> int:
        match action:
            case SetHeader(operation, value) if self._is_next(operation, state):
                return self._number(self._begun((*state.settings, value), state.input_shape))
            case AddLayer() if state.trunk is not None:
                return self._number(self._added(state, (action,)))
            case AddStage(layers) if state.trunk is not None:
                return self._number(self._added(state, layers))
            case _:
                return self._number(state)

    def _added(self, state: _State, layers: tuple[AddLayer, ...]) -> _State | None:
        trunk = state.trunk
        if trunk is None:
            raise AssertionError("a layer was added where there is no plan")
        for added in layers:
            layer = Layer(added.operation, added.kernel, (len(trunk.layers),), added.residual)
            try:
                trunk = trunk.add(layer)
            except PlanError:
                return None
            self.most_added = max(self.most_added, sum(step.parameters for step in trunk.nodes[-1].steps))
        return _State((), trunk, state.input_shape)

    def _number(self, state: _State | None) -> int:
        if state is None:
            return DEAD
        key = self._key(state)
        if key not in self._keys:
            self._keys[key] = len(self._states)
            self._states.append(state)
        return self._keys[key]

    def _key(self, state: _State) -> object:
        """Return what decides what can follow `state`."""
        if state.trunk is None:
            return (state.settings, state.input_shape if self._planned else None)
        trunk = state.trunk
        last = trunk.nodes[-1]
        base = trunk.header.base_width if trunk.header else self._profile.base_width
        cap = max(self._profile.width_cap, base)
        doublings = (
            sum(1 for node in trunk.nodes[1:] if node.steps)
            if self._profile.widths is Widths.DOUBLE_AT_CONVOLUTION
            else last.level
        )
        return (last.shape, base, min(base << doublings, cap))
