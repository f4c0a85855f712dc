import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_architectures import architectures

from nasgym.architectures import (
    Architecture,
    Augmentation,
    Header,
    Layer,
    Operation,
    decode,
    format_architecture,
    parse_architecture,
)
from nasgym.core.errors import ArchitectureError


@given(architectures)
def test_parsing_gives_back_what_was_formatted(architecture: Architecture) -> None:
    text = format_architecture(architecture)
    assert parse_architecture(text) == architecture
    assert str(architecture) == text


@pytest.mark.parametrize(
    ("text", "formatted"),
    [
        ("conv3 conv3 maxpool2", "conv3 conv3 maxpool2"),
        ("  conv3\tconv3\nmaxpool2 terminal ", "conv3 conv3 maxpool2"),
        ("conv3(0) conv3(1)", "conv3 conv3"),
        ("conv3 conv5(1) conv3(1) add(2, 3)", "conv3(0) conv5(1) conv3(1) add(2,3)"),
        ("conv3 conv5( 0 ) concat (2,1)", "conv3(0) conv5(0) concat(2,1)"),
        ("conv3 identity add(1,1)", "conv3(0) identity(1) add(1,1)"),
        ("empty", "empty"),
        ("terminal", "empty"),
        ("stem=2 width=16", "stem=2 width=16 empty"),
        ("width=16 stem=2 sepconv3+ downconv3", "stem=2 width=16 sepconv3+ downconv3"),
        (
            "stem=1 width=8 augment=quarter-turns dropout=30 conv3",
            "stem=1 width=8 augment=quarter-turns dropout=30 conv3",
        ),
        ("stem=1 width=8 augment=none dropout=0 conv3", "stem=1 width=8 conv3"),
    ],
)
def test_text_has_one_normal_form(text: str, formatted: str) -> None:
    assert format_architecture(parse_architecture(text)) == formatted


def test_every_part_of_a_text_reaches_its_field() -> None:
    assert parse_architecture("stem=4 width=64 augment=shift-flip dropout=30 sepconv5+(0) maxpool2(0)") == Architecture(
        (Layer(Operation.SEPARABLE, 5, (0,), residual=True), Layer(Operation.MAX_POOLING, 2, (0,))),
        Header(4, 64, Augmentation.SHIFT_FLIP, 30),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "The architecture is an empty text; write 'empty'"),
        ("   ", "The architecture is an empty text"),
        ("convolution3", "Word 1 of the architecture, 'convolution3': unknown operation 'convolution'"),
        (
            "conv3 maxpol2",
            "Word 2 of the architecture, 'maxpol2': unknown operation 'maxpol' .* Did you mean 'maxpool'?",
        ),
        ("conv3 Conv3", "Word 2 of the architecture, 'Conv3', is not a layer"),
        ("conv", "Word 1 of the architecture, 'conv', needs a kernel size, as in conv3"),
        ("conv0", "'conv' needs a kernel size of at least 1, got 0"),
        ("conv3 add", r"Word 2 of the architecture, 'add', must name its two predecessors, as in add\(1,2\)"),
        ("conv3 add(1)", r"'add' takes 2 predecessor\(s\), got \[1\]"),
        ("conv3 add(1,,1)", r"Word 2 of the architecture, 'add\(1,,1\)', is not a layer"),
        ("conv3()", r"Word 1 of the architecture, 'conv3\(\)', is not a layer"),
        ("conv3(1)", r"Layer 1 \(conv\) takes its input from layer 1"),
        ("maxpool2+", "'maxpool' cannot be residual"),
        ("identity3", r"'identity' needs no kernel size \(0\), got 3"),
        ("conv3 terminal conv3", "Word 2 of the architecture, 'terminal': unknown operation"),
        ("conv3(" + "9" * 5000 + ")", "is not a layer"),
        ("conv３", "is not a layer"),
        ("stem=2 conv3", "The header lacks width=…"),
        ("width=2 conv3", "The header lacks stem=…"),
        ("stem=2 stem=2 width=8", "Header setting 'stem' is there twice"),
        ("stems=2 width=8", "Unknown header setting 'stems' .* Did you mean 'stem'?"),
        ("stem=two width=8", "Header setting stem='two' must be a whole number"),
        ("stem=" + "1" * 5000 + " width=8", "must be a whole number of at most six digits"),
        ("stem=2 width=8 augment=flip", "Unknown augmentation 'flip' .* Did you mean 'shift-flip'?"),
        ("stem=0 width=8", "Stem stride and base width must be at least 1"),
        ("conv3 stem=2", "Word 2 of the architecture, 'stem=2', is not a layer"),
    ],
)
def test_a_text_that_is_no_architecture_is_refused_by_word(text: str, message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        parse_architecture(text)


@given(st.text(alphabet="conv3maxpool2add(),+= \tstem12width", max_size=40))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        architecture = parse_architecture(text)
    except ArchitectureError:
        return
    assert parse_architecture(format_architecture(architecture)) == architecture


def test_a_text_of_thousands_of_layers_is_parsed() -> None:
    text = " ".join(["conv3"] * 5000)
    assert format_architecture(parse_architecture(text)) == text


def test_the_best_networks_of_the_paper_are_read(shared_data: Path) -> None:
    figures = json.loads((shared_data / "paper_tables.json").read_text())["figures_18_to_21_early_stop_accuracy"]
    for figure in figures:
        architecture = parse_architecture(figure["arch"]) if "arch" in figure else decode(figure["nsc"])
        assert 1 <= len(architecture) <= 10
        assert parse_architecture(str(architecture)) == architecture
