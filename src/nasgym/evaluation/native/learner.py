"""A learner that runs in the compiled code."""

import ctypes

import torch
from torch import Tensor

from nasgym.evaluation.images import Images, Scaler
from nasgym.evaluation.native.library import AdamStep
from nasgym.evaluation.native.memory import Layout
from nasgym.evaluation.native.program import Operation
from nasgym.evaluation.recipes import Adam, Recipe
from nasgym.evaluation.scores import Score
from nasgym.networks.build import PlannedNetwork


class NativeLearner:
    """Trains a network by AdamW with bf16 arithmetic and fp32 parameters, on one core.

    Dropout is drawn from a stream of the learner's own; torch's random state, from which torch's dropout draws, decides
    which.

    Args:
        network: initial parameters, and where `settle` writes them.
        program: of its plan.
        code: the library.
        recipe: how it is trained; its optimizer is Adam.
        scaler: of the pixels.
        batch_size: images in a step, at most.
    """

    def __init__(
        self,
        network: PlannedNetwork,
        program: tuple[Operation, ...],
        code: ctypes.CDLL,
        recipe: Recipe,
        scaler: Scaler,
        batch_size: int,
    ) -> None:
        assert isinstance(recipe.optimizer, Adam)
        self._network, self._code, self._recipe = network, code, recipe
        self._optimizer, self._batch_size = recipe.optimizer, batch_size
        self._steps, self._shrunk = 0, 1.0
        self._layout = Layout.of(network, program, batch_size)
        self._net = self._layout.net
        levels = torch.addcmul(scaler.offset[:, None], torch.arange(256.0), scaler.gain[:, None])
        self._levels = levels.to(torch.bfloat16)  # the compiled code points into it
        self._net.levels = self._levels.data_ptr()
        with torch.no_grad():
            for part in self._layout.parts:
                part.take()
        self._key = int(torch.randint(2**63 - 1, ())) if any(network.head.dropouts) else 0

    def step(self, pixels: Tensor, labels: Tensor, rows: Tensor | None, rate: float) -> float:
        """Take one step on images `rows` of `pixels`, or on all; see `Learner`."""
        self._steps += 1
        by = self._optimizer
        self._shrunk *= 1 - rate * by.weight_decay
        how = AdamStep(
            *(rate, by.beta1, by.beta2, by.epsilon, by.weight_decay),
            *(1 - by.beta1**self._steps, 1 - by.beta2**self._steps),
        )
        loss: float = self._code.nasgym_step(
            self._net,
            pixels.data_ptr(),
            None if rows is None else rows.data_ptr(),
            labels.data_ptr(),
            len(labels) if rows is None else len(rows),
            self._recipe.label_smoothing,
            how,
            self._key + self._steps,
        )
        return loss

    def score(self, images: Images) -> Score:
        """Return how the network does on `images`; see `Learner`."""
        loss, correct = ctypes.c_double(), ctypes.c_int64()
        self._code.nasgym_score(
            *(self._net, images.pixels.data_ptr(), images.labels.data_ptr(), len(images), self._batch_size),
            *(ctypes.byref(loss), ctypes.byref(correct)),
        )
        return Score(loss.value / len(images), correct.value / len(images))

    @torch.no_grad()
    def settle(self) -> None:
        """Write parameters and statistics back to the network, in evaluation mode."""
        for part in self._layout.parts:
            part.give(self._steps, self._shrunk)
        self._shrunk = 1.0
        self._network.eval()
