"""Agents in compiled code: what torch computes, up to rounding; the same for any number of threads."""

import ctypes
import platform
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from bandits import HiddenArm
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nasgym.agents import Policy, PolicySpec, SpecError, Trainer, named_agent
from nasgym.agents import policy as policies
from nasgym.agents.native import library as native
from nasgym.agents.native.voice import CompiledVoice
from nasgym.agents.policy import Inputs
from nasgym.agents.voices import TorchVoice, voice_of
from nasgym.core.compiled import load

needs_the_code = pytest.mark.skipif(native.library() is None, reason="needs a C compiler on Linux")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def policy_of(spec: PolicySpec, size: int = 32, seed: int = 0, **overrides: Any) -> Policy:
    """Return a policy with weights large enough for gates to open and close."""
    policy = Policy(spec, named_agent("rl2", {"memory": {"size": size}, **overrides}), seed)
    with torch.no_grad():
        for weight in policy.parameters():
            weight.mul_(2.0)
    return policy


def seen_by(policy: Policy, seed: int, *shape: int) -> Inputs:
    """Return what could be seen, with memories that are forgotten here and there."""
    generator = torch.Generator().manual_seed(seed)
    rows, start = [], 0
    for size in policy.spec.all_groups:
        rows.append(start + torch.randint(0, size, shape, generator=generator))
        start += size
    whole = torch.stack(rows, dim=-1).int() if rows else torch.zeros(*shape, 0, dtype=torch.int32)
    numbers = torch.randn(*shape, policy.spec.n_numbers, generator=generator)
    mask = torch.rand(*shape, policy.spec.n_actions, generator=generator) < 0.7
    mask[..., 0] |= ~mask.any(dim=-1)
    return Inputs(whole, numbers, mask, torch.rand(shape, generator=generator) < 0.15)


def memory_of(policy: Policy, seed: int, n: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    hidden, cell = (torch.randn(n, policy.memory.size, generator=generator) for _ in range(2))
    return hidden.tanh(), cell


def said_and_learned(policy: Policy, inputs: Inputs, state: tuple[Tensor, ...]) -> list[Tensor]:
    """Return what is said in a sequence, and the gradients of something that depends on all of it."""
    outputs = policy.sequence(inputs, state)
    policy.zero_grad()
    loss = outputs.values.square().sum() + outputs.logits.log_softmax(-1)[inputs.mask].square().sum()
    (loss + outputs.rewards.square().sum()).backward()
    logits = outputs.logits.masked_fill(~inputs.mask, 0.0)
    said = [logits.detach(), outputs.values.detach(), outputs.rewards.detach()]
    return said + [weight.grad for weight in policy.parameters() if weight.numel()]


def assert_equal_but_for_rounding(found: list[Tensor], expected: list[Tensor]) -> None:
    for one, other in zip(found, expected, strict=True):
        largest = float(other.abs().max()) if other.numel() else 0.0
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5 * max(1.0, largest))


def assert_sequences_are_torch_s(policy: Policy, inputs: Inputs, state: tuple[Tensor, ...]) -> None:
    policy.compiled = True
    assert policy.code() is not None
    found = said_and_learned(policy, inputs, state)
    policy.compiled = False
    assert policy.code() is None
    assert_equal_but_for_rounding(found, said_and_learned(policy, inputs, state))


SPECS = st.builds(
    PolicySpec,
    st.just("drawn"),
    st.integers(1, 9),
    st.lists(st.integers(1, 9), max_size=6).map(tuple),
    st.booleans(),
    st.just(("reward",)),
    st.integers(0, 5),
)


@needs_the_code
@given(SPECS, st.sampled_from([16, 48, 80, 128]), st.integers(1, 9), st.integers(1, 40), st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_sequences_and_their_gradients_are_those_of_torch(spec, size, length, n, seed):
    policy = policy_of(spec, size, seed, losses={"auxiliary": 0.5 * (seed % 2)})
    assert_sequences_are_torch_s(policy, seen_by(policy, seed, length, n), memory_of(policy, seed, n))


SPEC = PolicySpec("toys", 5, (4, 2, 7), observes_action=True, signals=("reward", "step"), context=1)


@needs_the_code
@pytest.mark.parametrize(("length", "n"), [(70, 3), (3, 150), (65, 64)], ids=str)
def test_many_steps_and_many_environments_are_those_of_torch(length, n):
    policy = policy_of(SPEC)
    assert_sequences_are_torch_s(policy, seen_by(policy, 1, length, n), memory_of(policy, 1, n))


@needs_the_code
def test_what_only_numbers_show_is_learned_as_by_torch():
    policy = policy_of(PolicySpec("corridor", 2, context=3))
    assert policy.encoder.table.shape == (0, 128)
    assert_sequences_are_torch_s(policy, seen_by(policy, 2, 6, 5), memory_of(policy, 2, 5))


@needs_the_code
def test_a_sequence_that_never_forgets_is_found_out():
    policy = policy_of(SPEC)
    inputs, state = seen_by(policy, 0, 12, 4), memory_of(policy, 0, 4)
    assert inputs.begins.any()
    expected = said_and_learned(policy, inputs, state)
    with pytest.raises(AssertionError, match="not close"):
        assert_equal_but_for_rounding(
            said_and_learned(policy, inputs._replace(begins=torch.zeros_like(inputs.begins)), state), expected
        )


@needs_the_code
@given(SPECS, st.sampled_from([16, 48, 128]), st.integers(1, 70), st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_a_step_says_what_torch_says_and_leaves_the_same_memory(spec, size, n, seed):
    policy = policy_of(spec, size, seed, losses={"auxiliary": 0.5 * (seed % 2)})
    inputs, state = seen_by(policy, seed, n), memory_of(policy, seed, n)
    compiled = voice_of(policy)
    assert isinstance(compiled, CompiledVoice)
    (expected, memory), (found, left) = (
        voice(inputs, tuple(part.clone() for part in state)) for voice in (TorchVoice(policy), compiled)
    )
    for one, other in zip(
        (*map(torch.from_numpy, found), *left), (*map(torch.from_numpy, expected), *memory), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    assert (found.logits[~inputs.mask.numpy()] == expected.logits[~inputs.mask.numpy()]).all()


@needs_the_code
def test_steps_say_what_a_sequence_says():
    policy = policy_of(SPEC)
    inputs, state = seen_by(policy, 3, 20, 6), memory_of(policy, 3, 6)
    with torch.no_grad():
        at_once = policy.sequence(inputs, state)
    voice = voice_of(policy)
    for step in range(20):
        said, state = voice(Inputs(*(part[step] for part in inputs)), state)
        torch.testing.assert_close(torch.from_numpy(said.logits), at_once.logits[step])
        torch.testing.assert_close(torch.from_numpy(said.values), at_once.values[step])


@needs_the_code
@pytest.mark.parametrize("n", [16, 50, 64])
def test_the_number_of_threads_changes_no_bit(n):
    policy = policy_of(SPEC)
    inputs, state = seen_by(policy, 4, 9, n), memory_of(policy, 4, n)
    gradients = []
    for threads in (1, 2, 3, 8):
        torch.set_num_threads(threads)
        features = torch.ones(9, n, 32)
        sequence = policies.CompiledSequence.apply(
            policy.code(),
            policies.Observed(inputs.rows, inputs.numbers, inputs.begins, *state),
            *policy.recurrent_weights(),
        )
        gradients.append([sequence, *torch.autograd.grad(sequence, policy.recurrent_weights(), features)])
    for others in gradients[1:]:
        assert all(torch.equal(one, other) for one, other in zip(gradients[0], others, strict=True))


@needs_the_code
@pytest.mark.parametrize("row", [-1, 19, 2**31 - 1])
def test_whole_numbers_that_their_space_does_not_hold_are_refused(row):
    policy = policy_of(SPEC)
    inputs, state = seen_by(policy, 0, 4, 3), memory_of(policy, 0, 3)
    inputs.rows[2, 1, 3] = row
    with pytest.raises(SpecError, match="that its space does not hold"):
        policy.sequence(inputs, state)
    with pytest.raises(SpecError, match="that its space does not hold"):
        voice_of(policy)(Inputs(*(part[2] for part in inputs)), state)


@needs_the_code
def test_what_is_no_number_stays_none():
    policy = policy_of(SPEC)
    with torch.no_grad():
        policy.encoder.numbers[0, 5] = float("nan")
    inputs, state = seen_by(policy, 0, 4, 3), memory_of(policy, 0, 3)
    assert policy.sequence(inputs, state).values.isnan().all()
    assert np.isnan(voice_of(policy)(Inputs(*(part[0] for part in inputs)), state)[0].values).all()


@needs_the_code
@pytest.mark.skipif(platform.machine() != "x86_64", reason="names instructions of x86-64")
@pytest.mark.parametrize("instructions", ["x86-64", "x86-64-v3"])
def test_processors_with_fewer_instructions_compute_the_same(instructions, monkeypatch):
    flags = tuple(f"-march={instructions}" if flag.startswith("-march") else flag for flag in native.SOURCE.flags)
    code = load(replace(native.SOURCE, flags=flags))
    assert code is not None
    policy = policy_of(SPEC, size=48)
    inputs, state = seen_by(policy, 5, 7, 5), memory_of(policy, 5, 5)
    expected = said_and_learned(policy, inputs, state)
    monkeypatch.setattr(policies, "library", lambda: native.declared(code))
    assert policy.code() is code
    assert_equal_but_for_rounding(said_and_learned(policy, inputs, state), expected)


@needs_the_code
def test_python_and_c_agree_on_what_lies_where():
    code = native.library()
    assert code is not None
    numbers = (ctypes.c_int64 * 4).in_dll(code, "nasgym_sizes")
    sizes = [ctypes.sizeof(structure) for structure in (native.Network, native.Actor, native.Sequence)]
    assert list(numbers) == [*sizes, native.MAX_THREADS]


@pytest.mark.parametrize(
    "overrides",
    [{"memory": {"size": 40}}, {"memory": {"kind": "gru", "size": 32}}, {"encoding": "one-hot"}],
    ids=str,
)
def test_other_networks_are_torch_s(overrides):
    policy = Policy(SPEC, named_agent("rl2", overrides))
    assert policy.code() is None
    assert isinstance(voice_of(policy), TorchVoice)


def trained(steps: int) -> list[float]:
    envs = HiddenArm(32)
    config = named_agent("rl2", {"memory": {"size": 32}, "optimizer": {"learning_rate": 0.01}})
    trainer = Trainer(config, envs, spec=PolicySpec.of(envs, space="bandit"), seed=0, total_steps=steps)
    returns = []
    while trainer.steps < steps:
        returns.append(trainer.update().mean_return)
    return returns


def test_without_a_compiler_torch_computes_agents(monkeypatch):
    monkeypatch.setattr(policies, "library", lambda: None)
    policy = Policy(SPEC, named_agent())
    assert isinstance(voice_of(policy), TorchVoice)
    assert len(trained(1000)) == 2


@needs_the_code
def test_a_bandit_is_learned_as_by_torch(monkeypatch):
    compiled = trained(25_000)
    monkeypatch.setattr(policies, "library", lambda: None)
    by_torch = trained(25_000)
    assert compiled[:3] == by_torch[:3]  # the same arms are pulled until rounding tips the first of the draws
    assert np.mean(compiled[-10:]) == pytest.approx(np.mean(by_torch[-10:]), abs=0.5)
    assert min(np.mean(compiled[-10:]), np.mean(by_torch[-10:])) > 4.5  # 2 without feedback
