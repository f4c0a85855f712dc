import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from network_strategies import SMALL_PROFILES, architectures, input_shapes

from nasgym.architectures import Architecture, parse_architecture
from nasgym.core.errors import PlanError
from nasgym.networks.nodes import Addition, Concatenation, Convolutions, Window
from nasgym.networks.plan import Plan, Trunk, plan
from nasgym.networks.profiles import DEFAULT, PAPER, VGG19_LIKE, DenseHead, NetworkProfile, PoolingHead
from paper_networks import BEST_OF_THE_PAPER


def planned(text: str, profile: NetworkProfile, shape: tuple[int, int, int] = (32, 32, 3), n_classes: int = 10) -> Plan:
    return plan(parse_architecture(text), shape, n_classes, profile)


def relus(result: Plan) -> list[bool]:
    return [step.relu for node in result.nodes for step in node.steps]


@pytest.mark.parametrize(("figure", "architecture", "side"), BEST_OF_THE_PAPER, ids=lambda value: str(value)[:4])
def test_the_best_networks_of_the_paper_end_in_the_published_size(
    figure: str, architecture: Architecture, side: int
) -> None:
    result = plan(architecture, (84, 84, 3), 10, PAPER)
    assert result.nodes[-1].shape[1:] == (side, side)
    assert not result.exceeds_cap


def test_a_paper_network_worked_by_hand() -> None:
    result = planned("conv3 maxpool2", PAPER)
    assert [node.shape for node in result.nodes] == [(3, 32, 32), (32, 30, 30), (32, 15, 15)]
    assert [node.parameters for node in result.nodes] == [0, 864 + 32 + 64, 0]  # kernel, bias, BatchNorm
    assert [node.flops for node in result.nodes] == [0, 2 * 864 * 30 * 30, 0]
    assert [dense.parameters for dense in result.head.layers] == [7200 * 1024 + 1024, 1024 * 10 + 10]
    assert result.parameters == 7_385_034
    assert result.flops == 1_555_200 + 14_745_600 + 20_480
    assert result.density == pytest.approx(2 / 3)
    assert result.peak_activations == 30 * 30 * 32 + 15 * 15 * 32
    assert result.weight_memory_fp32 == 4 * (7_383_904 + 1_066)
    assert result.weight_memory_int8 == 7_383_904 + 4 * 1_066
    assert result.memory == 7_388_168 + 36_000


def test_a_default_network_worked_by_hand() -> None:
    result = planned("conv3 maxpool2 conv3", DEFAULT)
    assert [node.shape for node in result.nodes] == [(3, 32, 32), (16, 32, 32), (16, 16, 16), (32, 16, 16)]
    assert result.parameters == (432 + 32) + (4_608 + 64) + (640 + 10)  # no bias before BatchNorm
    assert result.flops == 884_736 + 2_359_296 + 1_280
    assert result.activation_memory_int8 == 16 * 32 * 32 + 16 * 16 * 16
    assert result.activation_memory_fp32 == 4 * result.activation_memory_int8
    assert relus(result) == [False, True]
    assert result.head.relu


def test_an_edge_network_worked_by_hand() -> None:
    result = planned("stem=2 width=16 dropout=30 sepconv3+ downconv3", DEFAULT)
    assert [node.shape for node in result.nodes] == [(16, 16, 16), (16, 16, 16), (32, 8, 8)]
    assert [node.parameters for node in result.nodes] == [432 + 32, (144 + 32) + (256 + 32), 4_608 + 64]
    assert relus(result) == [False, True, True, True]
    assert result.peak_activations == 3 * 16 * 16 * 16  # input kept for the residual, depthwise output, output
    assert [dense.dropout for dense in result.head.layers] == [0.3]


@pytest.mark.parametrize(("stride", "kernel", "side"), [(1, 3, 31), (2, 3, 16), (4, 5, 8)])
def test_the_stem_leaves_the_image_divided_by_its_stride_rounded_up(stride: int, kernel: int, side: int) -> None:
    stem = planned(f"stem={stride} width=8 empty", DEFAULT, (31, 31, 3)).nodes[0]
    assert stem.shape == (8, side, side)
    assert stem.steps[0].window.kernel == kernel


def test_the_header_width_replaces_the_profile_s_and_doubles_up_to_the_cap() -> None:
    text = "stem=1 width=64 " + "maxpool2 conv3 " * 3 + "downconv3 conv3"
    assert [node.shape[0] for node in planned(text, DEFAULT).layers] == [64, 128, 128, 256, 256, 256, 256, 256]


def test_the_empty_architecture_is_the_head_alone() -> None:
    result = planned("empty", DEFAULT)
    assert result.parameters == 2 * 3 * 10 + 10  # averages and maxima
    assert (result.head.relu, result.density, result.layers) == (False, 0.0, ())
    assert planned("empty", PAPER).parameters == 3072 * 1024 + 1024 + 1024 * 10 + 10


def test_five_leaves_of_32_channels_give_512_in_the_paper_profile() -> None:
    result = planned("conv1(0) conv1(0) conv1(0) conv1(0) conv1(0)", PAPER)
    assert [node.shape[0] for node in result.leaf_merges] == [64, 128, 256, 512]
    assert [node.inputs for node in result.leaf_merges] == [(1, 2), (6, 3), (7, 4), (8, 5)]
    assert result.density == (5 + 5) / 6


def test_five_leaves_are_concatenated_at_once_in_the_default_profile() -> None:
    result = planned("conv1(0) conv1(0) maxpool2(0) conv1(0) conv1(0)", DEFAULT)
    assert [(node.inputs, node.shape) for node in result.leaf_merges] == [((1, 2, 3, 4, 5), (67, 32, 32))]
    assert result.nodes[-1].computes.zeros[2] == (8, 8, 8, 8, 0, 0)


def test_the_paper_s_concatenation_pads_channels_to_twice_the_larger() -> None:
    merge = planned("conv3(0) avgpool3(0) concat(1,2)", PAPER).nodes[3]
    assert merge.shape == (64, 30, 30)
    assert merge.computes == Concatenation(((0, 0, 0, 0, 0, 0), (10, 10, 10, 10, 14, 15)))


@pytest.mark.parametrize("profile", [PAPER, DEFAULT])
def test_addition_pads_both_inputs_to_the_larger_size_with_the_odd_unit_after(profile: NetworkProfile) -> None:
    merge = planned("maxpool2(0) maxpool3(0) conv1(2) add(1,3)", profile, (32, 33, 3)).nodes[4]
    channels = 32
    assert merge.shape == (channels, 16, 16)
    assert merge.computes == Addition(((0, 0, 0, 0, 14, 15), (2, 3, 3, 3, 0, 0)))


def test_the_level_of_a_merge_is_the_largest_of_its_inputs() -> None:
    result = planned("conv3(0) maxpool2(1) add(1,2) conv3(3)", DEFAULT)
    assert result.nodes[4].shape == (32, 32, 32)


def test_a_pooling_of_size_one_neither_shrinks_nor_widens() -> None:
    assert planned("maxpool1 conv3", DEFAULT).nodes[-1].shape == (16, 32, 32)


def test_no_relu_is_applied_to_the_image_or_what_poolings_make_of_it() -> None:
    result = planned("maxpool2(0) identity(1) conv3(2) conv3(3) add(1,2) conv3(5) add(4,5) conv3(7)", DEFAULT)
    assert relus(result) == [False, True, False, True]
    assert not planned("maxpool2 avgpool2", DEFAULT).head.relu


def test_the_paper_applies_its_relu_to_the_image_too_and_none_before_the_head() -> None:
    result = planned("conv3 conv3", PAPER)
    assert relus(result) == [True, True]
    assert not result.head.relu


def test_even_kernels_keep_the_size_with_the_odd_zero_after() -> None:
    node = planned("conv4", DEFAULT).nodes[1]
    assert node.shape == (16, 32, 32)
    assert node.steps[0].window == Window(4, 1, 1, 2)


@pytest.mark.parametrize("profile", [PAPER, DEFAULT, VGG19_LIKE])
@pytest.mark.parametrize("size", [7, 8])
def test_a_reduction_halves_the_size_rounded_up_in_every_profile(profile: NetworkProfile, size: int) -> None:
    assert planned("downconv3", profile, (size, size, 3)).nodes[1].shape[1:] == (4, 4)


def test_the_dropout_of_the_header_comes_before_the_classifier_only() -> None:
    profile = replace(PAPER, head=DenseHead((8, 8), 0.4))
    assert [dense.dropout for dense in planned("stem=1 width=8 conv3", profile).head.layers] == [0.0, 0.4, 0.4]
    header = "stem=1 width=8 dropout=10 conv3"
    assert [dense.dropout for dense in planned(header, profile).head.layers] == [0.0, 0.4, 0.1]


def test_a_map_that_would_vanish_is_refused_with_layer_sizes_and_remedy() -> None:
    with pytest.raises(PlanError) as caught:
        planned("maxpool3 maxpool3 conv5", PAPER)
    assert caught.value.layer == 3
    assert str(caught.value) == (
        "Layer 3 (conv5) needs at least 5×5 pixels and gets 3×3 from layer 2. "
        "Use fewer poolings or smaller kernels before it, or images larger than 32×32."
    )


def test_a_pooling_of_the_image_that_is_too_large_names_the_image() -> None:
    with pytest.raises(
        PlanError, match=r"Layer 1 \(maxpool3\) needs at least 3×3 pixels and gets 2×8 from the image\."
    ):
        planned("maxpool3", DEFAULT, (2, 8, 1))


def test_a_residual_of_different_shapes_is_refused() -> None:
    with pytest.raises(
        PlanError, match=r"Layer 2 \(conv3\+\) cannot be residual: it turns 16×16 with 3 channels into "
    ) as caught:
        planned("maxpool2 conv3+", DEFAULT)
    assert caught.value.layer == 2
    assert "Drop the '+'" in str(caught.value)


@pytest.mark.parametrize(("shape", "n_classes"), [((0, 8, 3), 2), ((8, 8, 0), 2), ((8, 8, 3), 0)])
def test_impossible_images_and_classes_are_refused(shape: tuple[int, int, int], n_classes: int) -> None:
    with pytest.raises(PlanError, match="at least") as caught:
        planned("conv1", DEFAULT, shape, n_classes)
    assert caught.value.layer == 0


def test_a_pooling_head_without_maxima_has_one_feature_per_channel() -> None:
    assert planned("conv3", replace(DEFAULT, head=PoolingHead())).head.n_features == 16
    assert planned("conv3", replace(DEFAULT, head=PoolingHead(maxima=True))).head.n_features == 32


def test_a_layer_of_a_fixed_skeleton_is_refused_by_name() -> None:
    layer = parse_architecture("skeleton=macro mbconv3 " + " ".join(["identity"] * 7)).layers[0]
    with pytest.raises(PlanError, match=r"Layer 1 \(mbconv3\) only exists in a fixed skeleton\."):
        Trunk.start((32, 32, 3), DEFAULT).add(layer)


def test_a_plan_over_the_parameter_cap_is_a_plan_that_says_so() -> None:
    result = planned("conv1(0) conv1(0) conv1(0) conv1(0)", PAPER, (84, 84, 3), 100)
    assert result.parameters > 1_600_000_000
    assert result.exceeds_cap


@given(architectures(), input_shapes, st.sampled_from(SMALL_PROFILES))
def test_a_trunk_grown_layer_by_layer_gives_the_same_plan(
    architecture: Architecture, shape: tuple[int, int, int], profile: NetworkProfile
) -> None:
    trunk = Trunk.start(shape, profile, architecture.header)
    for index, layer in enumerate(architecture.layers, start=1):
        if not trunk.accepts(layer):
            with pytest.raises(PlanError) as caught:
                trunk.add(layer)
            assert caught.value.layer == index
            with pytest.raises(PlanError):
                plan(architecture, shape, 3, profile)
            return
        trunk = trunk.add(layer)
    assert trunk.finish(3) == plan(architecture, shape, 3, profile)


@given(architectures(), input_shapes, st.sampled_from(SMALL_PROFILES))
def test_sizes_stay_positive_and_residuals_keep_their_shape(
    architecture: Architecture, shape: tuple[int, int, int], profile: NetworkProfile
) -> None:
    try:
        result = plan(architecture, shape, 3, profile)
    except PlanError:
        return
    for node in result.nodes:
        assert min(node.shape) >= 1
        assert all(source < node.index for source in node.inputs)
        if isinstance(node.computes, Convolutions) and node.computes.residual:
            assert node.shape == result.nodes[node.inputs[0]].shape


def test_planning_does_not_import_torch_nor_matplotlib() -> None:
    code = "import sys, nasgym.networks, nasgym.networks.plan; print({'torch', 'matplotlib'} & set(sys.modules))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "set()"
