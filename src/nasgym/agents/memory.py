"""Memories: what a policy keeps from step to step. One small interface; step by step or a sequence at once, equal.

A memory takes its inputs already projected: `n_inputs` numbers a step, which for the gated ones are what enters their
gates. The encoder that makes them is then one matrix, or one table for whole numbers.
"""

from abc import ABC, abstractmethod
from typing import assert_never

import torch
from torch import Tensor, nn
from torch.nn import functional

from nasgym.agents.config import Attention, Gru, Lstm, MemoryConfig, NoMemory
from nasgym.agents.lstm import LstmSequence

State = tuple[Tensor, ...]
"""What is kept, each tensor with the environments in its first dimension; a step may reuse its space."""


class Memory(nn.Module, ABC):
    """What lasts from step to step.

    Attributes:
        n_inputs: numbers that enter in each step.
        size: numbers that come out.
    """

    n_inputs: int
    size: int

    @abstractmethod
    def initial(self, n: int) -> State:
        """Return the memory of `n` environments that have seen nothing."""

    def first_bias(self) -> Tensor:
        """Return what untrained encoders add to the inputs, shape `(n_inputs,)`."""
        return torch.zeros(self.n_inputs)

    @abstractmethod
    def step(self, inputs: Tensor, state: State, begins: Tensor) -> tuple[Tensor, State]:
        """Take one step.

        Args:
            inputs: shape `(n, n_inputs)`.
            state: as it was after the step before; its space may be used again.
            begins: where everything is forgotten before the step, bool, shape `(n,)`.

        Returns:
            what comes out, shape `(n, size)`, and the memory after the step.
        """

    @abstractmethod
    def sequence(self, inputs: Tensor, state: State, begins: Tensor) -> Tensor:
        """Return what as many calls of `step` would, with gradients to all of them.

        Args:
            inputs: shape `(T, n, n_inputs)`.
            state: before the first step; it is left as it is.
            begins: shape `(T, n)`.

        Returns:
            shape `(T, n, size)`.
        """


def make_memory(config: MemoryConfig) -> Memory:
    """Return the memory that `config` describes, with weights drawn from torch's generator."""
    match config:
        case Lstm(size):
            return LstmMemory(size)
        case Gru(size):
            return GruMemory(size)
        case Attention(size, heads, context):
            return AttentionMemory(size, heads, context)
        case NoMemory(size):
            return Forgetful(size)
        case _:
            assert_never(config)


class LstmMemory(Memory):
    """Long short-term memory; the gates of an input are in the order cell, input, forget, output.

    Args:
        size: units.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.n_inputs, self.size = 4 * size, size
        self.recurrent = nn.Parameter(_uniform(size, 4 * size))

    def initial(self, n: int) -> State:
        """Return zeros."""
        return tuple(self.recurrent.new_zeros(n, self.size) for _ in range(2))

    def first_bias(self) -> Tensor:
        """Return 1 for the forget gate, so that untrained units keep what they hold (Jozefowicz et al. 2015)."""
        bias = torch.zeros(self.n_inputs)
        bias[2 * self.size : 3 * self.size] = 1.0
        return bias

    def step(self, inputs: Tensor, state: State, begins: Tensor) -> tuple[Tensor, State]:
        """Take one step."""
        hidden, cell = _kept(state, begins)
        gates = torch.addmm(inputs, hidden, self.recurrent)
        candidate = gates[:, : self.size].tanh()
        admit, remember, show = gates[:, self.size :].sigmoid().chunk(3, dim=1)
        cell = torch.addcmul(remember * cell, admit, candidate)
        hidden = show * cell.tanh()
        return hidden, (hidden, cell)

    def sequence(self, inputs: Tensor, state: State, begins: Tensor) -> Tensor:
        """Return the hidden units of all steps."""
        keep = begins.logical_not().unsqueeze(2).to(inputs.dtype)
        output: Tensor = LstmSequence.apply(inputs, *state, self.recurrent, keep)  # type: ignore[no-untyped-call]  # torch's
        return output


class GruMemory(Memory):
    """Gated recurrent units; the gates of an input are in the order reset, update, candidate.

    Args:
        size: units.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.n_inputs, self.size = 3 * size, size
        self.recurrent = nn.Parameter(_uniform(size, 3 * size))
        self.bias = nn.Parameter(torch.zeros(size))

    def initial(self, n: int) -> State:
        """Return zeros."""
        return (self.recurrent.new_zeros(n, self.size),)

    def step(self, inputs: Tensor, state: State, begins: Tensor) -> tuple[Tensor, State]:
        """Take one step."""
        (hidden,) = _kept(state, begins)
        projected = hidden @ self.recurrent
        both = 2 * self.size
        reset, update = (inputs[:, :both] + projected[:, :both]).sigmoid().chunk(2, dim=1)
        candidate = (inputs[:, both:] + reset * (projected[:, both:] + self.bias)).tanh()
        hidden = torch.lerp(candidate, hidden, update)
        return hidden, (hidden,)

    def sequence(self, inputs: Tensor, state: State, begins: Tensor) -> Tensor:
        """Return the hidden units of all steps."""
        outputs = []
        for now, starts in zip(inputs.unbind(0), begins.unbind(0), strict=True):
            output, state = self.step(now, state, starts)
            outputs.append(output)
        return torch.stack(outputs)


class Forgetful(Memory):
    """No memory: one hidden layer.

    Args:
        size: units.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.n_inputs, self.size = size, size

    def initial(self, n: int) -> State:
        """Return nothing."""
        del n
        return ()

    def step(self, inputs: Tensor, state: State, begins: Tensor) -> tuple[Tensor, State]:
        """Take one step."""
        del begins
        return inputs.tanh(), state

    def sequence(self, inputs: Tensor, state: State, begins: Tensor) -> Tensor:
        """Return the hidden units of all steps."""
        del state, begins
        return inputs.tanh()


class AttentionMemory(Memory):
    """One pre-norm block of causal attention, for which keys and values of the meta-episode so far are kept.

    They are kept in a ring, so that a step moves nothing. Where something stands in time is not told beyond what is
    observed: the signals say which step of which episode it was.

    Args:
        size: width.
        heads: of attention.
        context: steps attended to at most, the present one included.
    """

    def __init__(self, size: int, heads: int, context: int) -> None:
        super().__init__()
        self.n_inputs, self.size = size, size
        self.heads, self.context = heads, context
        self.before = nn.LayerNorm(size)
        self.projection = nn.Linear(size, 3 * size)
        self.mixing = nn.Linear(size, size)
        self.between = nn.LayerNorm(size)
        self.widening = nn.Linear(size, 2 * size)
        self.narrowing = nn.Linear(2 * size, size)
        self.after = nn.LayerNorm(size)

    def initial(self, n: int) -> State:
        """Return an empty ring: keys, values, steps since the beginning, steps taken in all."""
        weight = self.projection.weight
        ring = [weight.new_zeros(n, self.context, self.size) for _ in range(2)]
        return (*ring, *(torch.zeros(n, dtype=torch.int64, device=weight.device) for _ in range(2)))

    def step(self, inputs: Tensor, state: State, begins: Tensor) -> tuple[Tensor, State]:
        """Take one step; the ring is written to."""
        keys, values, count, taken = state
        queries, key, value = self._projected(inputs)
        place = int(taken[0]) % self.context
        keys[:, place], values[:, place] = key, value
        count = count * begins.logical_not() + 1
        used = min(int(taken[0]) + 1, self.context)
        ages = (place - torch.arange(used, device=inputs.device)) % self.context
        seen = ages < count.clamp(max=self.context).unsqueeze(1)
        attended = self._attend(queries.unsqueeze(1), keys[:, :used], values[:, :used], seen.unsqueeze(1))
        return self._output(inputs, attended.squeeze(1)), (keys, values, count, taken + 1)

    def sequence(self, inputs: Tensor, state: State, begins: Tensor) -> Tensor:
        """Return the outputs of all steps; no gradient leads to what was kept before."""
        length = len(inputs)
        keys, values, count, taken = state
        queries, new_keys, new_values = (part.transpose(0, 1) for part in self._projected(inputs))
        kept = min(int(taken[0]), self.context) if bool(count.any()) else 0
        order = (taken[0] - kept + torch.arange(kept, device=inputs.device)) % self.context
        now = torch.arange(length, device=inputs.device)
        latest = torch.where(begins.T, now, -1).cummax(dim=1).values
        counts = torch.where(latest >= 0, now - latest, count.unsqueeze(1) + now) + 1
        ages = (kept + now).unsqueeze(1) - torch.arange(kept + length, device=inputs.device)
        seen = (ages >= 0) & (ages < counts.clamp(max=self.context).unsqueeze(2))
        all_keys = torch.cat([keys[:, order], new_keys], dim=1)
        all_values = torch.cat([values[:, order], new_values], dim=1)
        attended = self._attend(queries, all_keys, all_values, seen)
        return self._output(inputs, attended.transpose(0, 1))

    def _projected(self, inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        queries, keys, values = self.projection(self.before(inputs)).split(self.size, dim=-1)
        return queries, keys, values

    def _attend(self, queries: Tensor, keys: Tensor, values: Tensor, seen: Tensor) -> Tensor:
        """Return what queries `(n, q, size)` find at keys `(n, k, size)`, of those seen `(n, q, k)`."""
        q, k, v = (part.view(*part.shape[:-1], self.heads, -1).transpose(1, 2) for part in (queries, keys, values))
        attended = functional.scaled_dot_product_attention(q, k, v, attn_mask=seen.unsqueeze(1))
        return attended.transpose(1, 2).flatten(2)

    def _output(self, inputs: Tensor, attended: Tensor) -> Tensor:
        mixed = inputs + self.mixing(attended)
        output: Tensor = self.after(mixed + self.narrowing(functional.gelu(self.widening(self.between(mixed)))))
        return output


def _kept(state: State, begins: Tensor) -> State:
    """Return what is left of a memory that is forgotten where `begins` says so."""
    if not bool(begins.any()):
        return state
    keep = begins.logical_not().unsqueeze(1)
    return tuple(part * keep for part in state)


def _uniform(rows: int, columns: int) -> Tensor:
    """Return numbers drawn as torch draws those of recurrent layers: uniformly within ±1/√rows."""
    return torch.empty(rows, columns).uniform_(-(rows**-0.5), rows**-0.5)
