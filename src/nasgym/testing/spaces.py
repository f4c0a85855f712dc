"""The contract of a search space, for authors of plug-ins.

`check_search_space(MySpace())` raises `AssertionError` with a message that says what is broken. For one test per
check, in a test module::

    @pytest.mark.parametrize("check", SPACE_CHECKS, ids=lambda check: check.__name__)
    def test_contract(check):
        check(MySpace())
"""

import pickle
from collections.abc import Callable, Iterator

import numpy as np

from nasgym.architectures import Architecture, Layer, LeafMerge, Operation, architecture_id, decode
from nasgym.architectures.actions import Action, Terminate
from nasgym.architectures.spaces import Draft, Ending, SearchSpace
from nasgym.core.errors import ArchitectureError
from nasgym.core.randomness import stream

WALKS = 60
"""Random walks of a check."""
LONGEST_WALK = 500
"""Steps after which a walk is given up."""


def check_search_space(space: SearchSpace) -> None:
    """Run every check of `SPACE_CHECKS`.

    Raises:
        AssertionError: the space breaks the contract; says how.
    """
    for check in SPACE_CHECKS:
        check(space)


def check_description(space: SearchSpace) -> None:
    """Names, sizes and actions are there and make sense."""
    for attribute in ("name", "kind"):
        value = getattr(space, attribute, None)
        assert isinstance(value, str), f"space.{attribute} must be a text, it is {value!r}"
        assert value, f"space.{attribute} must not be empty"
    for attribute in ("max_layers", "n_rows", "observation_length", "default_max_steps"):
        number = getattr(space, attribute, None)
        assert isinstance(number, int), f"space.{attribute} must be an int, it is {number!r}"
        assert number >= 1, f"space.{attribute} must be at least 1, it is {number}"
    assert space.n_rows >= space.max_layers, f"{space.n_rows} rows cannot hold max_layers={space.max_layers} layers"
    assert isinstance(space.actions, tuple), f"space.actions must be a tuple, it is a {type(space.actions).__name__}"
    assert space.actions, "space.actions must not be empty"
    for number, action in enumerate(space.actions):
        assert isinstance(action, Action), f"action {number} must be one of nasgym's action types, it is {action!r}"
        assert space.describe(number), f"describe({number}) must say what the action does"
    assert len(set(space.actions)) == len(space.actions), "two ids mean the same action"


def check_start(space: SearchSpace) -> None:
    """The empty draft is empty, and every time the same."""
    draft = space.start()
    assert draft == space.start(), "start() must return equal drafts every time"
    assert draft.layers == (), f"start() must have no layers, it has {draft.layers}"
    assert draft.ending is None, f"start() must not have ended, it has: {draft.ending}"
    assert not space.rows(draft).any(), "the rows of start() must all be empty"


def check_purity(space: SearchSpace) -> None:
    """Nothing changes a draft or the space: the same call gives the same answer."""
    for draft, action in _steps(space, "purity"):
        hash(draft)
        assert space.apply(draft, action) == space.apply(draft, action), f"apply({draft}, {action}) gave two answers"
        mask, rows, observation = space.legal(draft), space.rows(draft), space.observe(draft)
        before = [array.tobytes() for array in (mask, rows, observation)]
        mask[...], rows[...], observation[...] = ~mask, 1, 1
        after = [array.tobytes() for array in (space.legal(draft), space.rows(draft), space.observe(draft))]
        for name, first, second in zip(("legal", "rows", "observe"), before, after, strict=True):
            assert first == second, f"{name}() gave two answers; is the array its own? {draft}"


def check_legality(space: SearchSpace) -> None:
    """`legal` says exactly which actions do not end as `ILLEGAL`, and those change nothing else."""
    for draft in _drafts(space, "legality"):
        mask = space.legal(draft)
        assert mask.shape == (len(space.actions),), f"legal() must have shape ({len(space.actions)},), not {mask.shape}"
        assert mask.dtype == np.bool_, f"legal() must be an array of bool, it is {mask.dtype}"
        if draft.ending is not None:
            assert not mask.any(), f"nothing is legal after the end; {np.flatnonzero(mask).tolist()} are in {draft}"
            continue
        assert mask.any(), f"no action is legal, though the draft has not ended: {draft}"
        for action, legal in enumerate(mask.tolist()):
            after = space.apply(draft, action)
            assert legal == (after.ending is not Ending.ILLEGAL), (
                f"legal() says {legal} of action {action} ({space.describe(action)}), apply() ends as {after.ending}, "
                f"in {draft}"
            )
            if not legal:
                assert space.architecture(after) == space.architecture(draft), (
                    f"illegal action {action} ({space.describe(action)}) changed the architecture of {draft}"
                )


def check_endings(space: SearchSpace) -> None:
    """A terminal action, and only that, gives `TERMINAL`; no draft outgrows `max_layers`; walks come to an end."""
    for draft, action in _steps(space, "endings"):
        after = space.apply(draft, action)
        terminates = isinstance(space.actions[action], Terminate)
        if after.ending is not Ending.ILLEGAL:
            assert terminates == (after.ending is Ending.TERMINAL), (
                f"action {action} ({space.describe(action)}) ended as {after.ending}"
            )
        assert len(after.layers) <= space.max_layers, f"more than max_layers={space.max_layers} layers: {after}"
        if len(after.layers) == space.max_layers:
            assert after.ending is not None, f"max_layers={space.max_layers} are in place, yet it goes on: {after}"


def check_refusals(space: SearchSpace) -> None:
    """`apply` raises `ArchitectureError` for an id outside the space and for a draft that has ended."""
    outside = len(space.actions)
    for action in (-1, outside):
        assert _refuses(space, space.start(), action), (
            f"apply(start(), {action}) must raise ArchitectureError: the ids are 0 to {outside - 1}"
        )
    for draft in _drafts(space, "refusals"):
        if draft.ending is not None:
            assert _refuses(space, draft, 0), f"apply() must refuse what has ended: {draft}"


def check_rows(space: SearchSpace) -> None:
    """Rows have their shape, the empty ones first, and decode to the architecture."""
    for draft in _drafts(space, "rows"):
        rows = space.rows(draft)
        assert rows.shape == (space.n_rows, 5), f"rows() must have shape ({space.n_rows}, 5), not {rows.shape}"
        assert rows.dtype == np.int64, f"rows() must be an array of int64, it is {rows.dtype}"
        filled = rows.any(axis=1)
        assert np.array_equal(filled, np.sort(filled)), f"empty rows must come first: {rows.tolist()}"
        architecture = space.architecture(draft)
        if architecture is not None:
            decoded = decode(rows)
            assert decoded == architecture, f"rows decode to {str(decoded)!r}, the architecture is '{architecture}'"


def check_observations(space: SearchSpace) -> None:
    """Observations have their shape, are one-hot, and tell as much as the rows."""
    seen: dict[bytes, bytes] = {}
    ones: set[int] = set()
    for draft in _drafts(space, "observations"):
        observation = space.observe(draft)
        shape = (space.observation_length,)
        assert observation.shape == shape, f"observe() must have shape {shape}, not {observation.shape}"
        assert observation.dtype == np.float32, f"observe() must be an array of float32, it is {observation.dtype}"
        strange = np.setdiff1d(observation, (0.0, 1.0))
        assert not strange.size, f"observations hold 0 and 1 only, this one {strange[:5].tolist()}: {draft}"
        ones.add(int(observation.sum()))
        assert len(ones) == 1, f"one-hot groups give always the same number of ones, here {sorted(ones)}: {draft}"
        rows = space.rows(draft).tobytes()
        assert seen.setdefault(observation.tobytes(), rows) == rows, f"two drafts look the same; one of them is {draft}"
    assert len(set(seen.values())) == len(seen), "the same rows gave two observations"


def check_paths(space: SearchSpace) -> None:
    """`path` gives legal actions that build the architecture again, and refuses what is not in the space."""
    for draft in _drafts(space, "paths"):
        architecture = space.architecture(draft)
        if architecture is None:
            continue
        rebuilt = space.start()
        for action in space.path(architecture):
            assert space.legal(rebuilt)[action], f"path('{architecture}') takes an illegal action, {action}"
            rebuilt = space.apply(rebuilt, action)
        built = space.architecture(rebuilt)
        assert built == architecture, f"path('{architecture}') builds '{built}'"
        assert rebuilt.ending is not None, f"path('{architecture}') does not end the draft"
    too_deep = Architecture(tuple(Layer(Operation.CONVOLUTION, 3, (n,)) for n in range(space.max_layers + 1)))
    try:
        space.path(too_deep)
    except ArchitectureError:
        return
    raise AssertionError(f"path() must raise ArchitectureError for {len(too_deep)} layers, d is {space.max_layers}")


def check_counts(space: SearchSpace) -> None:
    """`count_by_depth` has an entry for each depth, `None` only at the end, and none below what is met by chance."""
    met: dict[int, set[str]] = {}
    for draft in _drafts(space, "counts"):
        architecture = space.architecture(draft)
        if architecture is not None:
            met.setdefault(len(architecture), set()).add(architecture_id(architecture, LeafMerge.TOGETHER))
    counts = space.count_by_depth(LeafMerge.TOGETHER)
    entries = space.max_layers + 1
    assert len(counts) == entries, f"count_by_depth() must have {entries} entries, it has {len(counts)}"
    known = [count for count in counts if count is not None]
    assert counts == known + [None] * (len(counts) - len(known)), f"numbers come before None in {counts}"
    for depth in range(len(known)):
        found = len(set().union(*(met.get(shallower, set()) for shallower in range(depth + 1))))
        total = sum(known[: depth + 1])
        assert found <= total, f"count_by_depth() says {total} networks up to depth {depth}, but {found} were built"


def check_pickling(space: SearchSpace) -> None:
    """The space travels to other processes."""
    copy = pickle.loads(pickle.dumps(space))
    assert copy.actions == space.actions, "a pickled and restored space has other actions"
    for draft, action in _steps(space, "pickling"):
        assert copy.apply(draft, action) == space.apply(draft, action), "a pickled and restored space acts differently"


SPACE_CHECKS: tuple[Callable[[SearchSpace], None], ...] = (
    check_description,
    check_start,
    check_endings,
    check_purity,
    check_legality,
    check_refusals,
    check_rows,
    check_observations,
    check_paths,
    check_counts,
    check_pickling,
)


def _steps(space: SearchSpace, check: str) -> Iterator[tuple[Draft, int]]:
    """Yield drafts that have not ended, each with an action, from random walks; one action in eight may be illegal."""
    generator = stream(0, "search space contract", check)
    for _ in range(WALKS):
        draft = space.start()
        for _ in range(LONGEST_WALK):
            legal = np.flatnonzero(space.legal(draft))
            any_action = generator.random() < 0.125 or not legal.size
            action = int(generator.integers(len(space.actions)) if any_action else generator.choice(legal))
            yield draft, action
            draft = space.apply(draft, action)
            if draft.ending is not None:
                break
        else:
            raise AssertionError(f"a walk of {LONGEST_WALK} random steps came to no end: {draft}")


def _drafts(space: SearchSpace, check: str) -> Iterator[Draft]:
    """Yield the drafts on random walks, with their ends."""
    yield space.start()
    for draft, action in _steps(space, check):
        yield space.apply(draft, action)


def _refuses(space: SearchSpace, draft: Draft, action: int) -> bool:
    try:
        space.apply(draft, action)
    except ArchitectureError:
        return True
    return False
