"""Agents in compiled code: what torch computes, up to rounding; the same for any number of threads."""

import copy
import ctypes
import platform
from collections.abc import Iterator
from dataclasses import astuple, replace
from functools import cache
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
from nasgym.agents.learners import TorchLearner, learner_of
from nasgym.agents.losses import Sample, losses_of
from nasgym.agents.native import learner as native_learner
from nasgym.agents.native import library as native
from nasgym.agents.native.learner import CompiledLearner
from nasgym.agents.native.voice import CompiledVoice
from nasgym.agents.native.weights import weights_of
from nasgym.agents.optimizers import make_optimizer
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


def sample_for(policy: Policy, seed: int, length: int, n: int) -> Sample:
    """Return what could have happened, with ratios of probabilities to either side of what PPO clips."""
    generator = torch.Generator().manual_seed(seed)
    inputs, state = seen_by(policy, seed, length, n), memory_of(policy, seed, n)
    actions = torch.rand(*inputs.mask.shape, generator=generator).mul(inputs.mask).argmax(-1)
    with torch.no_grad():
        said = policy.sequence(inputs, state).logits.log_softmax(-1)
    chosen = said.gather(-1, actions.unsqueeze(-1)).squeeze(-1)
    noise, advantages, targets, rewards = torch.randn(4, length, n, generator=generator)
    weights = (torch.rand(length, n, generator=generator) < 0.8).float()
    return Sample(inputs, actions, chosen + 0.3 * noise, advantages, targets, rewards, weights, state)


@cache
def code_without(*instructions: str) -> ctypes.CDLL:
    """Return the code as it is for processors that lack some instructions."""
    flags = (*native.SOURCE.flags, *(f"-mno-{name}" for name in instructions if platform.machine() == "x86_64"))
    code = load(replace(native.SOURCE, flags=flags))
    assert code is not None
    return native.declared(code)


def learner_for(policy: Policy, code: ctypes.CDLL | None = None) -> CompiledLearner:
    """Return what learns for a copy of a policy, by products of floats unless other code is given."""
    twin = copy.deepcopy(policy)
    optimizer = make_optimizer(twin, policy.config.optimizer)
    return CompiledLearner(twin, policy.config, optimizer, code or code_without("avx512bf16"))


def torch_learner_for(policy: Policy) -> TorchLearner:
    twin = copy.deepcopy(policy)
    return TorchLearner(twin, policy.config, make_optimizer(twin, policy.config.optimizer))


def learned_by(learner: CompiledLearner | TorchLearner, sample: Sample, steps: int = 2) -> list[Tensor]:
    """Return what two steps along the gradient came to, the weights after them, and what the optimizer remembers."""
    halves = [np.arange(sample.actions.shape[1])[part :: min(2, sample.actions.shape[1])] for part in range(2)]
    minibatches = [half.copy() for half in halves if len(half)] * steps
    learned = learner.learn(sample, minibatches, 0.003, 0.02)
    policy, optimizer = (learner.policy, learner.optimizer)
    weights = [weight.detach() for weight in policy.parameters() if weight.numel()]
    remembered = [value for state in optimizer.state.values() for _, value in sorted(state.items())]
    return [torch.tensor(astuple(learned)), *weights, *remembered]


def gradients_by_torch(policy: Policy, sample: Sample) -> list[Tensor]:
    twin = copy.deepcopy(policy)
    losses_of(twin.sequence(sample.inputs, sample.state), sample, policy.config, 0.02).total.backward()
    return [torch.zeros(0) if weight.grad is None else weight.grad for weight in weights_of(twin)]


def assert_equal_but_for_rounding(found: list[Tensor], expected: list[Tensor]) -> None:
    for one, other in zip(found, expected, strict=True):
        largest = float(other.abs().max()) if other.numel() else 0.0
        torch.testing.assert_close(one.view(-1), other.view(-1), rtol=1e-4, atol=2e-5 * max(1.0, largest))


def assert_torch_learns_the_same(policy: Policy, sample: Sample, code: ctypes.CDLL | None = None) -> None:
    everything = np.arange(sample.actions.shape[1])
    learner = learner_for(policy, code)
    assert_equal_but_for_rounding(learner.gradients(sample, everything, 0.02), gradients_by_torch(policy, sample))
    assert_equal_but_for_rounding(learned_by(learner, sample), learned_by(torch_learner_for(policy), sample))


SPECS = st.builds(
    PolicySpec,
    st.just("drawn"),
    st.integers(1, 9),
    st.lists(st.integers(1, 9), max_size=6).map(tuple),
    st.booleans(),
    st.just(("reward",)),
    st.integers(0, 5),
)


AGENTS = st.sampled_from(
    [
        {},
        {"algorithm": {"clip": 0.05}, "returns": {"normalize_advantages": False}},
        {"algorithm": {"kind": "a2c"}, "losses": {"auxiliary": 0.5}},
        {"algorithm": {"kind": "reinforce"}, "losses": {"value": 0.0}},
        {"optimizer": {"kind": "rmsprop", "decay": 0.9}, "losses": {"auxiliary": 0.1, "value_shapes_memory": False}},
    ]
)


@needs_the_code
@given(SPECS, st.sampled_from([16, 48, 80, 128]), st.integers(1, 9), st.integers(1, 40), AGENTS, st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_what_is_learned_is_what_torch_learns(spec, size, length, n, overrides, seed):
    policy = policy_of(spec, size, seed, **overrides)
    assert_torch_learns_the_same(policy, sample_for(policy, seed, length, n))


SPEC = PolicySpec("toys", 5, (4, 2, 7), observes_action=True, signals=("reward", "step"), context=1)


@needs_the_code
@pytest.mark.parametrize(("length", "n"), [(70, 3), (3, 150), (65, 64)], ids=str)
def test_many_steps_and_many_environments_are_learned_from_as_by_torch(length, n):
    policy = policy_of(SPEC)
    assert_torch_learns_the_same(policy, sample_for(policy, 1, length, n))


@needs_the_code
def test_many_actions_are_learned_as_by_torch():
    policy = policy_of(PolicySpec("explicit", 161, (4, 2), observes_action=True), losses={"auxiliary": 0.5})
    assert_torch_learns_the_same(policy, sample_for(policy, 1, 7, 9))


@needs_the_code
def test_what_only_numbers_show_is_learned_as_by_torch():
    policy = policy_of(PolicySpec("corridor", 2, context=3))
    assert policy.encoder.table.shape == (0, 128)
    assert_torch_learns_the_same(policy, sample_for(policy, 2, 6, 5))


@needs_the_code
def test_probabilities_next_to_0_and_1_are_learned_as_by_torch():
    policy = policy_of(SPEC)
    with torch.no_grad():
        policy.heads.bias[:5] = torch.tensor([200.0, 0.0, -200.0, 30.0, -30.0])
    assert_torch_learns_the_same(policy, sample_for(policy, 3, 8, 6))


@needs_the_code
@pytest.mark.parametrize(
    "broken",
    [
        lambda sample: replace(sample, inputs=sample.inputs._replace(begins=torch.zeros_like(sample.inputs.begins))),
        lambda sample: replace(sample, inputs=sample.inputs._replace(mask=torch.ones_like(sample.inputs.mask))),
        lambda sample: replace(sample, weights=torch.ones_like(sample.weights)),
        lambda sample: replace(sample, state=tuple(map(torch.zeros_like, sample.state))),
        lambda sample: replace(sample, log_probabilities=sample.log_probabilities + 0.1),
        lambda sample: replace(sample, targets=sample.targets + 0.1),
    ],
    ids=["begins", "mask", "weights", "state", "log_probabilities", "targets"],
)
def test_whoever_overlooks_a_part_of_the_sample_is_found_out(broken):
    policy = policy_of(SPEC)
    sample = sample_for(policy, 0, 12, 4)
    with pytest.raises(AssertionError, match="not close"):
        assert_equal_but_for_rounding(
            learner_for(policy).gradients(broken(sample), np.arange(4), 0.02), gradients_by_torch(policy, sample)
        )


@needs_the_code
@given(SPECS, st.sampled_from([16, 48, 128]), st.integers(1, 30), st.integers(1, 20), AGENTS, st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_products_of_bf16_numbers_change_gradients_by_less_than_a_hundredth(spec, size, length, n, overrides, seed):
    """Where the processor has no such instructions, they are products of floats."""
    policy = policy_of(spec, size, seed, **overrides)
    sample = sample_for(policy, seed, length, n)
    learner = learner_for(policy, native.library())
    found = torch.cat([part.view(-1) for part in learner.gradients(sample, np.arange(n), 0.02)])
    expected = torch.cat([part.view(-1) for part in gradients_by_torch(policy, sample)])
    assert (found - expected).norm() <= 0.01 * expected.norm() + 1e-7


@needs_the_code
def test_either_goes_on_where_the_other_stopped():
    policy = policy_of(SPEC)
    sample = sample_for(policy, 0, 12, 4)
    by_torch = torch_learner_for(policy)
    expected = [learned_by(by_torch, sample) for _ in range(2)][-1]
    for first in (learner_for(policy), torch_learner_for(policy)):
        learned_by(first, sample)
        given = (first.policy, policy.config, first.optimizer)
        exact = code_without("avx512bf16")
        second = TorchLearner(*given) if isinstance(first, CompiledLearner) else CompiledLearner(*given, exact)
        assert_equal_but_for_rounding(learned_by(second, sample), expected)


@needs_the_code
def test_what_the_code_knows_is_learned_by_it():
    policy = policy_of(SPEC)
    learner = learner_of(policy, policy.config, make_optimizer(policy, policy.config.optimizer))
    assert isinstance(learner, CompiledLearner)


@needs_the_code
def test_gradients_alone_change_nothing():
    policy = policy_of(SPEC)
    learner = learner_for(policy)
    learner.gradients(sample_for(policy, 0, 12, 4), np.arange(4), 0.02)
    assert all(map(torch.equal, learner.policy.parameters(), policy.parameters()))
    assert not any(value.any() for state in learner.optimizer.state.values() for value in state.values())


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
    sample = sample_for(policy, 4, 9, n)
    found = []
    for threads in (1, 2, 3, 8):
        torch.set_num_threads(threads)
        found.append(learned_by(learner_for(policy, native.library()), sample, steps=5))
    for others in found[1:]:
        assert all(torch.equal(one, other) for one, other in zip(found[0], others, strict=True))


@needs_the_code
@pytest.mark.parametrize("n", [9, 17, 43, 70, 131])
@pytest.mark.parametrize("threads", [1, 3])
def test_no_more_space_is_used_than_is_asked_for(n, threads, monkeypatch):
    """Groups of 43 environments have 10 or 11, and a block holds more samples of the smaller ones."""
    spaces = []

    def guarded(floats: int) -> Tensor:
        spaces.append((torch.full((floats + 2**18,), 7.5), floats))
        return spaces[-1][0]

    monkeypatch.setattr(native_learner, "room", guarded)
    torch.set_num_threads(threads)
    policy = policy_of(SPEC)
    learned_by(learner_for(policy, native.library()), sample_for(policy, 6, 9, n))
    assert spaces
    assert all((space[floats:] == 7.5).all() for space, floats in spaces)


@needs_the_code
@pytest.mark.parametrize("row", [-1, 19, 2**31 - 1])
def test_whole_numbers_that_their_space_does_not_hold_are_refused(row):
    policy = policy_of(SPEC)
    sample, learner = sample_for(policy, 0, 4, 3), learner_for(policy)
    sample.inputs.rows[2, 1, 3] = row
    with pytest.raises(SpecError, match="that its space does not hold"):
        learner.learn(sample, [np.arange(3)], 0.1, 0.0)
    assert all(map(torch.equal, learner.policy.parameters(), policy.parameters()))
    with pytest.raises(SpecError, match="that its space does not hold"):
        voice_of(policy)(Inputs(*(part[2] for part in sample.inputs)), sample.state)


@needs_the_code
def test_what_is_no_number_stays_none():
    policy = policy_of(SPEC)
    sample = sample_for(policy, 0, 4, 3)
    with torch.no_grad():
        policy.encoder.numbers[0, 5] = float("nan")
    learner = learner_for(policy)
    assert np.isnan(learner.learn(sample, [np.arange(3)], 0.1, 0.0).gradient_norm)
    assert all(weight.isnan().all() for weight in learner.policy.parameters())
    assert np.isnan(voice_of(policy)(Inputs(*(part[0] for part in sample.inputs)), sample.state)[0].values).all()


def test_a_rollout_too_large_for_the_memory_is_refused():
    with pytest.raises(MemoryError, match=r"not enough memory to learn from a rollout \(4398046511104 MB\)"):
        native_learner.room(2**60)


@needs_the_code
@pytest.mark.skipif(platform.machine() != "x86_64", reason="names instructions of x86-64")
@pytest.mark.parametrize("processor", ["x86-64", "x86-64-v3"])
@pytest.mark.parametrize("auxiliary", [0.0, 0.5])
def test_processors_with_fewer_instructions_compute_the_same(processor, auxiliary, monkeypatch):
    flags = tuple(f"-march={processor}" if flag.startswith("-march") else flag for flag in native.SOURCE.flags)
    code = load(replace(native.SOURCE, flags=flags))
    assert code is not None
    policy = policy_of(SPEC, size=48, losses={"auxiliary": auxiliary})
    assert_torch_learns_the_same(policy, sample_for(policy, 5, 7, 5), native.declared(code))
    monkeypatch.setattr(policies, "library", lambda: code)
    inputs, state = seen_by(policy, 5, 5), memory_of(policy, 5, 5)
    found, expected = (
        voice(inputs, tuple(part.clone() for part in state))[0] for voice in (voice_of(policy), TorchVoice(policy))
    )
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@needs_the_code
def test_python_and_c_agree_on_what_lies_where():
    code = native.library()
    assert code is not None
    structures = (native.Network, native.Rollout, native.Objective, native.Lesson, native.Optimizer)
    expected = [*map(ctypes.sizeof, structures), native.MAX_THREADS, native.LOSSES]
    assert list((ctypes.c_int64 * len(expected)).in_dll(code, "nasgym_sizes")) == expected


@pytest.mark.parametrize(
    "overrides",
    [{"memory": {"size": 40}}, {"memory": {"kind": "gru", "size": 32}}, {"encoding": "one-hot"}],
    ids=str,
)
def test_other_networks_are_torch_s(overrides):
    policy = Policy(SPEC, named_agent("rl2", overrides))
    assert policy.code() is None
    assert isinstance(voice_of(policy), TorchVoice)
    assert isinstance(learner_of(policy, policy.config, make_optimizer(policy, policy.config.optimizer)), TorchLearner)


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
