"""What a policy observes and says: specs, readers, encoders, masks."""

import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.vector import SyncVectorEnv
from hypothesis import given, settings
from hypothesis import strategies as st
from toys import Corridor, chains, corridors, table_of_chains

from nasgym.agents import Defects, Policy, PolicySpec, SpecError, named_agent
from nasgym.agents.config import Encoding
from nasgym.agents.encoder import Encoder
from nasgym.agents.observations import Reader
from nasgym.agents.policy import Inputs
from nasgym.envs import MetaEpisodes
from nasgym.envs.vector import make_vector_env
from nasgym.testing.closed_form import ClosedFormEstimator

SPEC = PolicySpec("toys", 3, (4, 2), observes_action=True, signals=("reward", "step"), context=1)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return table_of_chains(tmp_path_factory.mktemp("table"))


def inputs_of(spec: PolicySpec, seed: int, *shape: int) -> Inputs:
    generator = torch.Generator().manual_seed(seed)
    starts = np.concatenate([[0], np.cumsum(spec.all_groups)[:-1]])
    rows = [
        start + torch.randint(0, size, shape, generator=generator)
        for start, size in zip(starts.tolist(), spec.all_groups, strict=True)
    ]
    mask = torch.rand(*shape, spec.n_actions, generator=generator) < 0.6
    mask[..., 0] |= ~mask.any(dim=-1)
    numbers = torch.rand(*shape, spec.n_numbers, generator=generator)
    return Inputs(torch.stack(rows, dim=-1).int(), numbers, mask, torch.zeros(shape, dtype=torch.bool))


def test_a_spec_tells_what_compact_meta_episodes_hold(table):
    spec = PolicySpec.of(chains(table), "chain")
    assert (spec.n_actions, len(spec.groups), spec.observes_action) == (8, 6, True)
    assert (spec.signals, spec.context) == (("reward", "step", "end", "episode"), 0)
    assert (spec.n_numbers, spec.all_groups[-1], spec.column("end"), spec.column("nothing")) == (4, 9, 2, None)


def test_the_description_of_the_task_is_context():
    meta = MetaEpisodes(2)
    settings = {"observation": "compact", "autoreset_mode": "SameStep", "describe_task": True}
    envs = make_vector_env(2, space="chain", max_layers=2, estimator=ClosedFormEstimator(), meta=meta, **settings)
    spec = PolicySpec.of(envs, "chain")
    described = envs.single_observation_space["signals"].shape[0] - 4
    assert spec.context == described > 0
    observation, _ = envs.reset(seed=0)
    rows, numbers = Reader(spec, envs.single_observation_space).read_one({k: v[0] for k, v in observation.items()})
    np.testing.assert_array_equal(numbers[0], observation["signals"][0])
    assert rows.shape == (1, 7)


def test_a_spec_tells_what_plain_boxes_hold(table):
    assert PolicySpec.of(corridors(), "corridor") == PolicySpec("corridor", 2, context=1)
    one_hot = chains(table, observation="one-hot")
    assert PolicySpec.of(one_hot, "chain").context == one_hot.single_observation_space.shape[0]


def other_actions() -> SyncVectorEnv:
    envs = corridors()
    envs.single_action_space = spaces.Box(0, 1, (2,))
    return envs


def texts_observed() -> SyncVectorEnv:
    envs = corridors()
    envs.single_observation_space = spaces.Dict({"name": spaces.Text(3)})
    return envs


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SyncVectorEnv([Corridor]), "autoreset_mode='SameStep'; these have"),
        (other_actions, r"actions numbered from 0 \(Discrete\), got Box"),
        (texts_observed, r"got Text.* as 'name'"),
    ],
)
def test_environments_that_agents_cannot_play_are_refused(make, message):
    with pytest.raises(SpecError, match=message):
        PolicySpec.of(make(), "corridor")


def test_more_names_than_signals_are_refused(table):
    with pytest.raises(SpecError, match=r"holds 4 numbers, and 5 are named \(a, b, c, d, e\)"):
        PolicySpec.of(chains(table), "chain", signals=tuple("abcde"))
    with pytest.raises(SpecError, match=r"a name of its own, got a, a"):
        PolicySpec.of(chains(table), "chain", signals=("a", "a"))


def test_a_policy_for_another_space_is_refused_with_both_named():
    other = PolicySpec("chain d=10", 8, (4, 2), observes_action=True, signals=("reward", "step"), context=1)
    expected = (
        r"made for toys \(3 actions\); this environment is chain d=10 \(8 actions\)\. They differ in search space: "
        "toys and chain d=10"
    )
    with pytest.raises(SpecError, match=expected):
        SPEC.check(other)
    SPEC.check(PolicySpec(**{name: getattr(SPEC, name) for name in SPEC.__dataclass_fields__}))


@given(st.integers(0, 1000), st.integers(1, 5), st.integers(1, 3))
@settings(max_examples=30, deadline=None)
def test_an_embedding_is_a_one_hot_vector_times_a_matrix_and_so_are_its_gradients(seed, length, n):
    inputs = inputs_of(SPEC, seed, length, n)
    bias = torch.linspace(-1, 1, 5)
    torch.manual_seed(seed)
    encoders = [Encoder(SPEC, bias, encoding) for encoding in Encoding]
    encoders[1].load_state_dict(encoders[0].state_dict())
    outputs = [encoder(inputs.rows, inputs.numbers) for encoder in encoders]
    torch.testing.assert_close(*outputs)
    for output in outputs:
        output.square().sum().backward()
    for mine, theirs in zip(encoders[0].parameters(), encoders[1].parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad)


@given(st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_masked_actions_have_no_probability_and_no_gradient(seed):
    policy = Policy(SPEC, named_agent("rl2", {"memory": {"size": 8}}))
    inputs = inputs_of(SPEC, seed, 6, 2)
    said = policy.sequence(inputs, policy.initial(2))
    said.logits.retain_grad()
    log_probabilities = said.logits.log_softmax(-1)
    probabilities = log_probabilities.exp()
    assert (probabilities[~inputs.mask] == 0).all()
    torch.testing.assert_close(probabilities.sum(-1), torch.ones(6, 2))
    entropy = -(probabilities * log_probabilities).sum(-1)
    legal = torch.distributions.Categorical(logits=said.logits.masked_fill(~inputs.mask, -torch.inf))
    expected = torch.stack(
        [
            torch.distributions.Categorical(probs=row[allowed]).entropy()
            for row, allowed in zip(legal.probs.flatten(0, 1), inputs.mask.flatten(0, 1), strict=True)
        ]
    )
    torch.testing.assert_close(entropy.flatten(), expected)
    (entropy.sum() + log_probabilities[inputs.mask].sum()).backward()
    assert (said.logits.grad[~inputs.mask] == 0).all()
    assert torch.isfinite(said.logits.grad).all()


@pytest.mark.parametrize("kind", ["lstm", "gru", "attention", "none"])
def test_a_sequence_says_what_steps_say(kind):
    policy = Policy(SPEC, named_agent("rl2", {"memory": {"kind": kind, "size": 8}, "losses": {"auxiliary": 0.5}}))
    inputs = inputs_of(SPEC, 0, 5, 2)
    with torch.no_grad():
        at_once = policy.sequence(inputs, policy.initial(2))
        state = policy.initial(2)
        for step in range(5):
            said, state = policy.step(Inputs(*(part[step] for part in inputs)), state)
            for one, all_of_them in zip(said, at_once, strict=True):
                torch.testing.assert_close(one, all_of_them[step])
    assert at_once.rewards.shape == (5, 2, 3)


def test_weights_follow_from_the_seed_and_leave_the_global_generator_alone():
    before = torch.random.get_rng_state()
    one, same, other = (Policy(SPEC, named_agent(), seed) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(one.encoder.table, same.encoder.table)
    assert not torch.equal(one.encoder.table, other.encoder.table)


def test_an_untrained_policy_is_nearly_uniform_over_legal_actions():
    policy = Policy(SPEC, named_agent())
    inputs = inputs_of(SPEC, 0, 20, 4)
    with torch.no_grad():
        probabilities = policy.sequence(inputs, policy.initial(4)).logits.softmax(-1)
    uniform = inputs.mask / inputs.mask.sum(-1, keepdim=True)
    assert (probabilities - uniform).abs().max() < 0.02


def test_shifted_inputs_show_action_0_for_none_and_hide_ends_and_episodes(table):
    envs = chains(table, n=2)
    spec = PolicySpec.of(envs, "chain")
    seen, defective = [], []
    readers = [
        Reader(spec, envs.single_observation_space, defects) for defects in (Defects(), Defects(False, False, True))
    ]
    observation, _ = envs.reset(seed=0)
    for step in range(3):
        for reader, into in zip(readers, (seen, defective), strict=True):
            rows, numbers = np.empty((2, 7), np.int32), np.empty((2, 4), np.float32)
            reader.read(observation, rows, numbers)
            into.append((rows, numbers))
        observation, *_ = envs.step(np.array([1 if step == 0 else 7, 7]))
    none, first = sum(spec.groups) + 8, sum(spec.groups)
    assert [rows[0, -1] for rows, _ in seen] == [none, first + 1, first + 7]
    assert [rows[0, -1] for rows, _ in defective] == [first, first + 1, first + 7]
    for (rows, numbers), (their_rows, their_numbers) in zip(seen, defective, strict=True):
        np.testing.assert_array_equal(rows[:, :-1], their_rows[:, :-1])
        np.testing.assert_array_equal(numbers[:, :2], their_numbers[:, :2])
        assert (their_numbers[:, 2:] == 0).all()
    assert any(numbers[:, 2:].any() for _, numbers in seen)
