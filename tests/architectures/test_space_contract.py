"""The contract of search spaces, over every space there is; and spaces that break it, which must be found out."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from nasgym.architectures import Architecture, LeafMerge
from nasgym.architectures.actions import Action
from nasgym.architectures.spaces import BUILT_IN, ChainSpace, Draft, Ending, SearchSpace, load_space, space_from_text
from nasgym.core.errors import ArchitectureError
from nasgym.testing.spaces import SPACE_CHECKS, check_search_space

EVERY_OPERATION = """
nasenv:
    name: Everything
    max_nlayers: 4
    encoding: NSC
    layers:
        - add: {id: 5, kernel_size: Null, pred1: True, pred2: True}
        - identity: {id: 4, kernel_size: Null, pred1: True, pred2: False}
        - terminal: {id: 7, kernel_size: Null, pred1: False, pred2: False}
        - avgpooling: {id: 3, kernel_size: [4, 1], pred1: True, pred2: False}
        - concat: {id: 6, kernel_size: Null, pred1: True, pred2: True}
"""
EDITED_EDGE = """
nasenv:
    name: Small device
    max_nlayers: 3
    encoding: NSC
    header:
        - dropout: {id: 13, values: [50, 0]}
        - width: {id: 11, values: [24]}
        - stem: {id: 10, values: [2]}
    layers:
        - terminal: {id: 7, kernel_size: Null, pred1: False, pred2: False}
        - maxpooling: {id: 2, kernel_size: [1, 2], pred1: True, pred2: False}
        - identity: {id: 4, kernel_size: Null, pred1: True, pred2: False}
        - separable: {id: 8, kernel_size: [3], pred1: True, pred2: False, residual: True}
"""


def every_space() -> dict[str, Callable[[], SearchSpace]]:
    spaces: dict[str, Callable[[], SearchSpace]] = {name: lambda name=name: load_space(name) for name in BUILT_IN}
    for kind in ("chain", "multi-branch", "explicit"):
        spaces[f"edited {kind}"] = lambda kind=kind: space_from_text(EVERY_OPERATION, kind=kind)
        spaces[f"one-layer {kind}"] = lambda kind=kind: space_from_text(EVERY_OPERATION, kind=kind, max_layers=1)
    spaces["edited joint"] = lambda: space_from_text(EDITED_EDGE)
    spaces["deep multi-branch"] = lambda: load_space("multi-branch", max_layers=30)
    return spaces


SPACES = every_space()


@pytest.mark.parametrize("check", SPACE_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", SPACES)
def test_space_keeps_the_contract(name: str, check: Callable[[SearchSpace], None]) -> None:
    check(SPACES[name]())


def test_every_check_has_its_own_name_and_says_what_it_is_for() -> None:
    names = [check.__name__ for check in SPACE_CHECKS]
    assert len(set(names)) == len(names)
    assert all(check.__doc__ for check in SPACE_CHECKS)


def chain() -> ChainSpace:
    space = load_space("chain", max_layers=4)
    assert isinstance(space, ChainSpace)
    return space


class Broken(ChainSpace):
    def __init__(self) -> None:
        super().__init__(chain().definition)


class Nameless(Broken):
    def __init__(self) -> None:
        super().__init__()
        self.name = ""


class TwiceTheSameAction(Broken):
    def __init__(self) -> None:
        super().__init__()
        self.actions = (*self.actions[:-1], self.actions[0])


class ActionsAsText(Broken):
    def __init__(self) -> None:
        super().__init__()
        self.actions = ("conv3", "terminal")  # type: ignore[assignment]  # broken on purpose


class TooFewRows(Broken):
    def __init__(self) -> None:
        super().__init__()
        self.n_rows = 2


class BeginsInTheMiddle(Broken):
    def start(self) -> Draft:
        return super().apply(super().start(), 0)


class MasksWhatWorks(Broken):
    def legal(self, draft: Draft) -> NDArray[np.bool_]:
        mask = super().legal(draft)
        mask[2] = False
        return mask


class SharesItsMask(Broken):
    def __init__(self) -> None:
        super().__init__()
        self.shared = np.ones(len(self.actions), dtype=np.bool_)

    def legal(self, draft: Draft) -> NDArray[np.bool_]:
        return self.shared if draft.ending is None else super().legal(draft)


class AllowsActionsAfterTheEnd(Broken):
    def legal(self, draft: Draft) -> NDArray[np.bool_]:
        return np.ones(len(self.actions), dtype=np.bool_)


class IntegerMask(Broken):
    def legal(self, draft: Draft) -> NDArray[np.bool_]:
        return super().legal(draft).astype(np.int8)  # type: ignore[return-value]  # broken on purpose


class NeverFull(Broken):
    def apply(self, draft: Draft, action: int) -> Draft:
        after = super().apply(draft, action)
        return Draft(after.layers) if after.ending is Ending.FULL else after


class TerminatesAsFull(Broken):
    def apply(self, draft: Draft, action: int) -> Draft:
        after = super().apply(draft, action)
        return Draft(after.layers, ending=Ending.FULL) if after.ending is Ending.TERMINAL else after


class WrapsIds(Broken):
    def apply(self, draft: Draft, action: int) -> Draft:
        return super().apply(draft, action % len(self.actions))


class GoesOnAfterTheEnd(Broken):
    def apply(self, draft: Draft, action: int) -> Draft:
        return super().apply(Draft(draft.layers[:1]), action) if draft.ending else super().apply(draft, action)


class RowsFromTheTop(Broken):
    def rows(self, draft: Draft) -> NDArray[np.int64]:
        rows = super().rows(draft)
        return np.roll(rows, -int((~rows.any(axis=1)).sum()), axis=0)


class RowsOfTheLayerBefore(Broken):
    def rows(self, draft: Draft) -> NDArray[np.int64]:
        return super().rows(Draft(draft.layers[:-1], ending=draft.ending))


class BlindToKernels(Broken):
    def observe(self, draft: Draft) -> NDArray[np.float32]:
        grid = super().observe(draft).reshape(self.n_rows, -1)
        grid[:, 8:14] = (1, 0, 0, 0, 0, 0)
        return grid.ravel()


class HalfObservations(Broken):
    def observe(self, draft: Draft) -> NDArray[np.float32]:
        return super().observe(draft) / 2


class NotOneHot(Broken):
    def observe(self, draft: Draft) -> NDArray[np.float32]:
        observation = super().observe(draft)
        observation[0] = len(draft.layers) > 1
        return observation


class PathsToTheWrongNetwork(Broken):
    def path(self, architecture: Architecture) -> tuple[int, ...]:
        return super().path(Architecture(architecture.layers[:1]))


class PathsWithoutAnEnd(Broken):
    def path(self, architecture: Architecture) -> tuple[int, ...]:
        path = super().path(architecture)
        return path[:-1] if len(architecture) < self.max_layers else path


class PathsToAnything(Broken):
    def path(self, architecture: Architecture) -> tuple[int, ...]:
        try:
            return super().path(architecture)
        except ArchitectureError:
            return ()


class CountsTooFew(Broken):
    def count_by_depth(self, leaves: LeafMerge) -> list[int | None]:
        return [1, 2, 2, 2, 2]


class CountsShallowOnly(Broken):
    def count_by_depth(self, leaves: LeafMerge) -> list[int | None]:
        return [1, 7]


class StaysAtHome(Broken):
    def __reduce__(self) -> tuple[Callable[[], SearchSpace], tuple[()]]:
        return (lambda_free_multi_branch, ())


class ChangesItsMind(Broken):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def apply(self, draft: Draft, action: int) -> Draft:
        self.calls += 1
        return super().apply(draft, action if self.calls % 2 else self.actions.index(self._terminal))

    @property
    def _terminal(self) -> Action:
        return self.actions[-1]


def lambda_free_multi_branch() -> SearchSpace:
    return load_space("multi-branch", max_layers=4)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (Nameless, "space.name must not be empty"),
        (TwiceTheSameAction, "two ids mean the same action"),
        (ActionsAsText, "action 0 must be one of nasgym's action types, it is 'conv3'"),
        (TooFewRows, "2 rows cannot hold max_layers=4 layers"),
        (BeginsInTheMiddle, r"start\(\) must have no layers"),
        (MasksWhatWorks, r"legal\(\) says False of action 2 \(conv5\), apply\(\) ends as None"),
        (SharesItsMask, r"legal\(\) gave two answers; is the array its own"),
        (AllowsActionsAfterTheEnd, "nothing is legal after the end"),
        (IntegerMask, r"legal\(\) must be an array of bool, it is int8"),
        (NeverFull, "more than max_layers=4 layers|max_layers=4 are in place, yet it goes on"),
        (TerminatesAsFull, r"action 7 \(terminal\) ended as Ending.FULL"),
        (WrapsIds, r"apply\(start\(\), -1\) must raise ArchitectureError: the ids are 0 to 7"),
        (GoesOnAfterTheEnd, r"apply\(\) must refuse what has ended"),
        (RowsFromTheTop, "empty rows must come first"),
        (RowsOfTheLayerBefore, "rows decode to 'empty', the architecture is"),
        (BlindToKernels, "two drafts look the same"),
        (HalfObservations, "observations hold 0 and 1 only"),
        (NotOneHot, "one-hot groups give always the same number of ones"),
        (PathsToTheWrongNetwork, "path.* builds"),
        (PathsWithoutAnEnd, "does not end the draft"),
        (PathsToAnything, r"path\(\) must raise ArchitectureError for 5 layers, d is 4"),
        (CountsTooFew, r"count_by_depth\(\) says 3 networks up to depth 1, but \d were built"),
        (CountsShallowOnly, r"count_by_depth\(\) must have 5 entries, it has 2"),
        (StaysAtHome, "a pickled and restored space has other actions"),
        (ChangesItsMind, r"apply\(.*\) gave two answers"),
    ],
)
def test_a_broken_space_fails_with_a_message_that_says_why(broken: type[Broken], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_search_space(broken())


def test_the_space_they_were_made_from_keeps_the_contract() -> None:
    check_search_space(Broken())
