"""Fixed skeletons: NAS-Bench-201 cells, NAS-Bench-Macro chains, NAS-Bench-MR codes: values, text, rows, spaces."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasgym.architectures import (
    Architecture,
    Header,
    Layer,
    LeafMerge,
    Operation,
    Skeleton,
    architecture_id,
    canonical,
    decode,
    encode,
    format_architecture,
    parse_architecture,
)
from nasgym.architectures.nasbench201 import format_cell, parse_cell
from nasgym.architectures.skeletons import SLOTS
from nasgym.architectures.spaces import Ending, FixedSpace, load_space
from nasgym.core.errors import ArchitectureError, ConfigurationError

CELL = "|avg_pool_3x3~0|+|nor_conv_1x1~0|none~1|+|nor_conv_3x3~0|skip_connect~1|none~2|"
CELL_TEXT = "skeleton=cell201 avgsame3 conv1 none conv3 identity none"
CELL_ROWS = [
    [0, 18, 1, 0, 0],
    [1, 15, 3, 0, 0],
    [2, 1, 1, 0, 0],
    [3, 14, 0, 1, 0],
    [4, 1, 3, 0, 0],
    [5, 4, 0, 1, 0],
    [6, 14, 0, 2, 0],
]


@st.composite
def filled(draw: st.DrawFn) -> Architecture:
    space = FixedSpace(draw(st.sampled_from(tuple(SLOTS))))
    return space.filled(tuple(draw(st.sampled_from(slot.choices)) for slot in space.slots))


@given(filled())
def test_text_and_rows_give_the_same_network_back(architecture: Architecture) -> None:
    assert parse_architecture(format_architecture(architecture)) == architecture
    assert decode(encode(architecture)) == architecture


@given(filled(), filled())
def test_every_filling_is_its_own_canonical_form(first: Architecture, second: Architecture) -> None:
    for leaves in LeafMerge:
        assert canonical(first, leaves) == first
        assert (architecture_id(first, leaves) == architecture_id(second, leaves)) == (first == second)


def test_a_cell_reads_as_the_benchmark_writes_it() -> None:
    cell = parse_architecture(CELL)
    assert cell == parse_cell(f" {CELL} ") == parse_architecture(CELL_TEXT)
    assert str(cell) == CELL_TEXT
    assert format_cell(cell) == CELL
    assert encode(cell).tolist() == CELL_ROWS
    assert cell.leaves == (6,)
    assert cell.is_multi_branch


def test_a_cell_without_shortcuts_is_no_chain_of_the_same_words() -> None:
    words = "conv3 conv3 conv3 conv3 conv3 conv3"
    cell, chain = parse_architecture(f"skeleton=cell201 {words}"), parse_architecture(words)
    assert cell != chain
    assert architecture_id(cell, LeafMerge.TOGETHER) != architecture_id(chain, LeafMerge.TOGETHER)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "skeleton=macr mbconv3",
            "Unknown skeleton 'macr' (known: cell201, macro, multi-resolution). Did you mean 'macro'?",
        ),
        ("skeleton=macro mbconv3", "Skeleton 'macro' has 8 layers, got 1."),
        ("mbconv3 conv3", "Layer 1 (mbconv3) only exists in a fixed skeleton"),
        ("skeleton=macro " + "conv3 " * 8, "Layer 1 (conv3 on [0]) does not fit skeleton 'macro': there it is one of"),
        ("skeleton=macro mbconv3 mbconv3(0)" + " identity" * 6, "Layer 2 (mbconv3 on [0]) does not fit"),
        ("skeleton=cell201 width=8 stem=1" + " none" * 6, "Skeleton 'cell201' has no header; leave it out."),
        ("|none~0|+|none~0|none~1|", "is not a NAS-Bench-201 cell; one looks like |none~0|+"),
        (CELL.replace("none~1", "non~1"), "unknown operation 'non' (known: none, skip_connect"),
        (CELL.replace("none~1", "none~0"), "is not a NAS-Bench-201 cell"),
    ],
)
def test_what_fits_no_skeleton_is_refused(text: str, words: str) -> None:
    with pytest.raises(ArchitectureError) as caught:
        parse_architecture(text)
    assert words in str(caught.value)


def test_rows_of_an_unknown_skeleton_are_refused() -> None:
    with pytest.raises(ArchitectureError, match=r"Unknown skeleton code 9 in the NSC .known: 1 to 3"):
        decode([[0, 18, 9, 0, 0], *CELL_ROWS[1:]])
    with pytest.raises(ArchitectureError, match="only exists in a fixed skeleton"):
        decode(CELL_ROWS[1:])


def test_a_skeleton_has_neither_header_nor_residual_layers() -> None:
    layers = tuple(Layer(Operation.CONVOLUTION, 3, (slot.source,)) for slot in SLOTS[Skeleton.CELL201])
    with pytest.raises(ArchitectureError, match="has no header"):
        Architecture(layers, Header(1, 8), Skeleton.CELL201)
    residual = Layer(Operation.CONVOLUTION, 3, (0,), residual=True)
    with pytest.raises(ArchitectureError, match=r"Layer 1 .conv3. on .0.. does not fit"):
        Architecture((residual, *layers[1:]), skeleton=Skeleton.CELL201)


def test_only_a_cell_has_a_benchmark_string() -> None:
    with pytest.raises(ArchitectureError, match="conv3 is not a NAS-Bench-201 cell"):
        format_cell(parse_architecture("conv3"))


@pytest.mark.parametrize(
    ("name", "actions", "slots", "networks"),
    [("cell201", 5, 6, 15_625), ("macro", 3, 8, 6_561), ("multi-resolution", 20, 27, None)],
)
def test_the_spaces_have_the_size_of_their_benchmarks(
    name: str, actions: int, slots: int, networks: int | None
) -> None:
    space = load_space(name)
    assert isinstance(space, FixedSpace)
    assert (len(space.actions), space.max_layers, space.default_max_steps) == (actions, slots, slots)
    assert space.observation_length == slots * (1 + actions)
    assert space.count_by_depth(LeafMerge.TOGETHER) == [0] * slots + [networks]
    if networks is not None:
        assert len(set(space.architectures())) == networks


def test_a_cell_is_built_edge_by_edge_and_ends_with_the_last() -> None:
    space = load_space("cell201")
    draft = space.start()
    for step, action in enumerate((4, 2, 0, 3, 1, 0)):
        assert draft.ending is None
        assert space.architecture(draft) is None
        assert not space.observe(draft)[6 * step + 1 :: 6].any()
        draft = space.apply(draft, action)
    assert draft.ending is Ending.FULL
    assert space.architecture(draft) == parse_architecture(CELL)
    assert space.path(parse_architecture(CELL)) == (4, 2, 0, 3, 1, 0)
    assert space.rows(draft).tolist() == CELL_ROWS
    assert np.flatnonzero(space.observe(draft)).tolist() == [5, 6 + 3, 12 + 1, 18 + 4, 24 + 2, 30 + 1]


def test_numbers_that_do_not_fit_a_slot_are_illegal() -> None:
    space = load_space("multi-resolution")
    labels = [space.describe(action) for action in range(20)]
    assert labels[:6] == ["n1", "n2", "n3", "n4", "n8", "n16"]
    first = space.start()
    assert space.legal(first).tolist() == [False] * 4 + [True] * 16
    assert space.apply(first, 0).ending is Ending.ILLEGAL
    third = space.apply(space.apply(first, 5), 5)
    assert space.legal(third).tolist() == [True] * 4 + [False] * 16


def test_a_space_refuses_networks_of_another_skeleton() -> None:
    with pytest.raises(
        ArchitectureError, match="Space 'macro' fills skeleton 'macro'; the layers of 'conv3' stand for"
    ):
        load_space("macro").path(parse_architecture("conv3"))


def test_a_fixed_space_takes_no_options() -> None:
    with pytest.raises(ConfigurationError, match="'macro' is fixed: leave out kind and max_layers"):
        load_space("macro", max_layers=5)
