"""What takes the steps of a training: torch, or the compiled code where that applies; the same up to rounding."""

import ctypes
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from nasgym.evaluation.hardware import autocast, computes_in_bfloat16
from nasgym.evaluation.images import Images, Scaler
from nasgym.evaluation.native.learner import NativeLearner
from nasgym.evaluation.native.library import library
from nasgym.evaluation.native.program import program_of
from nasgym.evaluation.recipes import Adam, Precision, Recipe, Sgd
from nasgym.evaluation.scores import Score
from nasgym.networks.build import PlannedNetwork

EVALUATION_BATCH = 512
"""Images in a step of a validation or test, by torch."""
NATIVE_THREADS = 2
"""With more threads than these torch takes the steps, since the compiled code uses one core."""
_NATIVE_FEATURES = ("avx512_f", "avx512_bw", "avx512_dq", "avx512_vl", "avx512_bf16")
TILE_FEATURES = ("amx_tile", "amx_bf16")
"""Of processors for which the compiled code computes by tiles, as torch calls them."""


class Learner(Protocol):
    """A network in training."""

    def step(self, pixels: Tensor, labels: Tensor, rows: Tensor | None, rate: float) -> Tensor | float:
        """Take one step of gradient descent, and return the mean loss before it.

        Args:
            pixels: uint8, shape (n, height, width, channels).
            labels: int64, shape (n,).
            rows: int64, which of them; all of them if `None`.
            rate: learning rate.
        """
        ...

    def score(self, images: Images) -> Score:
        """Return how the network does on `images`."""
        ...

    def settle(self) -> None:
        """Leave the network with what it has learnt, in evaluation mode."""
        ...


class TorchLearner:
    """Trains any network on any device.

    Args:
        network: on the device of the images, channels last.
        recipe: how it is trained.
        scaler: of the pixels.
    """

    def __init__(self, network: nn.Module, recipe: Recipe, scaler: Scaler) -> None:
        self._network, self._recipe, self._scaler = network, recipe, scaler
        self._optimizer = _optimizer(network, recipe)

    def step(self, pixels: Tensor, labels: Tensor, rows: Tensor | None, rate: float) -> Tensor:
        """Take one step; see `Learner`. The loss is still on its device."""
        self._network.train()
        if rows is not None:
            pixels, labels = pixels[rows], labels[rows]
        with autocast(pixels.device, self._recipe.precision):
            scores = self._network(self._scaler.apply(pixels))
        loss = functional.cross_entropy(scores.float(), labels, label_smoothing=self._recipe.label_smoothing)
        self._optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._optimizer.step()
        return loss.detach()

    def score(self, images: Images) -> Score:
        """Return how the network does on `images`; see `Learner`."""
        return score(self._network, images, self._scaler, self._recipe.precision)

    def settle(self) -> None:
        """Leave the network in evaluation mode."""
        self._network.eval()


def learner_of(network: nn.Module, recipe: Recipe, scaler: Scaler, batch_size: int) -> Learner:
    """Return what trains `network`, which is on the device of `scaler`, by `recipe` in batches of up to `batch_size`.

    The compiled code takes the recipes that compute in bf16 with Adam, on processors with AVX-512 bf16 instructions,
    for the networks that it knows and at most `NATIVE_THREADS` threads.
    """
    code = native_code(recipe, scaler.gain.device)
    if code is not None and isinstance(network, PlannedNetwork) and torch.get_num_threads() <= NATIVE_THREADS:
        program = program_of(network.plan)
        if program is not None:
            return NativeLearner(network, program, code, recipe, scaler, batch_size)
    return TorchLearner(network, recipe, scaler)


def native_code(recipe: Recipe, device: torch.device) -> ctypes.CDLL | None:
    """Return the compiled code where it can train by `recipe` on `device`; the first call may have to compile it."""
    applies = (
        isinstance(recipe.optimizer, Adam)
        and recipe.precision is Precision.BFLOAT16_WHERE_FAST
        and device.type == "cpu"
        and computes_in_bfloat16(device)
        and _processor_has(_NATIVE_FEATURES)
    )
    return library(tiles=_processor_has(TILE_FEATURES)) if applies else None


def _processor_has(features: tuple[str, ...]) -> bool:
    known = torch.cpu.get_capabilities()
    return all(known.get(name, False) for name in features)


def score(network: nn.Module, images: Images, scaler: Scaler, precision: Precision) -> Score:
    """Return how `network` does on `images`, by torch; leaves it in evaluation mode."""
    network.eval()
    device = images.labels.device
    loss, correct = torch.zeros((), device=device), torch.zeros((), dtype=torch.long, device=device)
    with torch.inference_mode(), autocast(device, precision):
        for start in range(0, len(images), EVALUATION_BATCH):
            labels = images.labels[start : start + EVALUATION_BATCH]
            scores = network(scaler.apply(images.pixels[start : start + EVALUATION_BATCH])).float()
            loss += functional.cross_entropy(scores, labels, reduction="sum")
            correct += (scores.argmax(1) == labels).sum()
    return Score(loss.item() / len(images), correct.item() / len(images))


def _optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Return the recipe's optimizer, fused; kernels and matrices decay, biases and normalisation do not."""
    chosen = recipe.optimizer
    parameters = list(network.parameters())
    groups = [
        {"params": [parameter for parameter in parameters if parameter.ndim > 1], "weight_decay": chosen.weight_decay},
        {"params": [parameter for parameter in parameters if parameter.ndim <= 1], "weight_decay": 0.0},
    ]
    match chosen:
        case Adam():
            return torch.optim.AdamW(
                groups, lr=recipe.learning_rate, betas=(chosen.beta1, chosen.beta2), eps=chosen.epsilon, fused=True
            )
        case Sgd():
            return torch.optim.SGD(
                groups,
                lr=recipe.learning_rate,
                momentum=chosen.momentum,
                nesterov=chosen.momentum > 0,
                fused=True,
            )
