"""Networks, images and gradients on which the compiled code and torch are compared."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from nasgym.architectures import parse_architecture
from nasgym.core.randomness import stream
from nasgym.evaluation.hardware import autocast
from nasgym.evaluation.images import Images, Scaling
from nasgym.evaluation.learners import NativeLearner, learner_of
from nasgym.evaluation.native.heads import DenseLayer
from nasgym.evaluation.recipes import Precision, Recipe, training_profile
from nasgym.evaluation.training import initial_network
from nasgym.networks.build import PlannedNetwork
from nasgym.networks.plan import plan
from nasgym.networks.profiles import DEFAULT, NetworkProfile

CPU = torch.device("cpu")
RECIPE = training_profile("default").search
SIDE = 17
N = 32


def some_images(n: int = N, side: int = SIDE, channels: int = 3, n_classes: int = 4) -> Images:
    """Return noise with labels."""
    generator = stream(3, "native images", channels)
    pixels = generator.integers(0, 256, (n, side, side, channels), dtype="uint8")
    return Images(torch.from_numpy(pixels), torch.from_numpy(generator.integers(0, n_classes, n)))


def network_of(
    text: str, side: int = SIDE, channels: int = 3, n_classes: int = 4, profile: NetworkProfile = DEFAULT
) -> PlannedNetwork:
    """Return a network, the same for the same arguments."""
    network = initial_network(plan(parse_architecture(text), (side, side, channels), n_classes, profile), 0, CPU)
    assert isinstance(network, PlannedNetwork)
    return network


def native_learner(network: nn.Module, images: Images, recipe: Recipe = RECIPE) -> NativeLearner:
    """Return a learner that is not torch's."""
    learner = learner_of(network, recipe, Scaling.of(images.pixels, recipe.inputs).on(CPU), len(images))
    assert isinstance(learner, NativeLearner)
    return learner


def torch_gradients(network: nn.Module, images: Images, recipe: Recipe, precision: Precision) -> list[Tensor]:
    """Return the gradients of the mean loss by torch."""
    network.train()
    inputs = Scaling.of(images.pixels, recipe.inputs).on(CPU).apply(images.pixels)
    with autocast(CPU, precision):
        scores = network(inputs)
    loss = functional.cross_entropy(scores.float(), images.labels, label_smoothing=recipe.label_smoothing)
    return [gradient.clone() for gradient in torch.autograd.grad(loss, list(network.parameters()))]


def native_gradients(network: PlannedNetwork, images: Images, recipe: Recipe) -> list[Tensor]:
    """Return the gradients of a step that goes nowhere: they are settled in the place of the parameters."""
    learner = native_learner(network, images, recipe)
    learner.step(images.pixels, images.labels, None, 0.0)
    layout = learner._layout
    layout.parameters.copy_(layout.gradients)
    for part in layout.parts:
        if isinstance(part, DenseLayer):  # its gradient is kept nowhere: Adam's first mean is a tenth of it
            part.weights.copy_(part.first / 0.1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    learner.settle()
    return [parameter.detach().clone() for parameter in network.parameters()]


def distance(these: list[Tensor], those: list[Tensor]) -> float:
    """Return the distance of two lists of gradients, relative to the length of the second."""
    apart, whole = (torch.cat([tensor.flatten() for tensor in tensors]) for tensors in (these, those))
    return float((apart - whole).norm() / whole.norm())


VARIANTS = {"pairs": False} | ({"tiles": True} if torch.cpu.get_capabilities().get("amx_bf16", False) else {})
"""Of the compiled code, those that this processor has instructions for; whether each computes by tiles."""
needs_the_code = pytest.mark.skipif(
    not isinstance(
        learner_of(
            network_of("conv3"),
            RECIPE,
            Scaling((0.0,) * 3, (255.0,) * 3).on(CPU),
            8,
        ),
        NativeLearner,
    ),
    reason="the compiled code needs a C compiler, a processor with AVX-512 bf16 and at most two threads",
)
