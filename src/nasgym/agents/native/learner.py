"""A policy that learns by compiled code: an update in one call, from what was seen to the new weights."""

import ctypes
from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nasgym.agents.config import AgentConfig, Ppo
from nasgym.agents.losses import Sample
from nasgym.agents.native.library import (
    LOSSES,
    MAX_THREADS,
    Lesson,
    Objective,
    Optimizer,
    Parts,
    Rollout,
    check_rows,
)
from nasgym.agents.native.weights import network_of, weights_of
from nasgym.agents.optimizers import remembered, step_on
from nasgym.agents.policy import Policy
from nasgym.agents.update import Learned

KINDS = {"adam": 0, "rmsprop": 1}
"""The optimizers of follow.h."""


class CompiledLearner:
    """Learns what torch would, up to rounding; see `nasgym.agents.learners.Learner`.

    The groups into which environments are dealt, and whose gradients are added in order, follow from how many there
    are, so that the number of threads changes no bit.

    Args:
        policy: which `Policy.code` has compiled code for.
        settings: of the agent, as it is trained.
        optimizer: of the policy; what it remembers is read and written.
        code: the library.
    """

    def __init__(
        self, policy: Policy, settings: AgentConfig, optimizer: torch.optim.Optimizer, code: ctypes.CDLL
    ) -> None:
        self.policy, self.optimizer = policy, optimizer
        self._settings, self._code = settings, code
        self._space = torch.empty(0)

    def learn(
        self, sample: Sample, minibatches: Iterable[NDArray[np.int64]], rate: float, entropy_weight: float
    ) -> Learned:
        """Follow the gradients of the losses, minibatch by minibatch.

        Raises:
            SpecError: a whole number is not one of those that its group has.
            MemoryError: there is not enough.
        """
        found = self._came_to(sample, list(minibatches), entropy_weight, self._optimizer_now(rate))
        step_on(self.optimizer, len(found))
        policy, value, entropy, auxiliary, kl, clipped, norm = found.mean(axis=0).tolist()
        return Learned(policy, value, entropy, auxiliary, kl, clipped, norm, rate, entropy_weight)

    def gradients(self, sample: Sample, places: NDArray[np.int64], entropy_weight: float) -> list[Tensor]:
        """Return the gradients of one minibatch, in the order of `Weights`; nothing is learned."""
        self._came_to(sample, [places], entropy_weight, None)
        weights = weights_of(self.policy)
        sizes = [weight.numel() for weight in weights]
        parts = torch.split(self._space[: sum(sizes)], sizes)
        return [part.view_as(weight).clone() for part, weight in zip(parts, weights, strict=True)]

    def _came_to(
        self, sample: Sample, minibatches: list[NDArray[np.int64]], entropy_weight: float, by: Optimizer | None
    ) -> NDArray[np.float64]:
        """Return the losses of each minibatch, and the norm of its gradient, which `by` follows."""
        rows, numbers, mask, begins = sample.inputs
        credited = (sample.log_probabilities, sample.advantages, sample.targets, sample.rewards, sample.weights)
        seen = [part.contiguous() for part in (rows, numbers, mask, begins, sample.actions, *credited, *sample.state)]
        places = np.concatenate(minibatches, dtype=np.int64)
        borders = np.cumsum([0, *map(len, minibatches)], dtype=np.int64)
        found = np.empty((len(minibatches), LOSSES + 1))
        network = network_of(self.policy)
        check_rows(self._code.nasgym_in_table(ctypes.byref(network), seen[0].data_ptr(), seen[0].numel()))
        lesson = Lesson(
            network,
            Rollout(*sample.actions.shape, *(part.data_ptr() for part in seen)),
            objective_of(self._settings, entropy_weight),
            *(places.ctypes.data, borders.ctypes.data),
            *(len(minibatches), min(torch.get_num_threads(), MAX_THREADS)),
        )
        floats = self._code.nasgym_lesson_floats(ctypes.byref(lesson))
        if floats > len(self._space):
            self._space = room(floats)
        lesson.space, lesson.came_to = self._space.data_ptr(), found.ctypes.data
        self._code.nasgym_learn(ctypes.byref(lesson), None if by is None else ctypes.byref(by))
        return found

    def _optimizer_now(self, rate: float) -> Optimizer:
        """Return how weights follow gradients, and what is remembered of earlier ones."""
        config = self._settings.optimizer
        memories = [remembered(self.optimizer, weight) for weight in weights_of(self.policy)]
        means, squares = (
            Parts(*(None if memory is None else memory.data_ptr() for memory in column))
            for column in zip(*((memory.mean, memory.square) for memory in memories), strict=True)
        )
        steps = max(memory.steps for memory in memories)
        return Optimizer(
            KINDS[config.kind], rate, config.decay, config.epsilon, config.gradient_norm, steps, means, squares
        )


def objective_of(settings: AgentConfig, entropy_weight: float) -> Objective:
    """Return what is minimised."""
    algorithm, losses = settings.algorithm, settings.losses
    clip = algorithm.clip if isinstance(algorithm, Ppo) else 0.0
    return Objective(
        isinstance(algorithm, Ppo),
        settings.returns.normalize_advantages,
        losses.value_shapes_memory,
        clip,
        losses.value,
        entropy_weight,
        losses.auxiliary,
    )


def room(floats: int) -> Tensor:
    """Return space.

    Raises:
        MemoryError: there is not enough.
    """
    try:
        return torch.empty(floats)
    except RuntimeError as error:
        raise MemoryError(
            f"There is not enough memory to learn from a rollout ({4 * floats / 2**20:.0f} MB). Use fewer environments "
            "or steps."
        ) from error
