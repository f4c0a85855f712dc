from dataclasses import fields, replace

import pytest

from nasgym.architectures import LeafMerge, parse_architecture
from nasgym.core.errors import ConfigurationError
from nasgym.networks.plan import plan
from nasgym.networks.profiles import (
    DEFAULT,
    NAMED_ARCHITECTURES,
    PAPER,
    PAPER_INTENSIVE,
    PROFILES,
    DenseHead,
    Padding,
    PoolingHead,
    Unit,
    Widths,
    profile,
)

OTHER_VALUES = {
    "name": "other",
    "padding": Padding.SAME,
    "unit": Unit.CONV_RELU,
    "widths": Widths.DOUBLE_AT_POOLING,
    "base_width": 31,
    "width_cap": 33,
    "concatenation_pads_channels": False,
    "leaves": LeafMerge.TOGETHER,
    "head": DenseHead((1024,), 0.5),
    "max_parameters": 1,
}


@pytest.mark.parametrize("name", PROFILES)
def test_every_profile_is_found_by_its_name(name: str) -> None:
    assert profile(name).name == name


def test_an_unknown_profile_names_the_nearest() -> None:
    with pytest.raises(
        ConfigurationError, match=r"Unknown network profile 'papr' \(known: .*\)\. Did you mean 'paper'\?"
    ):
        profile("papr")


def test_the_fingerprint_is_the_same_in_every_process() -> None:
    assert PAPER.fingerprint == "58530be6df9c1bdb"


@pytest.mark.parametrize("name", [field.name for field in fields(PAPER)])
def test_every_field_changes_the_fingerprint(name: str) -> None:
    assert replace(PAPER, **{name: OTHER_VALUES[name]}).fingerprint != PAPER.fingerprint


def test_heads_with_equal_numbers_have_different_fingerprints() -> None:
    pooled, dense = replace(DEFAULT, head=PoolingHead(0.0)), replace(DEFAULT, head=DenseHead((), 0.0))
    assert pooled.fingerprint != dense.fingerprint


def test_ten_intensive_convolutions_double_their_filters_from_32_to_16384() -> None:
    ten = plan(parse_architecture(" ".join(["conv3"] * 10)), (84, 84, 3), 10, PAPER_INTENSIVE)
    assert [node.shape[0] for node in ten.layers] == [2 ** (4 + i) for i in range(1, 11)]
    assert ten.exceeds_cap


def test_the_human_baseline_is_the_network_of_the_paper() -> None:
    named = NAMED_ARCHITECTURES["vgg19-like"]
    planned = plan(named.architecture, (84, 84, 3), 100, named.profile)
    assert [node.shape for node in planned.layers] == [
        (64, 84, 84), (64, 84, 84), (64, 42, 42), (128, 42, 42), (128, 42, 42), (128, 21, 21),
    ]  # fmt: skip
    assert [(dense.outputs, dense.dropout, dense.relu) for dense in planned.head.layers] == [
        (4096, 0.0, True), (4096, 0.0, True), (100, 0.0, False),
    ]  # fmt: skip
    assert planned.parameters == 1_792 + 36_928 + 73_856 + 147_584 + 231_215_104 + 16_781_312 + 409_700
    assert not planned.exceeds_cap
