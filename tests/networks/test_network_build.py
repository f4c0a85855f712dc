from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from network_strategies import SMALL_PROFILES, architectures, input_shapes
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from nasgym.architectures import Architecture, parse_architecture
from nasgym.core.errors import PlanError
from nasgym.networks.build import PlannedNetwork, build
from nasgym.networks.plan import plan
from nasgym.networks.profiles import DEFAULT, NAMED_ARCHITECTURES, PAPER, DenseHead, NetworkProfile
from paper_networks import BEST_OF_THE_PAPER

SMALL_PAPER = replace(PAPER, head=DenseHead((16,), 0.4))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def built(
    text: str, profile: NetworkProfile = DEFAULT, shape: tuple[int, int, int] = (8, 8, 3), seed: int = 0
) -> PlannedNetwork:
    return build(plan(parse_architecture(text), shape, 5, profile), generator(seed)).eval()


def images(n: int = 2, side: int = 8) -> torch.Tensor:
    return torch.randn(n, 3, side, side, generator=generator(1))


@settings(max_examples=400, deadline=None)
@given(architectures(), input_shapes, st.sampled_from(SMALL_PROFILES))
def test_what_is_planned_is_what_runs_and_costs_what_torch_counts(
    architecture: Architecture, shape: tuple[int, int, int], profile: NetworkProfile
) -> None:
    try:
        planned = plan(architecture, shape, 3, profile)
    except PlanError:
        return
    if planned.parameters > 10_000_000:
        return
    height, width, channels = shape
    network = build(planned, generator()).eval()
    image = torch.zeros(1, channels, height, width)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        scores = network(image)
    assert scores.shape == (1, 3)
    assert counter.get_total_flops() == planned.flops
    assert sum(parameter.numel() for parameter in network.parameters()) == planned.parameters
    with torch.no_grad():
        assert [tuple(out.shape[1:]) for out in network.feature_maps(image)] == [node.shape for node in planned.nodes]


@pytest.mark.parametrize(("figure", "architecture", "side"), BEST_OF_THE_PAPER, ids=lambda value: str(value)[:4])
def test_the_best_networks_of_the_paper_are_built_in_the_published_size(
    figure: str, architecture: Architecture, side: int
) -> None:
    network = build(plan(architecture, (84, 84, 3), 10, PAPER), generator()).eval()
    with torch.no_grad():
        last = network.feature_maps(images(1, 84))[-1]
        assert last.shape[2:] == (side, side)
        assert network.head(last).shape == (1, 10)


def test_the_human_baseline_is_built_and_has_neither_norm_nor_dropout() -> None:
    named = NAMED_ARCHITECTURES["vgg19-like"]
    network = build(plan(named.architecture, (8, 8, 3), 5, named.profile), generator()).train()
    assert not any("norm" in name for name in network.state_dict())
    assert torch.equal(network(images()), network(images()))


def test_parameters_are_named_after_the_layers() -> None:
    names = set(built("stem=1 width=8 conv3 maxpool2 sepconv3", SMALL_PAPER).state_dict())
    assert {
        "stem.conv.weight",
        "layers.1.conv.weight",
        "layers.1.conv.bias",
        "layers.1.norm.running_mean",
        "layers.3.depthwise.conv.weight",
        "layers.3.pointwise.norm.bias",
        "head.hidden.0.weight",
        "head.classifier.bias",
    } <= names
    assert not any(name.startswith("layers.2") for name in names)


def test_equal_seeds_give_equal_weights_and_no_other_generator_is_touched() -> None:
    before = torch.get_rng_state()
    first, second, other = built("conv3 sepconv3"), built("conv3 sepconv3"), built("conv3 sepconv3", seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first.state_dict()[name], value) for name, value in second.state_dict().items())
    assert not torch.equal(first.head.classifier.weight, other.head.classifier.weight)


def test_the_paper_starts_as_keras_does() -> None:
    network = built("conv3 conv3", SMALL_PAPER, (16, 16, 3))
    kernel = network.state_dict()["layers.2.conv.weight"]
    limit = (6 / (32 * 9 + 32 * 9)) ** 0.5
    assert kernel.abs().max() <= limit
    assert kernel.std() == pytest.approx(limit / 3**0.5, rel=0.05)
    assert torch.count_nonzero(network.state_dict()["layers.2.conv.bias"]) == 0
    assert network.layers["2"].norm.eps == 1e-3


def test_default_convolutions_start_with_kaiming_s_variance() -> None:
    kernel = built("conv3 conv3").state_dict()["layers.2.conv.weight"]
    assert kernel.std() == pytest.approx((2 / (16 * 9)) ** 0.5, rel=0.1)


def test_batch_norm_learns_its_statistics_in_training() -> None:
    network = built("conv3").train()
    network(images(8))
    statistics = network.state_dict()
    assert torch.count_nonzero(statistics["layers.1.norm.running_mean"]) == 16
    assert not torch.equal(statistics["layers.1.norm.running_var"], torch.ones(16))


def test_every_parameter_of_a_graph_gets_a_gradient() -> None:
    text = "stem=1 width=8 conv3+(0) sepconv3+(1) maxpool2(2) conv1(0) add(3,4) downconv3(5) concat(1,6) avgpool3(0)"
    network = built(text).train()
    network(images(4)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_a_residual_adds_its_input() -> None:
    plain, residual = built("stem=1 width=8 conv3"), built("stem=1 width=8 conv3+")
    with torch.no_grad():
        before, after = residual.feature_maps(images())
        torch.testing.assert_close(after, before + plain.feature_maps(images())[1])


def test_a_separable_residual_adds_its_input() -> None:
    plain, residual = built("stem=1 width=8 sepconv3"), built("stem=1 width=8 sepconv3+")
    with torch.no_grad():
        before, after = residual.feature_maps(images())
        torch.testing.assert_close(after, before + plain.feature_maps(images())[1])


def test_an_even_kernel_pads_the_odd_zero_below_and_to_the_right() -> None:
    network = built("conv2")
    with torch.no_grad():
        unit = network.layers["1"]
        expected = unit.norm(functional.conv2d(functional.pad(images(), (0, 1, 0, 1)), unit.conv.weight))
        torch.testing.assert_close(network.feature_maps(images())[1], expected)


def test_the_default_profile_sees_negative_pixels_and_the_paper_s_does_not() -> None:
    dark = -images().abs()
    with torch.no_grad():
        assert built("conv1").feature_maps(dark)[1].abs().sum() > 0
        assert built("conv1", SMALL_PAPER).feature_maps(dark)[1].abs().sum() == 0


def test_an_addition_centres_the_smaller_map_in_zeros() -> None:
    network = built("maxpool2(0) maxpool3(0) add(1,2)", shape=(8, 9, 3))
    batch = torch.randn(2, 3, 8, 9, generator=generator())
    with torch.no_grad():
        large, small, total = network.feature_maps(batch)[1:]
    expected = large.clone()  # 4×4 and 2×3: one row before and after, no column before and one after
    expected[:, :, 1:3, 0:3] += small
    torch.testing.assert_close(total, expected)


def test_the_paper_s_concatenation_centres_channels_in_zeros() -> None:
    network = built("conv1(0) avgpool2(0) concat(1,2)", SMALL_PAPER)
    with torch.no_grad():
        convolved, pooled, joined = network.feature_maps(images())[1:]
    assert torch.equal(joined[:, :32], convolved)
    expected = torch.zeros(2, 32, 8, 8)
    expected[:, 14:17, 2:6, 2:6] = pooled
    assert torch.equal(joined[:, 32:], expected)


def test_concatenation_in_the_default_profile_keeps_the_order_of_its_inputs() -> None:
    network = built("conv1(0) maxpool1(0) concat(2,1)")
    with torch.no_grad():
        joined = network.feature_maps(images())[3]
    assert torch.equal(joined[:, :3], images())


def test_the_dropout_of_the_header_acts_in_training_only() -> None:
    network = built("stem=1 width=8 dropout=30 empty")
    with torch.no_grad():
        assert torch.equal(network(images()), network(images()))
        features = network.feature_maps(images())[-1]
        network.head.train()
        assert not torch.equal(network.head(features), network.head(features))


@pytest.mark.parametrize("profile", [DEFAULT, SMALL_PAPER])
def test_channels_last_images_give_the_same_scores(profile: NetworkProfile) -> None:
    network = built("conv3(0) conv3(1) maxpool2(1) add(2,3)", profile)
    with torch.no_grad():
        expected = network(images())
        network.to(memory_format=torch.channels_last)
        torch.testing.assert_close(network(images().contiguous(memory_format=torch.channels_last)), expected)


def test_a_network_over_the_cap_is_refused_before_any_memory_is_taken() -> None:
    planned = plan(parse_architecture("conv1(0) conv1(0) conv1(0) conv1(0)"), (84, 84, 3), 100, PAPER)
    with pytest.raises(PlanError, match=r"1,849,792,356 parameters and profile 'paper' builds at most 400,000,000"):
        build(planned, generator())


def test_a_network_can_be_exported_as_one_graph() -> None:
    network = built("conv3(0) sepconv3(1) maxpool2(1) add(2,3)")
    program = torch.export.export(network, (images(),))
    with torch.no_grad():
        torch.testing.assert_close(program.module()(images()), network(images()))
