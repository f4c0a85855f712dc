"""Encoder and LSTM over a whole sequence in compiled code, with their gradient."""

import ctypes
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nasgym.agents.native.library import MAX_THREADS, Network, Sequence
from nasgym.agents.spec import SpecError

GROUP = 8
"""Environments, at least, in each of the groups into which they are dealt, and whose gradients are added in order."""
MAX_GROUPS = 4
"""Each has sums of its own, as large as the weights."""


class Weights(NamedTuple):
    """Of encoder and LSTM.

    Attributes:
        table: shape `(rows, 4h)`.
        matrix: shape `(numbers + 1, 4h)`.
        recurrent: shape `(h, 4h)`.
    """

    table: Tensor
    matrix: Tensor
    recurrent: Tensor

    def network(self, fields: int) -> Network:
        """Return where they lie; `fields` whole numbers are observed."""
        units = len(self.recurrent)
        places = (part.data_ptr() for part in self)
        return Network(units, fields, len(self.matrix) - 1, len(self.table), *places)


class Observed(NamedTuple):
    """What enters, and the memory that it enters; contiguous, and in main memory.

    Attributes:
        rows: int32, shape `(T, n, fields)`.
        numbers: float32, shape `(T, n, numbers)`.
        begins: bool, shape `(T, n)`.
        hidden: before the first step, shape `(n, h)`.
        cell: before the first step, shape `(n, h)`.
    """

    rows: Tensor
    numbers: Tensor
    begins: Tensor
    hidden: Tensor
    cell: Tensor


class CompiledSequence(torch.autograd.Function):
    """Hidden units of all steps; gradients lead to the weights only."""

    @staticmethod
    def forward(ctx: Any, code: ctypes.CDLL, observed: Observed, *weights: Tensor) -> Tensor:
        """Return the hidden units, shape `(T, n, h)`.

        Args:
            ctx: of autograd.
            code: the library.
            observed: what enters.
            weights: as in `Weights`.

        Raises:
            SpecError: a whole number is not one of those that its group has.
        """
        length, n, _ = observed.rows.shape
        units = weights[2].shape[0]
        gates = weights[2].new_empty(length, n, 4 * units)
        cells, outputs = (weights[2].new_empty(length, n, units) for _ in range(2))
        work = _work(observed, Weights(*weights), (gates, cells, outputs))
        check(code.nasgym_forward(ctypes.byref(work)))
        ctx.code, ctx.observed = code, observed
        ctx.save_for_backward(*weights, gates, cells, outputs)
        return outputs

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of the weights."""
        table, matrix, recurrent, *written = ctx.saved_tensors
        weights = Weights(table, matrix, recurrent)
        work = _work(ctx.observed, weights, written)
        found = recurrent.new_empty(sum(map(len, weights)), recurrent.shape[1])
        sums = recurrent.new_empty(work.groups, found.numel())
        given = gradients[0].contiguous()
        work.of_outputs, work.sums = given.data_ptr(), sums.data_ptr()
        check(ctx.code.nasgym_backward(ctypes.byref(work), found.data_ptr()))
        of_table, of_recurrent, of_matrix = found.split([len(table), len(recurrent), len(matrix)])
        return None, None, of_table, of_matrix, of_recurrent


def _work(observed: Observed, weights: Weights, written: "tuple[Tensor, ...] | list[Tensor]") -> Sequence:
    """Return what is to be computed, and by how many threads; the groups depend on the environments alone."""
    length, n, fields = observed.rows.shape
    groups = max(1, min(n // GROUP, MAX_GROUPS))
    threads = min(torch.get_num_threads(), groups, MAX_THREADS)
    places = (part.data_ptr() for part in (*observed, *written))
    return Sequence(weights.network(fields), length, n, groups, threads, *places, None, None)


def check(result: int) -> None:
    """Raise what a function of the library reports.

    Raises:
        SpecError: it was given a whole number that is none of those that its group has.
        MemoryError: there is not enough.
    """
    if result == 0:
        raise SpecError("A whole number is observed that its space does not hold. Correct the environment's space.")
    if result < 0:
        raise MemoryError("There is not enough memory to learn from a rollout. Use fewer environments or steps.")
