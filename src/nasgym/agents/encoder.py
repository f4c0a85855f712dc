"""The encoder: whole and real numbers, projected to what a memory takes."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from nasgym.agents.config import Encoding
from nasgym.agents.spec import PolicySpec


class Encoder(nn.Module):
    """Whole and real numbers, projected to what a memory takes.

    Args:
        spec: what is observed.
        bias: what is added at first; its length is that of the output.
        encoding: of whole numbers.

    Attributes:
        table: a row for each value of each whole number, shape `(sum(spec.all_groups), n_outputs)`.
        numbers: matrix for the real numbers, and as its last row the bias, shape `(spec.n_numbers + 1, n_outputs)`.
    """

    def __init__(self, spec: PolicySpec, bias: Tensor, encoding: Encoding) -> None:
        super().__init__()
        n_outputs = len(bias)
        self.encoding = encoding
        self.n_rows = sum(spec.all_groups)
        bound = (len(spec.all_groups) + spec.n_numbers) ** -0.5
        self.table = nn.Parameter(torch.empty(self.n_rows, n_outputs).uniform_(-bound, bound))
        numbers = torch.empty(spec.n_numbers, n_outputs).uniform_(-bound, bound)
        self.numbers = nn.Parameter(torch.cat([numbers, bias.unsqueeze(0)]))

    def forward(self, rows: Tensor, numbers: Tensor) -> Tensor:
        """Return the projection, shape `(…, n_outputs)`."""
        flat_rows = rows.flatten(0, -2)
        flat_numbers = functional.pad(numbers.flatten(0, -2), (0, 1), value=1.0)  # the last is for the bias
        projected: Tensor
        if self.encoding is Encoding.ONE_HOT:
            projected = _dense(flat_rows, flat_numbers, self.n_rows) @ torch.cat([self.table, self.numbers])
        else:
            projected = _Summed.apply(flat_rows, flat_numbers, self.table, self.numbers)  # type: ignore[no-untyped-call] # torch
        return projected.view(*rows.shape[:-1], -1)


class _Summed(torch.autograd.Function):
    """Rows of a table, added up, and numbers times a matrix; backwards as if the rows had been one-hot vectors.

    So forwards no arithmetic is done on zeros, and backwards there is one product of matrices, which is faster than
    adding to single rows. It leaves out what no row selects: many values of layers are never seen together.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, numbers: Tensor, table: Tensor, matrix: Tensor) -> Tensor:
        ctx.save_for_backward(rows, numbers)
        ctx.n_rows = len(table)
        if not len(table):
            return numbers @ matrix
        return functional.embedding_bag(rows, table, mode="sum").addmm_(numbers, matrix)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, None, Tensor, Tensor]:
        rows, numbers = ctx.saved_tensors
        rows = rows.to(torch.int64)
        used = torch.bincount(rows.flatten(), minlength=ctx.n_rows) > 0
        places = used.cumsum(0) - 1
        n_used = int(used.sum())
        gradient = _dense(places[rows], numbers, n_used).T @ gradients[0]
        of_table = gradient.new_zeros(ctx.n_rows, gradient.shape[1])
        of_table[used] = gradient[:n_used]
        return None, None, of_table, gradient[n_used:]


def _dense(rows: Tensor, numbers: Tensor, n_rows: int) -> Tensor:
    """Return ones at `rows`, zeros elsewhere, and numbers behind them: shape `(n, n_rows + n_numbers)`."""
    ones = torch.zeros(len(rows), n_rows + numbers.shape[1], dtype=numbers.dtype, device=rows.device)
    ones.scatter_(1, rows.to(torch.int64), 1.0)
    ones[:, n_rows:] = numbers
    return ones
