"""Spaces whose layers follow one another (chain, edge, joint, fixed skeletons) as one table of states.

A draft is in a *place* (how many choices were made, what is legal next, whether it has ended) and a plan state
(`nasgym.envs.vector.plans`). Together they decide what every action does, so that a step of thousands of drafts is one
look-up in the table of states by actions. The layers themselves are only written down.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nasgym.architectures.actions import Action, AddLayer, AddStage, SetHeader, ShiftPointer
from nasgym.architectures.nsc import COLUMNS
from nasgym.architectures.operations import HEADER_OPERATIONS, Operation
from nasgym.architectures.spaces.edge import HeaderSpace
from nasgym.architectures.spaces.fixed import FixedSpace
from nasgym.architectures.spaces.layered import LayeredSpace
from nasgym.architectures.spaces.space import Draft, Ending, SearchSpace
from nasgym.envs.vector.plans import DEAD, PlanStates
from nasgym.envs.vector.rows import Flags, Layout, Numbers
from nasgym.envs.vector.walk import FULL, ILLEGAL, INVALID, TERMINAL, Walk
from nasgym.networks.profiles import NetworkProfile

_ENDINGS = {None: 0, Ending.ILLEGAL: ILLEGAL, Ending.TERMINAL: TERMINAL, Ending.FULL: FULL}
Row = tuple[int, ...]


@dataclass(frozen=True)
class Places:
    """The places of a space: drafts that go on in the same ways, each by one of them.

    Attributes:
        drafts: a draft for each place; the first is the empty one.
        after: place after each action, shape `(n_places, n_actions)`; a place that has ended leads to itself.
        legal: which actions are legal, shape `(n_places, n_actions)`.
        written: row codes that each action writes, 0 for none, shape `(at_once, n_places, n_actions)`, int16.
        rows: the rows by code.
        observed: the one-hot observation of each row as the newest, by code; empty where no rows are observed.
    """

    drafts: tuple[Draft, ...]
    after: NDArray[np.intp]
    legal: Flags
    written: NDArray[np.int16]
    rows: tuple[Row, ...]
    observed: tuple[NDArray[np.float32], ...]

    @classmethod
    def of(cls, space: SearchSpace, row_width: int) -> "Places":
        """Return the places of `space`, whose rows are observed by `row_width` numbers each."""
        drafts = [space.start()]
        numbers = {_key(space, drafts[0]): 0}
        codes: dict[Row, int] = {(0,) * len(COLUMNS): 0}
        observed = [space.observe(drafts[0])[-row_width:] if row_width else np.zeros(0, np.float32)]
        after: list[list[int]] = []
        written: list[list[list[int]]] = []
        for number, draft in enumerate(drafts):
            after.append([number] * len(space.actions))
            written.append([[]] * len(space.actions))
            before = len(_rows(space, draft))
            for action in range(len(space.actions)) if draft.ending is None else ():
                following = space.apply(draft, action)
                key = _key(space, following)
                if key not in numbers:
                    numbers[key] = len(drafts)
                    drafts.append(following)
                after[-1][action] = numbers[key]
                added = _rows(space, following)[before:]
                for place, row in enumerate(added):
                    if row not in codes:
                        codes[row] = len(codes)
                        last = row_width * (len(added) - place)
                        seen = space.observe(following)[-last:][:row_width] if row_width else np.zeros(0, np.float32)
                        observed.append(observed[0] if row[1] in HEADER_OPERATIONS else seen)
                written[-1][action] = [codes[row] for row in added]
        at_once = max(len(added) for actions in written for added in actions)
        padded = [[added + [0] * (at_once - len(added)) for added in actions] for actions in written]
        return cls(
            tuple(drafts),
            np.array(after, dtype=np.intp),
            np.array([space.legal(draft) for draft in drafts]),
            np.moveaxis(np.array(padded, dtype=np.int16), 2, 0),
            tuple(codes),
            tuple(observed),
        )


@dataclass(frozen=True)
class StateTable:
    """What every state is and what every action leads to; move `state · n_actions + action` is an action in a state.

    Attributes:
        after: state after each move.
        stops: stop code of each state.
        masks: 1 for the actions that lead to a network that exists, shape `(n_states, n_actions)`, int8.
        finishing: which actions end an episode by themselves, shape `(n_states, n_actions)`.
        counts: rows in place in each state.
        chosen: slots chosen in each state.
        written: row codes that each move writes, one array for each row.
        answerable: whether each move leads to a network that can be evaluated: not after header choices.
    """

    after: NDArray[np.intp]
    stops: NDArray[np.int8]
    masks: NDArray[np.int8]
    finishing: Flags
    counts: Numbers
    chosen: Numbers
    written: tuple[NDArray[np.int16], ...]
    answerable: Flags


def _key(space: SearchSpace, draft: Draft) -> object:
    return (len(draft.settings), len(draft.layers), draft.ending, space.legal(draft).tobytes())


def _rows(space: SearchSpace, draft: Draft) -> list[Row]:
    return [tuple(row) for row in space.rows(draft).tolist() if row[1]]


class SequenceWalk(Walk):
    """Drafts whose layers follow one another.

    Args:
        n: drafts.
        space: chain, edge, joint, edge-mini, or a fixed skeleton.
        profile: how architectures become networks.

    Attributes:
        places: of the space.
        table: of its states; state `plan · n_places + place`.
        moves: the last action of every draft as `state · n_actions + action`, shape `(n,)`.
    """

    def __init__(self, n: int, space: SearchSpace, profile: NetworkProfile) -> None:
        sizes, n_rows = _row_sizes(space)
        self.places = Places.of(space, sum(sizes))
        super().__init__(n, space, _layout(space, self.places, sizes, n_rows), len(self.places.written))
        self.shifts = np.array([isinstance(action, ShiftPointer) for action in space.actions])
        self._profile = profile
        self._plans = PlanStates(space, profile, planned=not isinstance(space, FixedSpace))
        self._shapes: dict[tuple[int, int, int], int] = {}
        self._starts = np.zeros(0, dtype=np.intp)
        self._states = np.zeros(n, dtype=np.intp)
        self.moves = np.zeros(n, dtype=np.intp)
        self._n_actions = len(space.actions)
        self._is_header = np.array([isinstance(action, SetHeader) for action in space.actions])
        self._no_pointers = np.zeros((n, 2), dtype=np.int64)
        self._place_numbers(space)
        self._tabulate()

    def _place_numbers(self, space: SearchSpace) -> None:
        """Tabulate what is known of every place."""
        drafts = self.places.drafts
        self._endings = np.array([_ENDINGS[draft.ending] for draft in drafts], dtype=np.int8)
        self._network = np.array([space.architecture(draft) is not None for draft in drafts])
        self._n_rows = np.array([len(_rows(space, draft)) for draft in drafts])
        slots = (draft.settings if isinstance(space, HeaderSpace) else draft.layers for draft in drafts)
        self._n_chosen = np.array([min(len(chosen), len(self.layout.slots)) for chosen in slots])

    def shape_number(self, input_shape: tuple[int, int, int]) -> int:
        """Return the number by which `start` knows images of this height, width and channels."""
        if input_shape not in self._shapes:
            start = self._plans.start(input_shape)
            self._shapes[input_shape] = len(self._shapes)
            self._starts = np.append(self._starts, start * len(self.places.drafts))
            self._tabulate()
        return self._shapes[input_shape]

    def _tabulate(self) -> None:
        """Combine places and plan states: state `plan · n_places + place`."""
        places, plans = self.places, self._plans.after
        n_places, n_plans = len(places.drafts), len(plans)
        after = plans[:, np.newaxis, :] * n_places + places.after
        impossible = self._network & (np.arange(n_plans) == DEAD)[:, np.newaxis]
        stops = np.where(impossible, np.int8(INVALID), self._endings).astype(np.int8)
        stopped = stops != 0
        stays = np.arange(n_plans * n_places).reshape(n_plans, n_places)
        after = np.where(stopped[:, :, np.newaxis], stays[:, :, np.newaxis], after)
        illegal = self._illegal(places) & ~stopped[:, :, np.newaxis]
        after = np.where(illegal, stays[:, :1, np.newaxis] + places.after, after)
        mask = places.legal & ~stopped[:, :, np.newaxis] & ~impossible.reshape(-1)[after]
        finishing = (self._endings != 0)[places.after]
        size = n_plans * n_places
        network = np.tile(self._network, n_plans)
        self.table = StateTable(
            after=np.ascontiguousarray(after.reshape(-1)),
            stops=stops.reshape(-1),
            masks=mask.reshape(size, -1).astype(np.int8),
            finishing=np.broadcast_to(finishing, after.shape).reshape(size, -1),
            counts=np.tile(self._n_rows, n_plans),
            chosen=np.tile(self._n_chosen, n_plans),
            written=tuple(np.tile(codes, (n_plans, 1)).reshape(-1) for codes in places.written),
            answerable=(network[after].reshape(size, -1) & ~self._is_header).reshape(-1),
        )

    def _illegal(self, places: Places) -> Flags:
        """Return where an action is illegal, which leaves the plan as it is, shape `(n_places, n_actions)`."""
        illegal: Flags = (self._endings[places.after] == ILLEGAL) & (self._endings == 0)[:, np.newaxis]
        return illegal

    def is_network(self, state: int) -> bool:
        """Return whether the draft in `state` is a network."""
        return bool(self._network[state % len(self._network)])

    def chosen_in(self, place: int) -> int:
        """Return how many slots are chosen in a place."""
        return int(self._n_chosen[place])

    def starting_state(self, shape: int) -> int:
        """Return the state of the empty draft on images whose shape has this number."""
        return int(self._starts[shape])

    def start(self, which: Flags, shapes: Numbers) -> None:
        """Begin anew with the empty draft where `which` says so."""
        np.putmask(self._states, which, self._starts.take(shapes))

    def act(self, actions: Numbers) -> NDArray[np.int8]:
        """Take one action in every place; return the stop codes."""
        self.moves = moves = self._states * self._n_actions + actions
        counts = self.table.counts.take(self._states)
        for after, codes in enumerate(self.table.written):
            self._rows.write(counts + after, codes.take(moves))
        self._states = self.table.after.take(moves)
        stops: NDArray[np.int8] = self.table.stops.take(self._states)
        return stops

    @property
    def answerable(self) -> Flags:
        """Where the last action led to a network that can be evaluated, shape `(n,)`."""
        flags: Flags = self.table.answerable.take(self.moves)
        return flags

    @property
    def pointers(self) -> Numbers:
        """Zeros: there are no pointers here."""
        return self._no_pointers

    def mask(self) -> NDArray[np.int8]:
        """Return 1 for the legal actions that lead to a network that exists, shape `(n, n_actions)`."""
        mask: NDArray[np.int8] = self.table.masks.take(self._states, axis=0)
        return mask

    def finishing(self) -> Flags:
        """Return which actions end an episode by themselves if they are taken now."""
        flags: Flags = self.table.finishing.take(self._states, axis=0)
        return flags

    @property
    def counts(self) -> Numbers:
        """Number of rows in place, shape `(n,)`."""
        counts: Numbers = self.table.counts.take(self._states)
        return counts

    @property
    def chosen(self) -> Numbers:
        """Number of slots chosen, shape `(n,)`."""
        chosen: Numbers = self.table.chosen.take(self._states)
        return chosen

    def may_exceed(self, input_shape: tuple[int, int, int], n_classes: int) -> bool:
        """Return whether some network of the space might have more parameters than its profile builds."""
        del input_shape
        layers = self.space.max_layers * self._plans.most_added
        return layers + self._plans.largest_head(n_classes) > self._profile.max_parameters

    @property
    def n_moves(self) -> int:
        """Number of states times number of actions; `moves` are below it, the places changing before the plans."""
        return len(self.table.after)

    def added(self) -> Sequence[Sequence[tuple[AddLayer, ...]]]:
        """Return the layers that every action adds in every place."""
        each = [_layers(action) for action in self.space.actions]
        return [
            [layers if legal else () for layers, legal in zip(each, allowed, strict=True)]
            for allowed in self.places.legal.tolist()
        ]


def _layers(action: Action) -> tuple[AddLayer, ...]:
    match action:
        case AddLayer():
            return (action,)
        case AddStage(layers):
            return layers
        case _:
            return ()


def _row_sizes(space: SearchSpace) -> tuple[tuple[int, ...], int]:
    """Return the lengths of the one-hot groups of one row, and how many rows are observed."""
    if isinstance(space, FixedSpace):
        return (), 0
    n_rows = space.max_layers
    slots = len(space.definition.header) if isinstance(space, LayeredSpace) else 0
    groups = space.observation_groups[slots:]
    return groups[: len(groups) // n_rows], n_rows


def _layout(space: SearchSpace, places: Places, sizes: tuple[int, ...], n_rows: int) -> Layout:
    observed = np.stack(places.observed)
    ends = np.cumsum((0, *sizes))
    columns = [observed[:, start:end].argmax(axis=1) for start, end in itertools.pairwise(ends)]
    n_slots = len(space.observation_groups) - n_rows * len(sizes)
    return Layout(
        nsc=np.array(places.rows, dtype=np.int64),
        columns=np.stack(columns, axis=1).astype(np.uint8) if columns else np.zeros((len(observed), 0), np.uint8),
        sizes=sizes,
        n_rows=n_rows,
        slots=_slots(space, places.rows, n_slots),
        slot_sizes=space.observation_groups[:n_slots],
        first_slot=int(isinstance(space, FixedSpace)),
    )


def _slots(space: SearchSpace, rows: Sequence[Row], n_slots: int) -> NDArray[np.uint8]:
    """Return the number of every slot by row code, shape `(n_slots, n_codes)`."""
    numbers = np.zeros((n_slots, len(rows)), dtype=np.uint8)
    for code, (_, kind, kernel, *_) in enumerate(rows):
        if isinstance(space, HeaderSpace) and kind in HEADER_OPERATIONS:
            for slot, choice in enumerate(space.definition.header):
                if choice.operation == kind:
                    numbers[slot, code] = 1 + choice.values.index(kernel)
        elif isinstance(space, FixedSpace) and kind not in (0, Operation.SKELETON):
            numbers[:, code] = 1 + space.actions.index(AddLayer(Operation(kind), kernel))
    return numbers
