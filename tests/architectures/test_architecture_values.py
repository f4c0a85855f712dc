import pytest

from nasgym.architectures import Architecture, Augmentation, Header, Layer, Operation, parse_architecture
from nasgym.core.errors import ArchitectureError


def conv(*inputs: int) -> Layer:
    return Layer(Operation.CONVOLUTION, 3, inputs)


def test_equal_architectures_are_equal_keys() -> None:
    first, second = Architecture((conv(0), conv(1))), Architecture((conv(0), conv(1)))
    assert first == second
    assert {first: "kept"}[second] == "kept"


def test_the_empty_architecture_is_valid_and_ends_in_the_image() -> None:
    empty = Architecture()
    assert len(empty) == empty.depth == 0
    assert empty.leaves == (0,)
    assert empty.is_chain
    assert not empty.is_multi_branch


@pytest.mark.parametrize(
    ("text", "leaves", "is_chain", "is_multi_branch"),
    [
        ("conv3 conv3 maxpool2", (3,), True, False),
        ("conv3(0) conv5(0)", (1, 2), False, True),
        ("conv3(0) conv3(1) conv3(1) add(2,3)", (4,), False, True),
        ("conv3(0) add(1,1)", (2,), False, True),
        ("conv3(0) conv3(1) conv5(0) maxpool2(1)", (2, 3, 4), False, True),
    ],
)
def test_leaves_and_branches_are_those_seen_on_paper(
    text: str, leaves: tuple[int, ...], is_chain: bool, is_multi_branch: bool
) -> None:
    architecture = parse_architecture(text)
    assert architecture.leaves == leaves
    assert architecture.is_chain == is_chain
    assert architecture.is_multi_branch == is_multi_branch


@pytest.mark.parametrize(
    ("operation", "kernel", "inputs", "residual", "message"),
    [
        (Operation.TERMINAL, 0, (), False, "'terminal' is not a layer: a layer computes something"),
        (Operation.STEM_STRIDE, 2, (), False, "'stem' is not a layer"),
        (Operation.CONVOLUTION, 3, (1, 2), False, r"'conv' takes 1 predecessor\(s\), got \[1, 2\]"),
        (Operation.ADDITION, 0, (1,), False, r"'add' takes 2 predecessor\(s\), got \[1\]"),
        (Operation.CONVOLUTION, 0, (0,), False, "'conv' needs a kernel size of at least 1, got 0"),
        (Operation.MAX_POOLING, -2, (0,), False, "'maxpool' needs a kernel size of at least 1, got -2"),
        (Operation.IDENTITY, 3, (0,), False, r"'identity' needs no kernel size \(0\), got 3"),
        (Operation.IDENTITY, -1, (0,), False, r"'identity' needs no kernel size \(0\), got -1"),
        (Operation.MAX_POOLING, 2, (0,), True, "'maxpool' cannot be residual: only convolutions can"),
    ],
)
def test_a_layer_that_means_nothing_is_refused(
    operation: Operation, kernel: int, inputs: tuple[int, ...], residual: bool, message: str
) -> None:
    with pytest.raises(ArchitectureError, match=message):
        Layer(operation, kernel, inputs, residual)


def test_a_layer_cannot_use_a_layer_that_comes_after_it() -> None:
    with pytest.raises(ArchitectureError, match=r"Layer 2 \(conv\) takes its input from layer 2; only 0 .* to 1"):
        Architecture((conv(0), conv(2)))
    with pytest.raises(ArchitectureError, match=r"Layer 1 \(conv\) takes its input from layer -1"):
        Architecture((conv(-1),))


def test_the_image_cannot_be_merged() -> None:
    with pytest.raises(ArchitectureError, match=r"Layer 2 \(add\) merges \[1, 0\]; both predecessors must be layers"):
        Architecture((conv(0), Layer(Operation.ADDITION, 0, (1, 0))))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"stem_stride": 0, "base_width": 8}, "Stem stride and base width must be at least 1, got 0 and 8"),
        ({"stem_stride": 1, "base_width": -8}, "must be at least 1, got 1 and -8"),
        ({"stem_stride": 1, "base_width": 8, "dropout": 100}, "Dropout is a percentage from 0 to 99, got 100"),
        ({"stem_stride": 1, "base_width": 8, "dropout": -1}, "Dropout is a percentage from 0 to 99, got -1"),
    ],
)
def test_a_header_out_of_range_is_refused(settings: dict[str, int], message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        Header(**settings)  # type: ignore[arg-type]  # a table of keywords


def test_type_codes_are_those_of_the_neural_structure_code() -> None:
    assert [operation.value for operation in Operation][:13] == list(range(1, 14))
    assert [operation.token for operation in Operation][:7] == [
        "conv",
        "maxpool",
        "avgpool",
        "identity",
        "add",
        "concat",
        "terminal",
    ]
    assert [operation.arity for operation in Operation][:13] == [1, 1, 1, 1, 2, 2, 0, 1, 1, 0, 0, 0, 0]
    assert [augmentation.token for augmentation in Augmentation] == ["none", "shift", "shift-flip", "quarter-turns"]
