import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_architectures import architectures

from nasgym.architectures import Architecture, decode, encode, parse_architecture
from nasgym.core.errors import ArchitectureError


@given(architectures, st.integers(0, 5))
def test_decoding_gives_back_what_was_encoded(architecture: Architecture, spare: int) -> None:
    n_rows = len(encode(architecture)) + spare
    assert decode(encode(architecture, n_rows)) == architecture


def test_a_graph_has_the_rows_written_by_hand() -> None:
    rows = encode(parse_architecture("conv3(0) maxpool2(0) add(1,2) concat(3,1)"), 6)
    assert rows.dtype == np.int64
    assert rows.tolist() == [
        [0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0],
        [1, 1, 3, 0, 0],
        [2, 2, 2, 0, 0],
        [3, 5, 0, 1, 2],
        [4, 6, 0, 3, 1],
    ]


def test_header_and_residual_rows_extend_the_code() -> None:
    rows = encode(parse_architecture("stem=2 width=16 augment=shift dropout=30 sepconv3+ downconv3"))
    assert rows.tolist() == [
        [0, 10, 2, 0, 0],
        [0, 11, 16, 0, 0],
        [0, 12, 1, 0, 0],
        [0, 13, 30, 0, 0],
        [1, 8, 3, 0, 1],
        [2, 9, 3, 1, 0],
    ]


def test_empty_rows_terminal_rows_and_index_gaps_do_not_matter() -> None:
    rows = [[7, 7, 0, 0, 0], [0, 0, 0, 0, 0], [5, 5, 0, 2, 4], [2, 1, 3, 0, 0], [4, 1, 5, 2, 0]]
    assert decode(rows) == parse_architecture("conv3(0) conv5(1) add(1,2)")


def test_nothing_decodes_to_the_empty_architecture() -> None:
    assert decode([]) == decode(np.zeros((10, 5))) == Architecture()


def test_the_multi_branch_network_of_the_paper_is_decoded() -> None:
    rows = [
        [1, 1, 5, 0, 0],
        [2, 1, 5, 1, 0],
        [3, 3, 3, 2, 0],
        [4, 1, 5, 3, 0],
        [5, 2, 2, 4, 0],
        [6, 2, 2, 4, 0],
        [7, 2, 2, 5, 0],
        [8, 1, 5, 6, 0],
        [9, 2, 2, 7, 0],
        [10, 3, 3, 8, 0],
    ]
    architecture = decode(rows)
    assert architecture.leaves == (9, 10)
    assert architecture.is_multi_branch
    assert encode(architecture).tolist() == rows


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[1, 1, 3, 0]], r"An NSC array has shape \(n, 5\), .* got \(1, 4\)"),
        ([1, 1, 3, 0, 0], r"An NSC array has shape \(n, 5\)"),
        ([[1, 1, 3, 0, 0], [2, 1]], "not all of one length"),
        ([[1, 1, 3.5, 0, 0]], "whole numbers only"),
        ([[1, 1, float("nan"), 0, 0]], "whole numbers only"),
        ([[1, 1, float("inf"), 0, 0]], "whole numbers only"),
        ([[1, 1, 3j, 0, 0]], "whole numbers only"),
        ([["1", "1", "3", "0", "0"]], "whole numbers only"),
        ([[True, True, True, False, False]], "whole numbers only"),
        ([[1, 1, 10**30, 0, 0]], "whole numbers only"),
        ([[1, 1, 10**7, 0, 0]], "numbers from 0 to 999999 only"),
        ([[1, 1, -3, 0, 0]], "numbers from 0 to 999999 only"),
        ([[1, 99, 3, 0, 0]], r"NSC row 0 .*: unknown type code 99 \(known: 1 to"),
        ([[1, 0, 3, 0, 0]], "unknown type code 0"),
        ([[0, 1, 3, 0, 0]], "NSC row 0 .*: index 0 is taken already, or below 1"),
        ([[1, 1, 3, 0, 0], [1, 1, 3, 0, 0]], "NSC row 1 .*: index 1 is taken already"),
        ([[1, 1, 3, 0, 0], [2, 1, 3, 1, 1]], "'conv' takes one predecessor, pred2 must be 0"),
        ([[1, 2, 2, 0, 1]], "'maxpool' takes one predecessor, pred2 must be 0"),
        ([[1, 1, 3, 4, 0]], "predecessor 4 is not a row before it"),
        ([[1, 1, 3, 1, 0]], "predecessor 1 is not a row before it"),
        ([[1, 1, 3, 0, 0], [2, 5, 0, 1, 0]], r"Layer 2 \(add\) merges \[1, 0\]"),
        ([[1, 4, 2, 0, 0]], "'identity' needs no kernel size"),
        ([[1, 1, 0, 0, 0]], "'conv' needs a kernel size of at least 1"),
        ([[0, 10, 2, 0, 0]], r"The header lacks 'width' \(NSC type 11\)"),
        ([[0, 10, 2, 0, 0], [0, 10, 4, 0, 0], [0, 11, 8, 0, 0]], "a header row has index 0, .* and stands once"),
        ([[3, 10, 2, 0, 0], [0, 11, 8, 0, 0]], "a header row has index 0"),
        ([[0, 10, 2, 0, 0], [0, 11, 8, 0, 0], [0, 12, 9, 0, 0]], "Unknown augmentation code 9"),
        ([[0, 10, 0, 0, 0], [0, 11, 8, 0, 0]], "Stem stride and base width must be at least 1"),
    ],
)
def test_an_array_that_means_nothing_is_refused_by_row(rows: object, message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        decode(rows)  # type: ignore[arg-type]  # wrong on purpose


def test_more_rows_than_the_space_holds_are_refused() -> None:
    with pytest.raises(ArchitectureError, match="The architecture has 3 rows; the space holds 2"):
        encode(parse_architecture("conv3 conv3 conv3"), 2)


def test_ten_thousand_mutated_arrays_are_decoded_or_refused_by_an_architecture_error() -> None:
    generator = np.random.default_rng(0)
    starts = [
        encode(parse_architecture(text), 8)
        for text in ("conv3 maxpool2", "conv3(0) conv5(1) add(1,2) concat(3,3)", "stem=2 width=8 sepconv3+ downconv3")
    ]
    decoded = 0
    for number in range(10_000):
        rows = starts[number % len(starts)].astype(np.float64 if number % 7 == 0 else np.int64)
        for _ in range(generator.integers(1, 4)):
            place = tuple(generator.integers(rows.shape))
            rows[place] = generator.choice([-1, 0, 1, 2, 3, 5, 7, 9, 10, 13, 99, 10**9])
            if rows.dtype.kind == "f" and generator.random() < 0.1:
                rows[place] = generator.choice([0.5, np.nan, np.inf, -np.inf, 1e300])
        try:
            architecture = decode(rows)
        except ArchitectureError:
            continue
        decoded += 1
        assert decode(encode(architecture)) == architecture
        assert parse_architecture(str(architecture)) == architecture
    assert 100 < decoded < 9_900
