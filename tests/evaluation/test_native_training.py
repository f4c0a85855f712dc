"""Training in compiled code: `nasgym.evaluation.native`, against torch."""

import ctypes
import doctest
import logging
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import pytest
import torch
from native_samples import (
    CPU,
    RECIPE,
    VARIANTS,
    N,
    distance,
    native_gradients,
    native_learner,
    needs_the_code,
    network_of,
    some_images,
    torch_gradients,
)

from nasgym.architectures import parse_architecture
from nasgym.core import compiled
from nasgym.evaluation import learners
from nasgym.evaluation.fitting import fit
from nasgym.evaluation.images import Scaling
from nasgym.evaluation.learners import TorchLearner, learner_of, score
from nasgym.evaluation.native import library as native
from nasgym.evaluation.native.heads import SIDE as TILE_SIDE
from nasgym.evaluation.native.heads import TILES_AT_ONCE
from nasgym.evaluation.native.library import AdamStep, Dense, Head, Network, Node, library
from nasgym.evaluation.native.memory import PAIRS
from nasgym.evaluation.native.program import LANES, MAX_CHANNELS, MAX_INPUTS, Kind, program_of
from nasgym.evaluation.recipes import Inputs, Precision, Sgd
from nasgym.evaluation.training import TrainingImages, course_of, initial_network
from nasgym.networks.plan import plan
from nasgym.networks.profiles import DEFAULT, VGG19_LIKE, PoolingHead, Unit
from nasgym.tasks import Fidelity, ImageTask

NETWORKS = [
    "empty",
    "maxpool2",
    "avgpool3 maxpool2",
    "conv3",
    "conv1 conv5 conv3",
    "conv3 maxpool2 conv3 avgpool3 conv1",
    "conv5 maxpool3 conv3 maxpool2 conv5 maxpool2 conv3",
    "maxpool2 conv3 conv1 maxpool3 conv5",
    "conv3 avgpool2 avgpool2 conv3 maxpool2 conv3 conv5",
    "conv3 maxpool1 identity conv3",
    "conv3(0) conv1(0) add(1,2)",
    "conv3(0) add(1,1) conv3(2)",
    "conv3(0) maxpool2(1) add(1,2) conv1(3) concat(1,4)",
    "maxpool2(0) conv3(0) concat(1,2) conv3(3) conv5(3)",
    "maxpool2(0) avgpool2(0) concat(1,2) conv3(3)",
    "conv3(0) maxpool2(1) conv5(2) maxpool3(2) concat(3,4) add(5,1) conv1(6)",
    "conv3(0) conv3(0) conv1(0) avgpool3(1)",
    "stem=1 width=24 conv3 maxpool3 conv5",
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


@pytest.fixture
def compilers_forgotten() -> Iterator[None]:
    """Look for the library anew, inside and after."""
    library.cache_clear()
    yield
    library.cache_clear()


@needs_the_code
@pytest.mark.usefixtures("each_variant")
@pytest.mark.parametrize("text", NETWORKS)
@pytest.mark.parametrize(("channels", "smoothing"), [(3, 0.0), (1, 0.1), (6, 0.0)])
def test_gradients_are_those_of_torch_as_exactly_as_torch_computes_them_in_bf16(
    text: str, channels: int, smoothing: float
) -> None:
    images = some_images(channels=channels)
    recipe = replace(RECIPE, label_smoothing=smoothing)
    exact, mixed = (
        torch_gradients(network_of(text, channels=channels), images, recipe, precision)
        for precision in (Precision.FLOAT32, Precision.BFLOAT16_WHERE_FAST)
    )
    ours = native_gradients(network_of(text, channels=channels), images, recipe)
    assert [gradient.shape for gradient in ours] == [gradient.shape for gradient in exact]
    assert distance(ours, exact) < 1.5 * distance(mixed, exact) + 0.02


@needs_the_code
@pytest.mark.usefixtures("each_variant")
@pytest.mark.parametrize("side", [1, 2, 3, 4, 5, 6, 7, 8, 10, 13, 16, 31, 33])
def test_gradients_are_right_at_every_width(side: int) -> None:
    images = some_images(n=max(8, 64 // side), side=side)
    for text in ("conv3 conv5 conv3", "stem=1 width=48 conv3 conv1", "stem=1 width=64 conv5 conv3"):
        exact = torch_gradients(network_of(text, side), images, RECIPE, Precision.FLOAT32)
        mixed = torch_gradients(network_of(text, side), images, RECIPE, Precision.BFLOAT16_WHERE_FAST)
        ours = native_gradients(network_of(text, side), images, RECIPE)
        assert distance(ours, exact) < 1.5 * distance(mixed, exact) + 0.03, text


@needs_the_code
@pytest.mark.usefixtures("each_variant")
def test_a_step_is_adamw_s() -> None:
    images, network, rate = some_images(), network_of("conv3 maxpool2 conv3"), 0.01
    start = [parameter.detach().clone() for parameter in network.parameters()]
    gradients = native_gradients(network_of("conv3 maxpool2 conv3"), images, RECIPE)
    learner = native_learner(network, images)
    learner.step(images.pixels, images.labels, None, rate)
    learner.settle()
    expected = [tensor.clone().requires_grad_() for tensor in start]
    groups = [
        {"params": [tensor for tensor in expected if tensor.ndim > 1], "weight_decay": 0.05},
        {"params": [tensor for tensor in expected if tensor.ndim <= 1], "weight_decay": 0.0},
    ]
    for tensor, gradient in zip(expected, gradients, strict=True):
        tensor.grad = gradient
    torch.optim.AdamW(groups, lr=rate).step()
    for tensor, parameter in zip(expected, network.parameters(), strict=True):
        torch.testing.assert_close(parameter.detach(), tensor.detach(), rtol=1e-5, atol=1e-6)


@needs_the_code
@pytest.mark.usefixtures("each_variant")
def test_batch_normalisation_follows_the_statistics_of_the_batch_as_torch_s_does() -> None:
    images, ours, theirs = some_images(), network_of("conv3 conv3"), network_of("conv3 conv3")
    learner = native_learner(ours, images)
    learner.step(images.pixels, images.labels, None, 0.0)
    learner.settle()
    torch_gradients(theirs, images, RECIPE, Precision.FLOAT32)
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value, rtol=2e-2, atol=2e-3)
    assert not ours.training


@needs_the_code
@pytest.mark.usefixtures("each_variant")
def test_a_step_on_rows_is_a_step_on_those_images() -> None:
    images = some_images(n=20)
    rows = torch.tensor([7, 3, 19, 0, 7])
    by_rows, by_images = (native_learner(network_of("conv3 maxpool2"), images) for _ in range(2))
    first = by_rows.step(images.pixels, images.labels, rows, 0.01)
    assert by_images.step(images.pixels[rows], images.labels[rows], None, 0.01) == first
    assert torch.equal(by_rows._layout.parameters, by_images._layout.parameters)


@needs_the_code
@pytest.mark.usefixtures("each_variant")
def test_the_score_is_that_of_the_settled_network() -> None:
    images = some_images(n=50)
    network = network_of("conv3(0) maxpool2(1) add(1,2)")
    learner = native_learner(network, images)
    for _ in range(40):
        learner.step(images.pixels, images.labels, None, 0.003)
    ours = learner.score(images)
    learner.settle()
    theirs = score(network, images, Scaling.of(images.pixels, Inputs.STANDARDISED).on(CPU), Precision.FLOAT32)
    assert ours.loss == pytest.approx(theirs.loss, rel=0.02)
    assert ours.accuracy == pytest.approx(theirs.accuracy, abs=0.06)


@needs_the_code
@pytest.mark.usefixtures("each_variant")
def test_a_whole_training_ends_where_torch_s_does(digits_task: ImageTask, monkeypatch: pytest.MonkeyPatch) -> None:
    images = TrainingImages.of(digits_task, Fidelity(3, 16), RECIPE, CPU)
    architecture = parse_architecture("conv3 maxpool2 conv3 maxpool2 conv3")
    ends = []
    for threads in (learners.NATIVE_THREADS, 0):
        monkeypatch.setattr(learners, "NATIVE_THREADS", threads)
        network = initial_network(plan(architecture, (16, 16, 1), 10, DEFAULT), 0, CPU)
        course = course_of(architecture, RECIPE, images.scaling, 0)
        ends.append(list(fit(network, images.train, images.validation, course, planned=lambda _: 3)))
    for ours, theirs in zip(*ends, strict=True):
        assert ours.train_loss == pytest.approx(theirs.train_loss, rel=0.1, abs=0.02)
    assert ends[0][-1].validation.accuracy == pytest.approx(ends[1][-1].validation.accuracy, abs=0.03)


@needs_the_code
@pytest.mark.usefixtures("each_variant")
def test_a_loss_that_is_no_number_stays_none() -> None:
    images, network = some_images(), network_of("conv3 conv3 maxpool2")
    with torch.no_grad():
        network.get_parameter("layers.1.conv.weight")[0, 0, 0, 0] = float("nan")
    learner = native_learner(network, images)
    assert np.isnan(learner.step(images.pixels, images.labels, None, 0.01))


@needs_the_code
def test_python_and_c_agree_on_what_lies_where() -> None:
    code = library(tiles=VARIANTS.get("tiles", False))
    assert code is not None
    numbers = (ctypes.c_int64 * 11).in_dll(code, "nasgym_sizes")
    sizes = [ctypes.sizeof(structure) for structure in (Node, Head, Dense, Network, AdamStep)]
    assert list(numbers) == [*sizes, PAIRS, LANES, MAX_INPUTS, MAX_CHANNELS, TILE_SIDE, TILES_AT_ONCE]


@needs_the_code
def test_loading_the_code_leaves_the_processor_s_small_numbers_alone() -> None:
    assert library(tiles=False) is not None
    assert np.float32(1e-30) * np.float32(1e-10) > 0


@needs_the_code
def test_the_code_is_compiled_once(compilers_forgotten: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled.platformdirs, "user_cache_path", lambda _: tmp_path)
    assert library(tiles=False) is not None
    (built,) = (tmp_path / "native").iterdir()
    first = built.stat().st_mtime_ns
    library.cache_clear()
    assert library(tiles=False) is not None
    assert [file.stat().st_mtime_ns for file in (tmp_path / "native").iterdir()] == [first]


def test_without_a_compiler_torch_trains(compilers_forgotten: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled.shutil, "which", lambda _: None)
    assert library(tiles=False) is None
    images = some_images()
    scaler = Scaling.of(images.pixels, Inputs.STANDARDISED).on(CPU)
    assert isinstance(learner_of(network_of("conv3"), RECIPE, scaler, N), TorchLearner)


def test_a_compiler_that_fails_is_reported_and_torch_trains(
    compilers_forgotten: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken = tmp_path / "cc"
    broken.write_text("#!/bin/sh\necho out of order >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(compiled.shutil, "which", lambda _: str(broken))
    monkeypatch.setattr(compiled.platformdirs, "user_cache_path", lambda _: tmp_path)
    with caplog.at_level(logging.WARNING):
        assert library(tiles=False) is None
    assert "could not build the training code, so torch trains, more slowly: out of order" in caplog.text
    assert list((tmp_path / "native").iterdir()) == []


def test_a_system_that_refuses_tiles_gets_pairs(compilers_forgotten: None, monkeypatch: pytest.MonkeyPatch) -> None:
    tiled, paired = SimpleNamespace(nasgym_prepare=lambda: -1), MagicMock()
    monkeypatch.setattr(native, "load", lambda source: tiled if source is native.TILES else paired)
    assert library(tiles=True) is paired


def test_a_compiler_without_tiles_makes_pairs(compilers_forgotten: None, monkeypatch: pytest.MonkeyPatch) -> None:
    paired = MagicMock()
    monkeypatch.setattr(native, "load", lambda source: None if source is native.TILES else paired)
    assert library(tiles=True) is paired


@pytest.mark.parametrize(
    "changes",
    [{"precision": Precision.FLOAT32}, {"optimizer": Sgd()}],
    ids=["fp32", "sgd"],
)
def test_other_recipes_are_torch_s(changes: dict[str, object]) -> None:
    scaler = Scaling((0.0,) * 3, (255.0,) * 3).on(CPU)
    recipe = replace(RECIPE, **changes)  # type: ignore[arg-type] # changes are recipe fields
    assert isinstance(learner_of(network_of("conv3"), recipe, scaler, N), TorchLearner)


@pytest.mark.parametrize("missing", ["avx512_bf16", "avx512_vl"])
def test_a_processor_without_the_instructions_is_torch_s(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    features = {name: name != missing for name in ("avx512_f", "avx512_bw", "avx512_dq", "avx512_vl", "avx512_bf16")}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: features)
    scaler = Scaling((0.0,) * 3, (255.0,) * 3).on(CPU)
    assert isinstance(learner_of(network_of("conv3"), RECIPE, scaler, N), TorchLearner)


def test_many_threads_are_torch_s() -> None:
    torch.set_num_threads(learners.NATIVE_THREADS + 1)
    scaler = Scaling((0.0,) * 3, (255.0,) * 3).on(CPU)
    assert isinstance(learner_of(network_of("conv3"), RECIPE, scaler, N), TorchLearner)


@pytest.mark.parametrize(
    ("text", "profile"),
    [
        ("conv2", DEFAULT),
        ("stem=2 width=8 conv3", DEFAULT),
        ("stem=1 width=8 sepconv3", DEFAULT),
        ("stem=1 width=8 conv3+", DEFAULT),
        ("stem=1 width=8 downconv3", DEFAULT),
        ("stem=1 width=8 dropout=30 conv3", DEFAULT),
        ("conv3", replace(DEFAULT, head=PoolingHead(dropout=0.1))),
        ("conv3", replace(DEFAULT, unit=Unit.CONV_NORM_RELU)),
        ("conv2", VGG19_LIKE),
    ],
)
def test_networks_that_the_code_lacks_operations_for_have_no_program(text: str, profile: object) -> None:
    planned = plan(parse_architecture(text), (16, 16, 3), 4, profile)  # type: ignore[arg-type] # a profile
    assert program_of(planned) is None


def test_a_program_lists_operations_and_where_inputs_lie_in_merges() -> None:
    program = program_of(
        plan(parse_architecture("conv3(0) maxpool3(1) identity(1) concat(2,3)"), (8, 8, 3), 4, DEFAULT)
    )
    assert program is not None
    assert [(step.kind, step.inputs, step.shape) for step in program] == [
        (Kind.IMAGE, (), (3, 8, 8)),
        (Kind.CONVOLUTION, (0,), (16, 8, 8)),
        (Kind.MAXIMUM, (1,), (16, 2, 2)),
        (Kind.CONCATENATION, (2, 1), (32, 8, 8)),
    ]
    assert program[3].places == ((3, 3, 0), (0, 0, 16))
    assert [step.learns for step in program] == [False, True, True, True]
    assert [(step.block, step.blocks) for step in program] == [(4, 1), (16, 1), (16, 1), (16, 2)]


def test_the_examples_of_the_page_are_right() -> None:
    page = (Path(__file__).parents[2] / "docs" / "evaluation-speed.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    runner = doctest.DocTestRunner()
    runner.run(doctest.DocTestParser().get_doctest(example, {}, "evaluation-speed.md", None, 0))
    assert runner.summarize(verbose=False) == (0, 8)
