"""The LSTM over a whole sequence, with its gradient by hand: few operations a step, the rest once for all steps."""

from typing import Any

import torch
from torch import Tensor

_TANH_BACKWARD, _SIGMOID_BACKWARD = torch.ops.aten.tanh_backward, torch.ops.aten.sigmoid_backward


class LstmSequence(torch.autograd.Function):
    """Hidden units of all steps.

    With `x_t` what enters the gates, `k_t` 0 where everything is forgotten before step t and 1 elsewhere, and the gates
    in the order cell, input, forget, output:

        a_t = x_t + (k_t h_{t-1}) W,   g = tanh(a_t[0]),   i, f, o = σ(a_t[1:]),
        c_t = f k_t c_{t-1} + i g,     h_t = o tanh(c_t).

    The step back through time does no more than what needs the step after it; the gradient of W is one product over all
    steps.
    """

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, hidden: Tensor, cell: Tensor, weight: Tensor, keep: Tensor) -> Tensor:
        """Return the hidden units, shape `(T, n, h)`.

        Args:
            ctx: of autograd.
            inputs: x, shape `(T, n, 4h)`.
            hidden: before the first step, shape `(n, h)`.
            cell: before the first step, shape `(n, h)`.
            weight: W, shape `(h, 4h)`.
            keep: k, shape `(T, n, 1)`.
        """
        length, n, width = inputs.shape
        size = width // 4
        gates = torch.empty_like(inputs)
        kept_hidden, kept_cells, tanh_cells, outputs = inputs.new_empty(4, length, n, size).unbind(0)
        candidates = gates[..., :size].unbind(0)
        squashed = gates[..., size:].unbind(0)
        admits, remembers, shows = (part.unbind(0) for part in gates[..., size:].chunk(3, dim=-1))
        rows = zip(
            inputs.unbind(0), keep.unbind(0), gates.unbind(0), candidates, squashed, admits, remembers, shows,
            kept_hidden.unbind(0), kept_cells.unbind(0), tanh_cells.unbind(0), outputs.unbind(0), strict=True,
        )  # fmt: skip
        for x, k, gate, candidate, sigmoids, admit, remember, show, before, remembered, squash, output in rows:
            torch.mul(hidden, k, out=before)
            torch.addmm(x, before, weight, out=gate)
            candidate.tanh_()
            sigmoids.sigmoid_()
            torch.mul(cell, k, out=remembered)
            cell = (remember * remembered).addcmul_(admit, candidate)
            torch.tanh(cell, out=squash)
            hidden = torch.mul(show, squash, out=output)
        ctx.save_for_backward(gates, kept_hidden, kept_cells, tanh_cells, weight, keep)
        return outputs

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, None]:
        """Return the gradients of inputs, hidden, cell and weight."""
        gates, kept_hidden, kept_cells, tanh_cells, weight, keep = ctx.saved_tensors
        (length, n, size), transposed = tanh_cells.shape, weight.T.contiguous()
        slopes = torch.empty_like(gates)
        of_hidden, of_cell = gates.new_zeros(n, size), gates.new_zeros(n, size)
        for t in reversed(range(length)):
            gate, slope, squash = gates[t], slopes[t], tanh_cells[t]
            candidate, admit, remember, show = gate.chunk(4, dim=1)
            of_candidate, of_admit, of_remember, of_show = slope.chunk(4, dim=1)
            of_hidden += gradients[0][t]
            of_cell += _TANH_BACKWARD(of_hidden * show, squash)
            torch.mul(of_hidden, squash, out=of_show)
            torch.mul(of_cell, admit, out=of_candidate)
            torch.mul(of_cell, candidate, out=of_admit)
            torch.mul(of_cell, kept_cells[t], out=of_remember)
            _TANH_BACKWARD.grad_input(of_candidate, candidate, grad_input=of_candidate)
            squashed = slope[:, size:]
            _SIGMOID_BACKWARD.grad_input(squashed, gate[:, size:], grad_input=squashed)
            of_cell *= remember
            of_cell *= keep[t]
            torch.mm(slope, transposed, out=of_hidden)
            of_hidden *= keep[t]
        of_weight = kept_hidden.view(-1, size).T @ slopes.view(-1, 4 * size)
        return slopes, of_hidden, of_cell, of_weight, None
