"""Hand-worked episodes of the NSC spaces: ids, pointers, merges, endings, rows, observations, paths, counts."""

import numpy as np
import pytest

from nasgym.architectures import Architecture, LeafMerge, architecture_id, parse_architecture
from nasgym.architectures.actions import Terminate
from nasgym.architectures.spaces import Draft, Ending, SearchSpace, load_space
from nasgym.core.errors import ArchitectureError

CONV1, CONV3, CONV5, MAX2, MAX3, AVG2, AVG3, TERMINAL, ADD, CONCAT = range(10)
P1_UP, P1_DOWN, P2_UP, P2_DOWN = range(10, 14)


@pytest.fixture(scope="module")
def chain() -> SearchSpace:
    return load_space("chain")


@pytest.fixture(scope="module")
def branching() -> SearchSpace:
    return load_space("multi-branch")


@pytest.fixture(scope="module")
def explicit() -> SearchSpace:
    return load_space("explicit")


def played(space: SearchSpace, *actions: int) -> Draft:
    draft = space.start()
    for action in actions:
        draft = space.apply(draft, action)
    return draft


def bits(groups: str) -> list[int]:
    return [int(bit) for bit in groups.replace(" ", "")]


def text(space: SearchSpace, draft: Draft) -> str:
    return str(space.architecture(draft))


def test_chain_and_multi_branch_actions_have_the_ids_of_table_2(chain: SearchSpace, branching: SearchSpace) -> None:
    layers = ["conv1", "conv3", "conv5", "maxpool2", "maxpool3", "avgpool2", "avgpool3"]
    assert [chain.describe(action) for action in range(len(chain.actions))] == [*layers, "terminal"]
    assert [branching.describe(action) for action in range(len(branching.actions))] == [
        *(f"{layer} on p1" for layer in layers),
        "terminal",
        "add(p1, p2)",
        "concat(p1, p2)",
        "p1 up",
        "p1 down",
        "p2 up",
        "p2 down",
    ]


def test_explicit_actions_are_ordered_by_operation_kernel_and_predecessors(explicit: SearchSpace) -> None:
    assert len(explicit.actions) == 10**2 + 6 * 10 + 1 == 161
    meanings = [explicit.describe(action) for action in range(161)]
    assert meanings[:2] == ["conv1(0)", "conv1(1)"]
    assert meanings[10] == "conv3(0)"
    assert meanings[69:75] == ["avgpool3(9)", "terminal", "add(1,0)", "add(2,0)", "add(2,1)", "add(3,0)"]
    assert meanings[115:117] == ["add(9,8)", "concat(1,0)"]
    assert meanings[160] == "concat(9,8)"


@pytest.mark.parametrize(
    ("name", "depth", "length", "steps"),
    [
        ("chain", 10, 250, 10),
        ("multi-branch", 10, 360, 20),
        ("explicit", 10, 360, 10),
        ("chain", 4, 4 * (4 + 5 + 10), 4),
        ("multi-branch", 4, 4 * (8 + 5 + 11), 8),
    ],
)
def test_sizes_follow_from_depth_and_largest_kernel(name: str, depth: int, length: int, steps: int) -> None:
    space = load_space(name, max_layers=depth)
    assert (space.observation_length, space.n_rows, space.default_max_steps) == (length, depth, steps)


def test_a_chain_is_built_layer_by_layer_and_closed_by_terminal(chain: SearchSpace) -> None:
    draft = played(chain, CONV3, MAX2, AVG3)
    assert text(chain, draft) == "conv3 maxpool2 avgpool3"
    assert draft.ending is None
    ended = chain.apply(draft, TERMINAL)
    assert ended.ending is Ending.TERMINAL
    assert text(chain, ended) == "conv3 maxpool2 avgpool3"
    assert chain.rows(ended)[-5:].tolist() == [
        [0, 0, 0, 0, 0],
        [1, 1, 3, 0, 0],
        [2, 2, 2, 1, 0],
        [3, 3, 3, 2, 0],
        [4, 7, 0, 0, 0],
    ]


def test_terminating_an_empty_chain_is_legal_and_gives_the_head_alone(chain: SearchSpace) -> None:
    ended = played(chain, TERMINAL)
    assert ended.ending is Ending.TERMINAL
    assert chain.architecture(ended) == Architecture()
    assert chain.rows(ended)[-1].tolist() == [1, 7, 0, 0, 0]


def test_the_tenth_layer_ends_a_chain_as_full(chain: SearchSpace) -> None:
    draft = played(chain, *[CONV1] * 9)
    assert draft.ending is None
    assert chain.apply(draft, CONV1).ending is Ending.FULL
    assert chain.apply(draft, TERMINAL).ending is Ending.TERMINAL


def test_the_observation_of_a_chain_is_the_one_written_by_hand() -> None:
    space = load_space("chain", max_layers=2)
    observation = space.observe(played(space, MAX3)).reshape(2, 8 + 6 + 3)
    empty = bits("10000000 100000 100")
    layer = bits("00100000 000100 100")
    assert observation.tolist() == [empty, layer]
    ended = space.observe(played(space, MAX3, TERMINAL)).reshape(2, 17)
    terminal = bits("00000001 100000 100")
    assert ended.tolist() == [layer, terminal]


def test_the_observation_of_a_graph_holds_both_predecessors() -> None:
    space = load_space("multi-branch", max_layers=2)
    observation = space.observe(played(space, CONV5, ADD)).reshape(2, 8 + 6 + 3 + 3)
    conv = bits("01000000 000001 100 100")
    add = bits("00000100 100000 010 010")
    assert observation.tolist() == [conv, add]


@pytest.mark.parametrize("shift", [P1_UP, P1_DOWN, P2_UP, P2_DOWN])
def test_no_pointer_can_move_on_the_empty_network(branching: SearchSpace, shift: int) -> None:
    assert not branching.legal(branching.start())[shift]
    ended = played(branching, shift)
    assert ended.ending is Ending.ILLEGAL
    assert ended.pointers == (0, 0)
    assert branching.architecture(ended) == Architecture()


def test_pointers_start_at_the_newest_layer_and_move_within_the_network(branching: SearchSpace) -> None:
    draft = played(branching, CONV1, CONV1)
    assert not branching.legal(draft)[[P1_UP, P2_UP]].any()
    assert branching.legal(draft)[[P1_DOWN, P2_DOWN]].all()
    at_the_image = played(branching, CONV1, CONV1, P1_DOWN, P1_DOWN)
    assert at_the_image.pointers == (-2, 0)
    assert not branching.legal(at_the_image)[P1_DOWN]
    assert branching.apply(at_the_image, P1_DOWN).ending is Ending.ILLEGAL
    assert branching.apply(at_the_image, P1_UP).pointers == (-1, 0)


def test_pointers_stay_where_they_are_relative_to_the_newest_layer(branching: SearchSpace) -> None:
    draft = played(branching, CONV1, CONV3, P1_DOWN, CONV5, CONV5, CONV5)
    assert draft.pointers == (-1, 0)
    assert text(branching, draft) == "conv1(0) conv3(1) conv5(1) conv5(2) conv5(3)"


def test_merges_join_both_pointers_in_their_order(branching: SearchSpace) -> None:
    draft = played(branching, CONV1, CONV3, P1_DOWN, ADD, P2_DOWN, P2_DOWN, CONCAT)
    assert text(branching, draft) == "conv1(0) conv3(1) add(1,2) concat(2,1)"
    assert draft.pointers == (-1, -2)


def test_a_layer_can_be_merged_with_itself(branching: SearchSpace) -> None:
    assert text(branching, played(branching, CONV3, ADD, CONCAT)) == "conv3(0) add(1,1) concat(2,2)"


@pytest.mark.parametrize("merge", [ADD, CONCAT])
@pytest.mark.parametrize("actions", [(), (CONV1, P1_DOWN), (CONV1, P2_DOWN), (CONV1, P1_DOWN, P2_DOWN)])
def test_the_image_cannot_be_merged(branching: SearchSpace, actions: tuple[int, ...], merge: int) -> None:
    draft = played(branching, *actions)
    assert not branching.legal(draft)[merge]
    ended = branching.apply(draft, merge)
    assert ended.ending is Ending.ILLEGAL
    assert branching.architecture(ended) == branching.architecture(draft)


def test_one_input_layers_can_take_the_image_through_p1(branching: SearchSpace) -> None:
    assert text(branching, played(branching, CONV1, P1_DOWN, CONV3)) == "conv1(0) conv3(0)"


def test_predecessors_that_are_not_built_are_illegal_in_the_explicit_space(explicit: SearchSpace) -> None:
    conv3_on = {source: 10 + source for source in range(10)}
    draft = explicit.apply(explicit.start(), conv3_on[0])
    assert explicit.legal(draft)[conv3_on[1]]
    assert not explicit.legal(draft)[conv3_on[2]]
    assert explicit.apply(draft, conv3_on[2]).ending is Ending.ILLEGAL
    meanings = [explicit.describe(action) for action in range(161)]
    draft = explicit.apply(draft, conv3_on[0])
    assert explicit.legal(draft)[meanings.index("add(2,1)")]
    assert not explicit.legal(draft)[meanings.index("add(2,0)")]
    assert text(explicit, explicit.apply(draft, meanings.index("concat(2,1)"))) == "conv3(0) conv3(0) concat(2,1)"


def test_an_action_outside_the_space_is_refused_by_name(chain: SearchSpace) -> None:
    with pytest.raises(ArchitectureError, match="Action 8 is not one of space 'chain', whose actions are 0 to 7"):
        chain.apply(chain.start(), 8)
    with pytest.raises(ArchitectureError, match="Action -1 is not one of space 'chain'"):
        chain.apply(chain.start(), -1)
    with pytest.raises(ArchitectureError, match=r"An action is a whole number, got 1\.0"):
        chain.apply(chain.start(), 1.0)  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(ArchitectureError, match=r"The architecture has ended \(terminal\) and takes no more actions"):
        played(chain, TERMINAL, CONV1)


def test_numpy_integers_are_actions(chain: SearchSpace) -> None:
    assert chain.apply(chain.start(), np.int64(CONV3)) == chain.apply(chain.start(), CONV3)


@pytest.mark.parametrize(
    ("architecture", "path"),
    [
        ("empty", (TERMINAL,)),
        ("conv3 maxpool2", (CONV3, MAX2, TERMINAL)),
        ("conv3(0) conv5(0)", (CONV3, P1_DOWN, CONV5, TERMINAL)),
        ("conv3(0) add(1,1)", (CONV3, ADD, TERMINAL)),
        ("conv1(0) conv3(1) add(1,2)", (CONV1, CONV3, P1_DOWN, ADD, TERMINAL)),
        ("conv1(0) conv3(1) concat(2,1) conv3(3)", (CONV1, CONV3, P2_DOWN, CONCAT, CONV3, TERMINAL)),
        (
            "conv1(0) conv3(0) conv5(0) conv1(3)",
            (CONV1, P1_DOWN, CONV3, P1_DOWN, CONV5, P1_UP, P1_UP, CONV1, TERMINAL),
        ),
        (" ".join(["conv1"] * 10), (CONV1,) * 10),
    ],
)
def test_multi_branch_paths_move_pointers_as_little_as_possible(
    branching: SearchSpace, architecture: str, path: tuple[int, ...]
) -> None:
    assert branching.path(parse_architecture(architecture)) == path


def test_no_shorter_sequence_of_actions_builds_the_same(branching: SearchSpace) -> None:
    target = parse_architecture("conv1(0) conv3(0) add(1,2)")
    path = branching.path(target)
    reached = {branching.start()}
    for _ in range(len(path) - 2):
        reached = {
            branching.apply(draft, int(action))
            for draft in reached
            if draft.ending is None
            for action in np.flatnonzero(branching.legal(draft))
            if action in (CONV1, CONV3, ADD, P1_UP, P1_DOWN, P2_UP, P2_DOWN)
        }
        assert target not in {branching.architecture(draft) for draft in reached}


@pytest.mark.parametrize(
    ("space", "architecture", "message"),
    [
        ("chain", "conv3(0) conv3(0)", r"Layer 2 \(conv3 on \[0\]\) is not in space 'chain': no action adds it"),
        ("chain", "conv3 conv7", r"Layer 2 \(conv7 on \[1\]\) is not in space 'chain'"),
        ("chain", "conv3 identity", r"Layer 2 \(identity on \[1\]\)"),
        ("chain", " ".join(["conv3"] * 11), "Layer 11: the architecture has 11 layers, space 'chain' at most 10"),
        ("chain", "stem=1 width=8 conv3", "The architecture has a header; space 'chain' has none"),
        ("multi-branch", "conv3+", r"Layer 1 \(conv3\+ on \[0\]\)"),
        ("multi-branch", "sepconv3", r"Layer 1 \(sepconv3 on \[0\]\)"),
        ("explicit", "conv3 concat(1,1)", r"Layer 2 \(concat on \[1, 1\]\)"),
        ("explicit", "conv3(0) conv3(0) concat(1,2)", r"Layer 3 \(concat on \[1, 2\]\)"),
    ],
)
def test_an_architecture_outside_the_space_has_no_path(space: str, architecture: str, message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        load_space(space).path(parse_architecture(architecture))


def test_the_explicit_space_builds_an_addition_with_the_later_predecessor_first(explicit: SearchSpace) -> None:
    architecture = parse_architecture("conv3(0) conv5(0) add(1,2)")
    built = explicit.architecture(played(explicit, *explicit.path(architecture)))
    assert str(built) == "conv3(0) conv5(0) add(2,1)"
    assert built is not None
    for leaves in LeafMerge:
        assert architecture_id(built, leaves) == architecture_id(architecture, leaves)


def test_chains_are_counted_in_closed_form(chain: SearchSpace) -> None:
    for leaves in LeafMerge:
        assert chain.count_by_depth(leaves) == [7**depth for depth in range(11)]


@pytest.mark.parametrize("leaves", list(LeafMerge))
@pytest.mark.parametrize("name", ["multi-branch", "explicit"])
def test_the_counts_of_graphs_are_those_of_playing_every_game(name: str, leaves: LeafMerge) -> None:
    space = load_space(name, max_layers=2)
    reached, known, counts = {space.start()}, set(), []
    found: dict[str, int] = {}
    while reached:
        for draft in reached:
            architecture = space.architecture(draft)
            assert architecture is not None
            identity = architecture_id(architecture, leaves)
            found[identity] = min(found.get(identity, 99), len(architecture))
        known |= reached
        reached = {
            space.apply(draft, int(action))
            for draft in reached
            if draft.ending is None
            for action in np.flatnonzero(space.legal(draft))
            if not isinstance(space.actions[action], Terminate)
        } - known
    counts = [list(found.values()).count(depth) for depth in range(3)]
    assert space.count_by_depth(leaves) == counts
    assert counts == [1, 7, 112 if name == "multi-branch" else 98]


def test_graphs_too_many_to_write_are_not_counted(branching: SearchSpace) -> None:
    counts = branching.count_by_depth(LeafMerge.TOGETHER)
    assert counts[:3] == [1, 7, 112]
    assert counts[4:] == [None] * 7
