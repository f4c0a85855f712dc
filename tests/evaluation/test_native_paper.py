"""The paper's networks in compiled code: VALID convolutions, dense heads, dropout; against torch."""

import ctypes
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from native_samples import (
    CPU,
    SIDE,
    VARIANTS,
    distance,
    native_gradients,
    native_learner,
    needs_the_code,
    network_of,
    some_images,
    torch_gradients,
)
from torch import Tensor

from nasgym.architectures import parse_architecture
from nasgym.core.errors import PlanError
from nasgym.evaluation import learners
from nasgym.evaluation.fitting import Epoch, fit
from nasgym.evaluation.images import Scaling
from nasgym.evaluation.learners import score
from nasgym.evaluation.native.learner import NativeLearner
from nasgym.evaluation.native.program import occupied, program_of
from nasgym.evaluation.recipes import PROFILES, Adam, Precision, training_profile
from nasgym.evaluation.training import TrainingImages, course_of, initial_network
from nasgym.networks.build import PlannedNetwork
from nasgym.networks.plan import plan
from nasgym.networks.profiles import PAPER, VGG19_LIKE, DenseHead, NetworkProfile
from nasgym.tasks import Fidelity, ImageTask

RECIPE = training_profile("paper").search
PLAIN = replace(PAPER, head=DenseHead((96,), dropout=0.0))
TWO_HIDDEN = replace(PAPER, head=DenseHead((96, 40), dropout=0.0))
NONE_HIDDEN = replace(PAPER, head=DenseHead((), dropout=0.0))
BIASES = replace(VGG19_LIKE, head=DenseHead((96, 64), dropout=0.0))
DROPS = replace(PAPER, head=DenseHead((1024,), dropout=0.4))

NETWORKS = [
    "empty",
    "maxpool2",
    "avgpool3 maxpool2",
    "conv3",
    "conv1 conv5 conv3",
    "conv3 maxpool2 conv3 avgpool3 conv1",
    "maxpool2 conv3 conv1",
    "conv3 maxpool1 identity conv3",
    "conv5 conv5 conv5 conv5",
    "conv3(0) conv1(0) add(1,2)",
    "conv3(0) add(1,1) conv3(2)",
    "conv3(0) maxpool2(1) add(1,2) conv1(3) concat(1,4)",
    "maxpool2(0) conv3(0) concat(1,2) conv3(3) conv5(3)",
    "maxpool2(0) avgpool2(0) concat(1,2) conv3(3)",
    "conv3(0) conv3(0) conv1(0) avgpool3(1)",
    "conv3(0) maxpool2(0) maxpool3(0) conv5(0) conv1(0)",
]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=VARIANTS)
def each_variant(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if not VARIANTS[request.param]:
        monkeypatch.setattr(learners, "TILE_FEATURES", ("none",))


def deciding(network: PlannedNetwork, gradients: list[Tensor]) -> list[Tensor]:
    """Leave out the biases before a BatchNorm: their gradients are zero, and torch's are rounding."""
    names = [name for name, _ in network.named_parameters()]
    norms = {name for name in names if name.endswith("norm.bias")}
    return [
        gradient
        for name, gradient in zip(names, gradients, strict=True)
        if name.replace("conv.bias", "norm.bias") not in norms or not name.endswith("conv.bias")
    ]


def check_gradients(text: str, profile: NetworkProfile, side: int, channels: int, n: int) -> None:
    """Compare with fp32; a hidden unit near zero that rounding turns on or off makes more of a difference than bf16."""
    images = some_images(n, side, channels)
    exact, mixed = (
        torch_gradients(network_of(text, side, channels, profile=profile), images, RECIPE, precision)
        for precision in (Precision.FLOAT32, Precision.BFLOAT16_WHERE_FAST)
    )
    network = network_of(text, side, channels, profile=profile)
    ours = native_gradients(network, images, RECIPE)
    exact, mixed, ours = (deciding(network, gradients) for gradients in (exact, mixed, ours))
    assert distance(ours, exact) < 1.5 * distance(mixed, exact) + 0.06


@needs_the_code
@pytest.mark.usefixtures("each_variant")
@pytest.mark.parametrize("text", NETWORKS)
@pytest.mark.parametrize(
    ("profile", "channels", "n"),
    [(PLAIN, 3, 33), (TWO_HIDDEN, 3, 20), (NONE_HIDDEN, 1, 16)],
    ids=["one hidden layer", "two", "none"],
)
def test_gradients_are_those_of_torch(text: str, profile: NetworkProfile, channels: int, n: int) -> None:
    check_gradients(text, profile, SIDE, channels, n)


@needs_the_code
@pytest.mark.usefixtures("each_variant")
@pytest.mark.parametrize("text", ["conv3", "conv3 conv3 maxpool2 conv3", "conv3(0) maxpool2(1) conv5(0) concat(2,3)"])
@pytest.mark.parametrize("n", [1, 24, 65])
def test_gradients_of_convolutions_with_a_bias_and_a_last_relu_are_those_of_torch(text: str, n: int) -> None:
    check_gradients(text, BIASES, 16, 3, n)


@needs_the_code
@pytest.mark.usefixtures("each_variant")
@pytest.mark.parametrize("side", [5, 6, 7, 9, 14, 20, 31])
def test_gradients_are_right_at_every_width_down_to_one_pixel(side: int) -> None:
    for text in ("conv5", "conv3 conv3", "conv2 conv4", "conv3 maxpool2" if side < 12 else "conv3 maxpool2 conv5"):
        check_gradients(text, PLAIN, side, 2, 20)


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Up to six layers, each on any earlier one; what nobody uses is concatenated in pairs."""
    layers: list[str] = []
    kinds = ["conv1", "conv3", "conv5", "maxpool2", "maxpool3", "avgpool2", "identity", "add", "concat"]
    for index in range(draw(st.integers(1, 6))):
        kind = draw(st.sampled_from(kinds if index else kinds[:-2]))
        merges = kind in ("add", "concat")
        earlier = [draw(st.integers(int(merges), index)) for _ in range(1 + merges)]
        layers.append(f"{kind}({','.join(map(str, earlier))})")
    return " ".join(layers)


@needs_the_code
@pytest.mark.usefixtures("each_variant")
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts(), st.integers(6, 16), st.integers(1, 3))
def test_gradients_of_any_network_of_the_paper_are_those_of_torch(text: str, side: int, channels: int) -> None:
    try:
        planned = plan(parse_architecture(text), (side, side, channels), 4, PLAIN)
    except PlanError:
        reject()
    program = program_of(planned)
    assert program is not None
    images = some_images(12, side, channels)
    network = network_of(text, side, channels, profile=PLAIN)
    ours = deciding(network, native_gradients(network, images, RECIPE))
    exact, mixed = (
        deciding(network, torch_gradients(network_of(text, side, channels, profile=PLAIN), images, RECIPE, precision))
        for precision in (Precision.FLOAT32, Precision.BFLOAT16_WHERE_FAST)
    )
    assert distance(ours, exact) < 2 * distance(mixed, exact) + 0.15


@needs_the_code
@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_a_step_is_adam_s_also_where_a_merge_is_empty(decay: float) -> None:
    text, images, rate = "conv3(0) maxpool3(0)", some_images(), 0.01
    recipe = replace(RECIPE, optimizer=Adam(epsilon=1e-7, weight_decay=decay))
    network = network_of(text, profile=PLAIN)
    start = [parameter.detach().clone() for parameter in network.parameters()]
    gradients = native_gradients(network_of(text, profile=PLAIN), images, recipe)
    learner = native_learner(network, images, recipe)
    learner.step(images.pixels, images.labels, None, rate)
    learner.settle()
    learner.settle()  # once more changes nothing
    expected = [tensor.clone().requires_grad_() for tensor in start]
    groups = [
        {"params": [tensor for tensor in expected if tensor.ndim > 1], "weight_decay": decay},
        {"params": [tensor for tensor in expected if tensor.ndim <= 1], "weight_decay": 0.0},
    ]
    for tensor, gradient in zip(expected, gradients, strict=True):
        tensor.grad = gradient
    torch.optim.AdamW(groups, lr=rate, eps=1e-7).step()
    for tensor, parameter in zip(expected, network.parameters(), strict=True):
        torch.testing.assert_close(parameter.detach(), tensor.detach(), rtol=1e-4, atol=1e-5)


@needs_the_code
@pytest.mark.parametrize("profile", [PLAIN, DROPS, BIASES], ids=["plain", "dropout", "biases"])
def test_the_score_is_that_of_the_settled_network(profile: NetworkProfile) -> None:
    images = some_images(n=50)
    network = network_of("conv3(0) maxpool2(1) add(1,2)", profile=profile)
    with torch.no_grad():
        network.get_parameter("layers.1.conv.bias").copy_(torch.linspace(-1, 1, network.plan.nodes[1].shape[0]))
    learner = native_learner(network, images, RECIPE)
    for _ in range(40):
        learner.step(images.pixels, images.labels, None, 0.0003)
    ours = learner.score(images)
    learner.settle()
    theirs = score(network, images, Scaling.of(images.pixels, RECIPE.inputs).on(CPU), Precision.FLOAT32)
    assert ours.loss == pytest.approx(theirs.loss, rel=0.03, abs=0.02)
    assert ours.accuracy == pytest.approx(theirs.accuracy, abs=0.06)


@needs_the_code
@pytest.mark.usefixtures("each_variant")
@pytest.mark.parametrize("text", ["conv3 maxpool2 conv3", "conv3(0) conv3(1) maxpool2(0)"])
def test_a_whole_training_ends_where_torch_s_does(
    text: str, digits_task: ImageTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = TrainingImages.of(digits_task, Fidelity(3, 16), RECIPE, CPU)
    ends: list[list[Epoch]] = []
    for threads in (learners.NATIVE_THREADS, 0):
        monkeypatch.setattr(learners, "NATIVE_THREADS", threads)
        architecture = parse_architecture(text)
        network = initial_network(plan(architecture, (16, 16, 1), 10, PLAIN), 0, CPU)
        course = course_of(architecture, RECIPE, images.scaling, 0)
        ends.append(list(fit(network, images.train, images.validation, course, planned=lambda _: 3)))
    for ours, theirs in zip(*ends, strict=True):
        assert ours.train_loss == pytest.approx(theirs.train_loss, rel=0.1, abs=0.02)
    assert ends[0][-1].validation.accuracy == pytest.approx(ends[1][-1].validation.accuracy, abs=0.03)


def hidden_units(learner: NativeLearner, n: int) -> np.ndarray:
    """Return what the last dense layer was given for each image, as bf16 bits."""
    top = learner._layout.net.top
    last = top.layers[top.n_layers - 1]
    row = last.n_inputs + 32
    bits = (ctypes.c_uint16 * (n * row)).from_address(last.inputs)
    return np.frombuffer(bits, dtype=np.uint16).reshape(n, row)[:, : last.n_inputs].copy()


@needs_the_code
def test_dropout_leaves_out_its_share_and_scales_the_rest() -> None:
    images = some_images(n=64)
    torch.manual_seed(5)
    learner = native_learner(network_of("conv3 maxpool2", profile=DROPS), images, RECIPE)
    learner.score(images)
    learner.step(images.pixels, images.labels, None, 0.0)
    first = hidden_units(learner, 64)
    learner.step(images.pixels, images.labels, None, 0.0)
    second = hidden_units(learner, 64)
    whole = native_learner(network_of("conv3 maxpool2", profile=PLAIN_WIDE), images, RECIPE)
    whole.step(images.pixels, images.labels, None, 0.0)
    undropped = hidden_units(whole, 64)
    on = undropped != 0
    assert 0.2 < on.mean() < 0.8
    for dropped in (first, second):
        assert not dropped[~on].any()
        kept = dropped[on] != 0
        assert kept.mean() == pytest.approx(0.6, abs=4 * (0.24 / on.sum()) ** 0.5)
        shares = [(row[mask] != 0).mean() for row, mask in zip(dropped.T, on.T, strict=True) if mask.sum() > 40]
        assert np.std(shares) == pytest.approx((0.24 / 55) ** 0.5, rel=0.25)  # as of independent draws
        ratio = as_floats(dropped[on][kept]) / as_floats(undropped[on][kept])
        assert ratio == pytest.approx(np.full(len(ratio), 1 / 0.6), rel=0.01)
    both = ((first != 0) & (second != 0))[on].mean()
    assert both == pytest.approx(0.36, abs=0.01)


PLAIN_WIDE = replace(DROPS, head=DenseHead((1024,), dropout=0.0))


def as_floats(bits: np.ndarray) -> np.ndarray:
    return (bits.astype(np.uint32) << 16).view(np.float32)


@needs_the_code
def test_dropout_is_decided_by_torch_s_random_state_at_the_start_and_by_nothing_else() -> None:
    images, losses = some_images(n=20), []
    for seed, disturbs in ((1, False), (1, True), (2, False)):
        torch.manual_seed(seed)
        learner = native_learner(network_of("conv3", profile=DROPS), images, RECIPE)
        for _ in range(3):
            if disturbs:
                torch.rand(7)
            loss = learner.step(images.pixels, images.labels, None, 1e-3)
        losses.append(loss)
    assert losses[0] == losses[1] != losses[2]


@needs_the_code
@pytest.mark.usefixtures("each_variant")
def test_gradients_with_dropout_are_zero_for_what_was_left_out_on_every_image() -> None:
    images = some_images(n=3)
    torch.manual_seed(0)
    network = network_of("conv3 maxpool3", profile=DROPS)
    learner = native_learner(network, images, RECIPE)
    learner.step(images.pixels, images.labels, None, 0.0)
    never = ~(hidden_units(learner, 3) != 0).any(axis=0)
    hidden = learner._layout.parts[-2].first.permute(0, 2, 1, 3).flatten(2).flatten(0, 1)  # type: ignore[attr-defined]
    assert never.any()
    assert (hidden[:, never] == 0).all()
    assert (hidden[:, ~never] != 0).any(dim=0).all()


@pytest.mark.parametrize("name", ["paper", "paper-intensive", "vgg19-like"])
def test_the_profiles_of_the_paper_compute_in_bf16_where_that_is_fast_and_have_programs(name: str) -> None:
    profile = PROFILES[name]
    assert profile.search.precision is profile.final.precision is Precision.BFLOAT16_WHERE_FAST
    assert program_of(plan(parse_architecture("conv3 conv5 maxpool2"), (32, 32, 3), 10, profile.network)) is not None


def test_what_no_merge_has_filled_is_known() -> None:
    program = program_of(plan(parse_architecture("conv1(0) maxpool3(1) concat(1,2)"), (4, 4, 1), 3, PAPER))
    assert program is not None
    there = occupied(program)
    assert there.shape == (64, 4, 4)
    assert there[:32].all()
    assert [tuple(place) for place in np.argwhere(there[32])] == [(1, 1)]
    assert there.sum() == 32 * 17


def test_what_a_pooling_makes_of_nothing_is_nothing() -> None:
    text = "conv1(0) maxpool3(1) concat(1,2) maxpool2(3)"
    program = program_of(plan(parse_architecture(text), (4, 4, 1), 3, PAPER))
    assert program is not None
    assert occupied(program)[32].tolist() == [[True, False], [False, False]]
