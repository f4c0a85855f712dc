"""`edge`, `joint` and the complete `edge-mini`."""

import numpy as np
import pytest

from nasgym.architectures import Architecture, LeafMerge, architecture_id, parse_architecture
from nasgym.architectures.spaces import Draft, EdgeMiniSpace, Ending, SearchSpace, load_space
from nasgym.core.errors import ArchitectureError, PlanError
from nasgym.core.randomness import stream
from nasgym.networks.plan import plan
from nasgym.networks.profiles import DEFAULT


def build(space: SearchSpace, *meanings: str) -> Draft:
    ids = {space.describe(action): action for action in range(len(space.actions))}
    draft = space.start()
    for meaning in meanings:
        draft = space.apply(draft, ids[meaning])
    return draft


def legal(space: SearchSpace, draft: Draft) -> list[str]:
    return [space.describe(int(action)) for action in np.flatnonzero(space.legal(draft))]


EDGE_LAYERS = [
    "conv3",
    "conv3+",
    "conv5",
    "conv5+",
    "sepconv3",
    "sepconv3+",
    "sepconv5",
    "sepconv5+",
    "downconv3",
    "maxpool2",
    "avgpool2",
    "terminal",
]


def test_edge_actions_are_header_values_layers_with_their_residual_twins_and_terminal() -> None:
    space = load_space("edge")
    header = ["stem=1", "stem=2", "stem=4", "width=8", "width=16", "width=32", "width=64"]
    assert [space.describe(action) for action in range(len(space.actions))] == header + EDGE_LAYERS


def test_joint_adds_augmentation_and_dropout_to_the_header() -> None:
    space = load_space("joint")
    meanings = [space.describe(action) for action in range(len(space.actions))]
    assert meanings[7:13] == [
        "augment=none",
        "augment=shift",
        "augment=shift-flip",
        "augment=quarter-turns",
        "dropout=0",
        "dropout=30",
    ]
    assert meanings[13:] == EDGE_LAYERS
    draft = build(space, "stem=2", "width=16", "augment=quarter-turns", "dropout=30", "sepconv3+", "terminal")
    assert str(space.architecture(draft)) == "stem=2 width=16 augment=quarter-turns dropout=30 sepconv3+"


def test_header_choices_come_one_at_a_time_before_the_layers() -> None:
    space = load_space("edge")
    draft = space.start()
    assert space.architecture(draft) is None
    assert legal(space, draft) == ["stem=1", "stem=2", "stem=4"]
    draft = build(space, "stem=2")
    assert space.architecture(draft) is None
    assert legal(space, draft) == ["width=8", "width=16", "width=32", "width=64"]
    draft = build(space, "stem=2", "width=8")
    assert space.architecture(draft) == parse_architecture("stem=2 width=8")
    assert legal(space, draft) == EDGE_LAYERS
    assert space.apply(draft, 0).ending is Ending.ILLEGAL
    assert build(space, "conv3").ending is Ending.ILLEGAL
    assert build(space, "terminal").ending is Ending.ILLEGAL
    assert build(space, "stem=2", "stem=1").ending is Ending.ILLEGAL


def test_a_residual_needs_a_convolution_of_its_width_before_it() -> None:
    space = load_space("edge")
    residuals = {meaning for meaning in EDGE_LAYERS if meaning.endswith("+")}
    for before, allowed in (
        ((), True),
        (("conv3",), True),
        (("downconv3",), True),
        (("sepconv3", "conv5+"), True),
        (("maxpool2",), False),
        (("conv3", "avgpool2"), False),
        (("conv3", "avgpool2", "conv3"), True),
    ):
        draft = build(space, "stem=1", "width=8", *before)
        assert residuals.issubset(legal(space, draft)) == allowed, before
        assert residuals.isdisjoint(legal(space, draft)) != allowed, before
    assert build(space, "stem=1", "width=8", "maxpool2", "conv3+").ending is Ending.ILLEGAL


@pytest.mark.parametrize("name", ["edge", "joint", "edge-mini"])
def test_every_residual_that_is_legal_can_be_planned(name: str) -> None:
    space = load_space(name)
    generator = stream(0, "edge residuals", name)
    for _ in range(150):
        draft = space.start()
        while draft.ending is None:
            draft = space.apply(draft, int(generator.choice(np.flatnonzero(space.legal(draft)))))
        architecture = space.architecture(draft)
        assert architecture is not None
        for index, layer in enumerate(architecture.layers, start=1):
            prefix = Architecture(architecture.layers[:index], architecture.header)
            if layer.residual and exists(Architecture(prefix.layers[:-1], prefix.header)):
                assert exists(prefix), str(prefix)


def exists(architecture: Architecture) -> bool:
    try:
        plan(architecture, (128, 128, 3), 10, DEFAULT)
    except PlanError:
        return False
    return True


def test_rows_hold_the_header_first_and_the_residual_bit() -> None:
    space = load_space("edge")
    draft = build(space, "stem=4", "width=32", "sepconv5+", "downconv3", "terminal")
    assert space.rows(draft).shape == (12, 5)
    assert space.rows(draft)[-6:].tolist() == [
        [0, 0, 0, 0, 0],
        [0, 10, 4, 0, 0],
        [0, 11, 32, 0, 0],
        [1, 8, 5, 0, 1],
        [2, 9, 3, 1, 0],
        [3, 7, 0, 0, 0],
    ]
    assert space.rows(build(space, "stem=4"))[-2:].tolist() == [[0, 0, 0, 0, 0], [0, 10, 4, 0, 0]]


def test_the_observation_has_header_groups_then_rows() -> None:
    space = load_space("edge", max_layers=2)
    row = 10 + 6 + 3 + 2
    assert space.observation_length == 4 + 5 + 2 * row
    start = space.observe(space.start())
    assert start[:9].tolist() == [1, 0, 0, 0, 1, 0, 0, 0, 0]
    observation = space.observe(build(space, "stem=2", "width=64", "sepconv3+"))
    assert observation[:9].tolist() == [0, 0, 1, 0, 0, 0, 0, 0, 1]
    empty, layer = observation[9:].reshape(2, row).tolist()
    assert empty == [1] + [0] * 9 + [1] + [0] * 5 + [1, 0, 0] + [1, 0]
    assert layer == [0] * 8 + [1, 0] + [0, 0, 0, 1, 0, 0] + [1, 0, 0] + [0, 1]


@pytest.mark.parametrize(
    ("name", "rows", "length", "steps"), [("edge", 12, 299, 12), ("joint", 14, 307, 14), ("edge-mini", 11, 259, 5)]
)
def test_sizes_of_the_spaces_with_a_header(name: str, rows: int, length: int, steps: int) -> None:
    space = load_space(name)
    assert (space.n_rows, space.observation_length, space.default_max_steps) == (rows, length, steps)


@pytest.mark.parametrize("name", ["edge", "joint"])
def test_networks_are_counted_exactly(name: str) -> None:
    space = load_space(name, max_layers=3)
    headers = 12 if name == "edge" else 96
    first = space.start()
    while space.architecture(first) is None:
        first = space.apply(first, int(np.flatnonzero(space.legal(first))[0]))
    written, frontier = [], [first]
    while frontier:
        written.append(len({space.architecture(draft) for draft in frontier}))
        frontier = [
            after
            for draft in frontier
            if draft.ending is None
            for action in np.flatnonzero(space.legal(draft))
            if (after := space.apply(draft, int(action))).ending is not Ending.TERMINAL
        ]
    assert space.count_by_depth(LeafMerge.TOGETHER) == [headers * count for count in written]
    assert written[:2] == [1, 11]


@pytest.mark.parametrize(
    ("name", "architecture", "message"),
    [
        ("edge", "conv3", "The architecture has no header; in space 'edge' it begins with stem=… width=…"),
        ("edge", "stem=3 width=8", r"Header choice stem=3 is not in space 'edge' \(known: stem=1, stem=2, stem=4\)"),
        ("edge", "stem=1 width=8 augment=shift", "Header choice augment=shift: space 'edge' has no such choice"),
        ("edge", "stem=1 width=8 dropout=30", "Header choice dropout=30: space 'edge' has no such choice"),
        ("joint", "stem=1 width=8 dropout=20", "Header choice dropout=20 is not in space 'joint'"),
        (
            "edge",
            "stem=1 width=8 maxpool2 conv3+",
            r"Layer 2 \(conv3\+\) cannot be residual in space 'edge': a pooling",
        ),
        ("edge", "stem=1 width=8 conv3(0) conv3(0)", r"Layer 2 \(conv3 on \[0\]\) is not in space 'edge'"),
        ("edge", "stem=1 width=8 downconv3+", r"Layer 1 \(downconv3\+ on \[0\]\) is not in space 'edge'"),
        ("edge-mini", "stem=4 width=8 conv3", "Header choice stem=4 is not in space 'edge-mini'"),
        ("edge-mini", "stem=1 width=8 conv3 maxpool2 conv5", "departs from that at layer 3"),
        ("edge-mini", "stem=1 width=8 conv3 maxpool2", "departs from that at layer 3"),
        ("edge-mini", "stem=1 width=8 " + "conv3 maxpool2 " * 4, "departs from that at layer 7"),
    ],
)
def test_what_is_not_in_the_space_has_no_path(name: str, architecture: str, message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        load_space(name).path(parse_architecture(architecture))


def edge_mini() -> EdgeMiniSpace:
    space = load_space("edge-mini")
    assert isinstance(space, EdgeMiniSpace)
    return space


def test_edge_mini_holds_exactly_384_networks() -> None:
    space = edge_mini()
    every = list(space.architectures())
    for leaves in LeafMerge:
        assert len({architecture_id(architecture, leaves) for architecture in every}) == len(every) == 384
    counts = space.count_by_depth(LeafMerge.TOGETHER)
    assert counts == [0, 0, 0, 0, 0, 0, 162, 162, 54, 6]
    assert str(every[0]) == "stem=1 width=8 conv3 maxpool2 conv3 maxpool2 conv3 maxpool2"
    assert str(every[-1]) == "stem=2 width=32 sepconv5 maxpool2 sepconv5 maxpool2 sepconv5 maxpool2"


def test_playing_every_game_of_edge_mini_builds_each_network_once() -> None:
    space = edge_mini()
    frontier, built = [space.start()], []
    while frontier:
        draft = frontier.pop()
        if draft.ending is Ending.FULL:
            built.append(space.architecture(draft))
            continue
        assert space.architecture(draft) is None
        frontier += [space.apply(draft, int(action)) for action in np.flatnonzero(space.legal(draft))]
    assert len(built) == 384
    assert set(built) == set(space.architectures())


def test_every_network_of_edge_mini_is_in_edge_and_fits_28_pixels() -> None:
    edge = load_space("edge")
    for architecture in edge_mini().architectures():
        draft = edge.start()
        for action in edge.path(architecture):
            draft = edge.apply(draft, action)
        assert edge.architecture(draft) == architecture
        assert plan(architecture, (28, 28, 1), 10, DEFAULT).parameters > 0


def test_the_empty_edge_network_is_its_stem() -> None:
    space = load_space("edge")
    draft = build(space, "stem=1", "width=8", "terminal")
    assert draft.ending is Ending.TERMINAL
    assert space.architecture(draft) == Architecture((), parse_architecture("stem=1 width=8").header)
