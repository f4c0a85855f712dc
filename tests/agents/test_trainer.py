"""The trainer: what it counts, what each setting does, and that every defect changes what it names and nothing else."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from toys import chains, corridors, table_of_chains

from nasgym.agents import Defects, Policy, PolicySpec, SpecError, Trainer, named_agent
from nasgym.agents.config import A2C, Ppo, Returns, Rollout
from nasgym.agents.losses import dealt, losses_of, sample_of
from nasgym.agents.named import NAMED
from nasgym.agents.playing import Environments
from nasgym.agents.rollout import Batch, Clock, Course, Recorder
from nasgym.agents.schedules import Linear
from nasgym.core.errors import CheckpointError, ConfigurationError
from nasgym.core.randomness import stream

SMALL = {"memory": {"size": 8}}


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return table_of_chains(tmp_path_factory.mktemp("table"))


def trainer_for(envs, config, **settings) -> Trainer:
    given = {"spec": PolicySpec.of(envs, "toys"), "seed": 0, "total_steps": 1000, **settings}
    return Trainer(config, envs, **given)


def batch_of(envs, config, steps: int = 12) -> tuple[Batch, PolicySpec, Policy]:
    """Return a rollout of an untrained policy."""
    spec = PolicySpec.of(envs, "toys")
    policy = Policy(spec, config)
    environments = Environments(envs, spec, config.defects)
    recorder = Recorder(environments, policy, Rollout(steps, whole_meta_episodes=False))
    environments.reset(range(envs.num_envs), recorder.seen.at(0))
    course = Course(policy.initial(envs.num_envs), np.zeros(envs.num_envs, dtype=np.bool_))
    return recorder.play(course, stream(0, "noise"), Clock()), spec, policy


def test_an_update_counts_what_happened(table):
    trainer = trainer_for(chains(table, n=4, episodes=3, reward_timing="terminal"), named_agent("rl2", SMALL))
    first, second = trainer.update(), trainer.update()
    assert (first.number, second.number, trainer.number) == (0, 1, 2)
    assert first.rollout_steps + second.rollout_steps == second.steps == trainer.steps
    for update in (first, second):
        assert update.n_meta_episodes >= 4
        assert len(update.episode_counts) == 3
        assert update.episode_counts[0] >= update.episode_counts[2] == update.n_meta_episodes
        assert update.action_counts[7] <= sum(update.episode_counts)
        assert sum(update.action_counts) == update.rollout_steps
        assert update.episode_rewards == update.episode_returns
        assert 1 <= update.episode_length <= 2
        assert 3 <= update.mean_length <= 6
        assert 0 < update.learned.entropy <= np.log(8)
        assert min(update.seconds.environment, update.seconds.policy, update.seconds.learning) > 0


def test_what_is_not_over_at_the_end_of_a_rollout_is_counted_when_it_is():
    """A corridor of 3 that is cut off after 4 steps: rollouts of 3 steps see its return in parts only."""
    config = named_agent(
        "a2c", {"memory": {"kind": "none", "size": 4}, "rollout": {"steps": 3, "whole_meta_episodes": False}}
    )
    envs = corridors(n=1, max_steps=4)
    trainer = trainer_for(envs, config)
    seen, step = [], envs.step

    def watched(actions):
        result = step(actions)
        seen.append((float(result[1][0]), bool(result[2][0] | result[3][0])))
        return result

    envs.step = watched
    updates = [trainer.update() for _ in range(30)]
    returns, running, expected = [], 0.0, []
    for number, (reward, ended) in enumerate(seen):
        running += reward
        if ended:
            returns.append(running)
            running = 0.0
        if number % 3 == 2:
            expected.append(np.mean(returns) if returns else np.nan)
            returns = []
    np.testing.assert_allclose([update.mean_return for update in updates], expected)


def test_rollouts_hold_whole_meta_episodes_unless_they_are_longer_than_is_stated(table):
    def lengths(steps: int, episodes: int) -> list[tuple[int, bool]]:
        config = named_agent("rl2", {**SMALL, "rollout": {"steps": steps}})
        trainer = trainer_for(chains(table, n=3, episodes=episodes), config)
        resets, reset = [], trainer._environments.reset
        trainer._environments.reset = lambda *given: (resets.append(trainer.number), reset(*given))
        return [(trainer.update().rollout_steps // 3, trainer.number - 1 in resets) for _ in range(4)]

    whole = lengths(steps=50, episodes=3)
    assert all(3 <= length <= 6 and begins for length, begins in whole)
    longer = lengths(steps=5, episodes=5)
    assert longer[0] == (5, True)
    assert not longer[1][1]
    assert any(begins for _, begins in longer[2:])


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("kind", ["lstm", "gru", "attention", "none"])
def test_every_agent_trains_with_every_memory(table, name, kind):
    config = named_agent(name, {"memory": {"kind": kind, "size": 8}, "losses": {"auxiliary": 0.1}})
    trainer = trainer_for(chains(table), config)
    before = [weight.detach().clone() for weight in trainer.policy.parameters()]
    updates = [trainer.update() for _ in range(3)]
    assert all(np.isfinite([update.learned.gradient_norm, update.learned.auxiliary_loss]).all() for update in updates)
    changed = [not torch.equal(old, new) for old, new in zip(before, trainer.policy.parameters(), strict=True)]
    assert all(changed)


def test_schedules_are_followed_with_the_steps(table):
    config = named_agent("rl2", {**SMALL, "losses": {"entropy": {"kind": "linear", "start": 0.1}}})
    config = replace(config, optimizer=replace(config.optimizer, learning_rate=Linear(0.01, 0.001)))
    trainer = trainer_for(chains(table), config, total_steps=100)
    for _ in range(6):
        progress = min(1.0, trainer.steps / 100)
        learned = trainer.update().learned
        assert learned.learning_rate == pytest.approx(0.01 - 0.009 * progress)
        assert learned.entropy_weight == pytest.approx(0.1 * (1 - progress))


def test_training_follows_from_the_seed(table):
    def returns(seed: int) -> list[float]:
        trainer = trainer_for(chains(table), named_agent("rl2", SMALL), seed=seed)
        return [trainer.update().mean_return for _ in range(3)]

    assert returns(1) == returns(1) != returns(2)


def test_one_pass_of_ppo_without_clipping_has_the_gradient_of_a2c(table):
    """At the weights that acted, all ratios are 1, and the gradient of the ratio is that of its logarithm."""
    config = replace(named_agent("rl2", SMALL), returns=Returns(0.9, 0.8, normalize_advantages=False))
    batch, spec, policy = batch_of(chains(table), config)
    sample, _ = sample_of(batch, spec, config, None)
    gradients = []
    for algorithm in (A2C(), Ppo(epochs=1, minibatches=1, clip=1e9)):
        policy.zero_grad()
        losses = losses_of(
            policy.sequence(sample.inputs, sample.state), sample, replace(config, algorithm=algorithm), 0.01
        )
        losses.total.backward()
        gradients.append([weight.grad.clone() for weight in policy.parameters()])
    for a2c, ppo in zip(*gradients, strict=True):
        torch.testing.assert_close(a2c, ppo, atol=1e-6, rtol=1e-4)
    assert losses.kl.abs() < 1e-6


def test_ppo_cuts_the_gradient_of_actions_whose_probability_has_changed_enough(table):
    config = replace(named_agent("rl2", SMALL), returns=Returns(normalize_advantages=False))
    batch, spec, policy = batch_of(chains(table), config)
    sample, _ = sample_of(batch, spec, config, None)
    shifted = replace(
        sample,
        log_probabilities=sample.log_probabilities - 1.0,
        advantages=torch.ones_like(sample.advantages),
    )
    only_policy = replace(config, losses=replace(config.losses, value=0.0))
    losses = losses_of(policy.sequence(shifted.inputs, shifted.state), shifted, only_policy, 0.0)
    losses.total.backward()
    assert losses.policy == pytest.approx(-1.2)
    assert losses.clipped == 1.0
    assert all(weight.grad is None or not weight.grad.any() for weight in policy.parameters())


def test_a_minibatch_holds_whole_sequences_of_some_environments_and_each_comes_once(table):
    config = named_agent("rl2", SMALL)
    batch, spec, _ = batch_of(chains(table, n=5), config)
    sample, _ = sample_of(batch, spec, config, None)
    places = dealt(stream(0, "dealing"), 5, 2)
    assert sorted(np.concatenate(places).tolist()) == list(range(5))
    parts = [sample.of(torch.from_numpy(some)) for some in places]
    assert sorted(part.actions.shape[1] for part in parts) == [2, 3]
    for some, part in zip(places, parts, strict=True):
        assert same(part.inputs.numbers, sample.inputs.numbers[:, some])
        assert part.state[0].shape[0] == len(some)


def test_one_minibatch_and_one_environment_are_not_dealt():
    for n, minibatches in ((4, 1), (1, 4)):
        assert [part.tolist() for part in dealt(stream(0, "dealing"), n, minibatches)] == [list(range(n))]


def test_values_that_do_not_shape_memory_are_learned_by_their_head_alone(table):
    config = named_agent("rl2", {**SMALL, "losses": {"value_shapes_memory": False}})
    batch, spec, policy = batch_of(chains(table), config)
    sample, _ = sample_of(batch, spec, config, None)
    outputs = policy.sequence(sample.inputs, sample.state)
    outputs.values.square().sum().backward()
    touched = {name for name, weight in policy.named_parameters() if weight.grad is not None and weight.grad.any()}
    assert touched == {"heads.weight", "heads.bias"}
    usual = Policy(spec, named_agent("rl2", SMALL))
    torch.testing.assert_close(outputs.values, usual.sequence(sample.inputs, sample.state).values)
    usual.sequence(sample.inputs, sample.state).values.square().sum().backward()
    assert usual.memory.recurrent.grad.any()


def test_reinforce_credits_what_is_earned_after_an_action_less_a_moving_average(table):
    config = named_agent("reinforce", {**SMALL, "algorithm": {"baseline_decay": 0.75}})
    batch, spec, _ = batch_of(chains(table, n=2, episodes=1, reward_timing="terminal"), config)
    sample, mean_return = sample_of(batch, spec, config, 0.25)
    for place in range(2):
        ends = np.flatnonzero(batch.terminated[:, place])
        for t in range(len(batch)):
            later = ends[ends >= t]
            if later.size:
                assert sample.advantages[t, place] == pytest.approx(batch.rewards[later[0], place] - 0.25)
            assert sample.weights[t, place] == float(later.size > 0)
    trainer = trainer_for(chains(table, episodes=1), config)
    assert trainer._baseline is None
    trainer.update()
    first = trainer._baseline
    trainer._remember(first + 1.0)
    assert trainer._baseline == pytest.approx(first + 0.25)
    counted = sample.targets[sample.weights > 0]
    assert mean_return == pytest.approx(float(counted.mean()))


def test_truncated_corridors_are_bootstrapped_with_the_value_of_what_was_seen_last():
    config = named_agent("ppo", {"memory": {"kind": "none", "size": 4}})
    batch, _, policy = batch_of(corridors(n=2, max_steps=2), config, steps=6)
    assert batch.truncated.any()
    with torch.no_grad():
        for t, place in np.argwhere(batch.truncated).tolist():
            moves = int(batch.actions[t - 1 : t + 1, place].sum())
            at_end = torch.tensor([[moves / 3, 1.0]]) @ policy.encoder.numbers
            expected = policy.heads(at_end.tanh())[0, 2]
            assert batch.final_values[t, place] == pytest.approx(float(expected), abs=1e-6)


# --- defects ---------------------------------------------------------------------------------------------------------


def both(table, steps: int = 12, **defect):
    """Return what is learned from the same rollout without and with a defect, and the rollouts."""
    sound = named_agent("rl2", SMALL)
    found = []
    for config in (sound, replace(sound, defects=Defects(**defect))):
        batch, spec, _ = batch_of(chains(table, reward_timing="terminal"), config, steps)
        found.append((batch, sample_of(batch, spec, config.as_trained, None)[0], spec))
    return found


def same(one: torch.Tensor, other: torch.Tensor) -> bool:
    return bool(torch.equal(one, other))


def test_memory_reset_each_episode_forgets_at_every_episode_and_changes_nothing_else(table):
    (sound, sample, spec), (defective, other, _) = both(table, memory_reset_each_episode=True)
    ended = sound.terminated | sound.truncated
    np.testing.assert_array_equal(sound.seen.begins[1:], ended)
    np.testing.assert_array_equal(defective.seen.begins[1:], defective.episode_ended)
    assert sound.seen.begins.sum() < defective.seen.begins.sum()
    inside = defective.episode_ended & ~ended
    assert inside.any()
    column = spec.column("reward")
    assert (sound.seen.numbers[1:][inside][:, column] > 0).any()
    assert (defective.seen.numbers[1:][inside][:, column] == 0).all()
    none_yet = defective.seen.rows[0, 0, -1]
    assert (sound.seen.rows[1:][inside][:, -1] != none_yet).all()
    assert (defective.seen.rows[1:][inside][:, -1] == none_yet).all()
    for batch, learned in ((sound, sample), (defective, other)):
        np.testing.assert_array_equal(learned.inputs.begins.numpy(), batch.seen.begins[:-1])
        np.testing.assert_array_equal(learned.inputs.numbers.numpy(), batch.seen.numbers[:-1])


def test_return_as_reward_replaces_the_observed_reward_by_the_target_in_training_only(table):
    (sound, sample, spec), (defective, other, _) = both(table, return_as_reward=True)
    np.testing.assert_array_equal(sound.seen.numbers, defective.seen.numbers)  # acting: the raw reward
    np.testing.assert_array_equal(sound.actions, defective.actions)
    assert same(sample.targets, other.targets)
    assert same(sample.advantages, other.advantages)
    column = spec.column("reward")
    assert same(other.inputs.numbers[..., column], other.targets)
    assert not same(sample.inputs.numbers[..., column], other.targets)
    rest = [place for place in range(spec.n_numbers) if place != column]
    assert same(sample.inputs.numbers[..., rest], other.inputs.numbers[..., rest])
    for part in ("rows", "mask", "begins"):
        assert same(getattr(sample.inputs, part), getattr(other.inputs, part))


def test_shifted_inputs_train_on_the_next_step_with_neither_null_nor_ends_nor_episodes(table):
    (_, _, spec), (defective, other, _) = both(table, shifted_inputs=True)
    numbers, acted = other.inputs.numbers, torch.from_numpy(defective.seen.numbers[:-1])
    step = spec.column("step")
    torch.testing.assert_close(numbers[..., step], acted[..., step] + 0.5)  # d = 2: one step is 1/2
    assert same(numbers[..., spec.column("reward")], acted[..., spec.column("reward")])
    for hidden in ("end", "episode"):
        assert not numbers[..., spec.column(hidden)].any()
    actions = other.inputs.rows[..., -1] - sum(spec.groups)
    begins = other.inputs.begins
    assert (actions[begins] == 0).all()
    assert same(actions[1:][~begins[1:]], other.actions[:-1][~begins[1:]].int())


def test_returns_cut_at_episodes_credits_nothing_of_later_episodes_and_changes_its_three_settings(table):
    (sound, sample, _), (defective, other, _) = both(table, returns_cut_at_episodes=True)
    np.testing.assert_array_equal(sound.seen.numbers, defective.seen.numbers)
    at_ends = torch.from_numpy(defective.episode_ended)
    rewards = torch.from_numpy(defective.rewards)
    torch.testing.assert_close(other.targets[at_ends], rewards[at_ends])
    inside = torch.from_numpy(sound.episode_ended & ~sound.terminated)
    assert not torch.allclose(sample.targets[inside], rewards[inside])
    for mine, theirs in zip(sample.inputs, other.inputs, strict=True):
        assert same(mine, theirs)
    config = replace(named_agent("rl2"), defects=Defects(returns_cut_at_episodes=True))
    trained = config.as_trained
    assert (trained.returns.discount, trained.rollout) == (0.9, Rollout(5, whole_meta_episodes=False))
    assert replace(trained, returns=config.returns, rollout=config.rollout) == config


def test_without_defects_nothing_is_changed(table):
    config = named_agent("rl2", SMALL)
    assert config.as_trained == config
    batch, spec, _ = batch_of(chains(table), config)
    sample, _ = sample_of(batch, spec, config, None)
    np.testing.assert_array_equal(sample.inputs.numbers.numpy(), batch.seen.numbers[:-1])


# --- refusals --------------------------------------------------------------------------------------------------------


def test_training_begins_from_a_policy_that_is_given(table):
    envs = chains(table)
    policy = Policy(PolicySpec.of(envs, "toys"), named_agent("rl2", SMALL), seed=9)
    trainer = trainer_for(envs, named_agent("a2c", SMALL), policy=policy)
    assert all(map(torch.equal, trainer.policy.parameters(), policy.parameters()))


def test_a_policy_of_another_network_or_space_is_no_beginning(table):
    envs = chains(table)
    larger = Policy(PolicySpec.of(envs, "toys"), named_agent("rl2"))
    with pytest.raises(CheckpointError, match="the policy to begin with: the weights are not those of its config"):
        trainer_for(envs, named_agent("rl2", SMALL), policy=larger)
    elsewhere = Policy(PolicySpec.of(envs, "chain d=10"), named_agent("rl2", SMALL))
    with pytest.raises(SpecError, match="search space: chain d=10 and toys"):
        trainer_for(envs, named_agent("rl2", SMALL), policy=elsewhere)


def test_training_takes_at_least_a_step(table):
    with pytest.raises(ConfigurationError, match="total_steps is at least 1, got 0"):
        trainer_for(chains(table), named_agent("rl2", SMALL), total_steps=0)
