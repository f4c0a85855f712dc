"""Every memory: a sequence is its steps, what is forgotten is gone, gradients are right."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nasgym.agents.config import Attention, Gru, Lstm, NoMemory
from nasgym.agents.lstm import LstmSequence
from nasgym.agents.memory import AttentionMemory, GruMemory, LstmMemory, Memory, make_memory

KINDS = [Lstm(6), Gru(6), Attention(6, heads=2, context=4), Attention(6, heads=3, context=64), NoMemory(6)]
LASTING = KINDS[:-1]


def memory_of(config) -> Memory:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return make_memory(config)


def played(memory: Memory, inputs: torch.Tensor, begins: torch.Tensor, state=None):
    """Return outputs of all steps, and the memory before each."""
    states = [memory.initial(inputs.shape[1]) if state is None else state]
    outputs = []
    for now, starts in zip(inputs, begins, strict=True):
        before = tuple(part.clone() for part in states[-1])
        output, after = memory.step(now, before, starts)
        outputs.append(output)
        states.append(after)
    return torch.stack(outputs), states


def drawn(seed: int, length: int, n: int, memory: Memory):
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(length, n, memory.n_inputs, generator=generator)
    return inputs, torch.rand(length, n, generator=generator) < 0.2


@pytest.mark.parametrize("config", KINDS, ids=repr)
@given(seed=st.integers(0, 1000), length=st.integers(1, 20), n=st.integers(1, 3), data=st.data())
@settings(max_examples=25, deadline=None)
def test_a_sequence_is_its_steps_wherever_memory_is_forgotten_and_wherever_it_begins(config, seed, length, n, data):
    memory = memory_of(config)
    inputs, begins = drawn(seed, length, n, memory)
    with torch.no_grad():
        assert_a_sequence_is_its_steps(memory, inputs, begins, data.draw(st.integers(0, length - 1)))


def assert_a_sequence_is_its_steps(memory: Memory, inputs: torch.Tensor, begins: torch.Tensor, start: int) -> None:
    """Compare a sequence with its steps, from the first and from step `start` on."""
    outputs, states = played(memory, inputs, begins)
    torch.testing.assert_close(memory.sequence(inputs, memory.initial(inputs.shape[1]), begins), outputs)
    torch.testing.assert_close(memory.sequence(inputs[start:], states[start], begins[start:]), outputs[start:])


class NeverForgets(LstmMemory):
    """Broken: its sequences go on where memory ought to be forgotten."""

    def sequence(self, inputs, state, begins):
        return super().sequence(inputs, state, torch.zeros_like(begins))


class ForgetsWhatWasBefore(GruMemory):
    """Broken: its sequences begin with nothing."""

    def sequence(self, inputs, state, begins):
        return super().sequence(inputs, self.initial(inputs.shape[1]), begins)


class SeesTheFuture(AttentionMemory):
    """Broken: its sequences come in the wrong order of time."""

    def sequence(self, inputs, state, begins):
        return super().sequence(inputs.flip(0), state, begins.flip(0)).flip(0)


@pytest.mark.parametrize("broken", [NeverForgets(6), ForgetsWhatWasBefore(6), SeesTheFuture(6, 2, 9)], ids=repr)
def test_a_broken_memory_is_found_out(broken):
    inputs, begins = drawn(5, 12, 2, broken)
    assert begins[1:].any()
    with torch.no_grad(), pytest.raises(AssertionError, match="not close"):
        assert_a_sequence_is_its_steps(broken, inputs, begins, 4)


@pytest.mark.parametrize("config", KINDS, ids=repr)
def test_nothing_from_before_a_beginning_is_left(config):
    memory = memory_of(config)
    inputs, _ = drawn(0, 9, 2, memory)
    begins = torch.zeros(9, 2, dtype=torch.bool)
    begins[5, 0] = True
    with torch.no_grad():
        outputs, _ = played(memory, inputs, begins)
        afresh, _ = played(memory, inputs[5:], begins[5:])
    torch.testing.assert_close(outputs[5:, 0], afresh[:, 0])


@pytest.mark.parametrize("config", LASTING, ids=repr)
def test_what_lasts_is_changed_by_what_was_before(config):
    memory = memory_of(config)
    inputs, _ = drawn(0, 3, 1, memory)
    begins = torch.zeros(3, 1, dtype=torch.bool)
    with torch.no_grad():
        outputs, _ = played(memory, inputs, begins)
        afresh, _ = played(memory, inputs[1:], begins[1:])
    assert (outputs[2] - afresh[1]).abs().max() > 1e-3


def test_attention_sees_no_further_than_its_context():
    memory = memory_of(Attention(6, heads=2, context=4))
    inputs, _ = drawn(0, 9, 1, memory)
    begins = torch.zeros(9, 1, dtype=torch.bool)
    changed = inputs.clone()
    changed[3] = -changed[3]
    with torch.no_grad():
        difference = memory.sequence(inputs, memory.initial(1), begins) - memory.sequence(
            changed, memory.initial(1), begins
        )
    seen = (difference.abs().amax(dim=(1, 2)) > 1e-6).tolist()
    assert seen == [False] * 3 + [True] * 4 + [False] * 2


@pytest.mark.parametrize("config", KINDS, ids=repr)
def test_a_sequence_has_the_gradients_of_its_steps(config):
    memory = memory_of(config)
    inputs, begins = drawn(3, 7, 2, memory)
    inputs.requires_grad_()
    gradients = []
    for outputs in (played_with_gradients(memory, inputs, begins), memory.sequence(inputs, memory.initial(2), begins)):
        wanted = [inputs, *memory.parameters()]
        gradients.append(torch.autograd.grad(outputs.square().sum(), wanted))
    for by_steps, at_once in zip(*gradients, strict=True):
        torch.testing.assert_close(by_steps, at_once, atol=1e-4, rtol=1e-4)


def played_with_gradients(memory: Memory, inputs: torch.Tensor, begins: torch.Tensor) -> torch.Tensor:
    if isinstance(memory, AttentionMemory):  # its ring is no place for gradients
        steps = range(len(inputs))
        initial = memory.initial(inputs.shape[1])
        return torch.stack([memory.sequence(inputs[: t + 1], initial, begins[: t + 1])[-1] for t in steps])
    return played(memory, inputs, begins)[0]


def test_the_gradient_of_the_lstm_agrees_with_finite_differences():
    generator = torch.Generator().manual_seed(0)
    shapes = [(5, 2, 12), (2, 3), (2, 3), (3, 12)]
    tensors = [torch.randn(*shape, dtype=torch.float64, generator=generator).requires_grad_() for shape in shapes]
    keep = (torch.rand(5, 2, 1, generator=generator) > 0.3).double()
    assert torch.autograd.gradcheck(lambda *given: LstmSequence.apply(*given, keep), tensors)


def test_the_lstm_computes_what_torch_computes():
    memory, theirs = memory_of(Lstm(5)), torch.nn.LSTM(3, 5)
    with torch.no_grad():
        order = torch.tensor([2, 0, 1, 3])  # theirs: input, forget, cell, output; ours: cell, input, forget, output

        def ours(weight: torch.Tensor) -> torch.Tensor:
            return weight.unflatten(0, (4, 5))[order].flatten(0, 1)

        memory.recurrent.copy_(ours(theirs.weight_hh_l0).T)
        inputs = torch.randn(6, 2, 3, generator=torch.Generator().manual_seed(0))
        projected = inputs @ ours(theirs.weight_ih_l0).T + ours(theirs.bias_ih_l0) + ours(theirs.bias_hh_l0)
        found = memory.sequence(projected, memory.initial(2), torch.zeros(6, 2, dtype=torch.bool))
        torch.testing.assert_close(found, theirs(inputs)[0])
