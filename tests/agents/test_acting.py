"""Frozen policies at work."""

import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from toys import chains, corridors, table_of_chains

from nasgym.agents import Policy, PolicySpec, SpecError, TwinRewards, named_agent, play
from nasgym.agents.acting import PolicyActor, Steps
from nasgym.architectures import format_architecture
from nasgym.core.errors import ConfigurationError
from nasgym.envs import ArchitectureEnv, MetaEpisode, MetaEpisodes
from nasgym.evaluation.tables import TabularBenchmark


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return table_of_chains(tmp_path_factory.mktemp("table"))


def policy_for(envs, seed: int = 0, **overrides) -> Policy:
    return Policy(PolicySpec.of(envs, "chain"), named_agent("rl2", {"memory": {"size": 8}, **overrides}), seed)


def test_every_episode_of_every_meta_episode_is_recorded_as_the_table_has_it(table):
    envs = chains(table, n=4, episodes=3, reward_timing="terminal")
    played = play(policy_for(envs), envs, 10, seed=1, tell=("accuracy", "architecture"))
    assert [(episode.meta_episode, episode.index) for episode in played.episodes] == [
        (meta, index) for meta in range(10) for index in range(3)
    ]
    assert [episode.environment for episode in played.episodes[::3]] == [number % 4 for number in range(10)]
    space = envs.search_space
    for episode in played.episodes:
        assert episode.length == len(episode.actions) == len(episode.rewards)
        assert episode.total_reward == pytest.approx(sum(episode.rewards))
        assert episode.total_reward == episode.reward == pytest.approx(episode.told["accuracy"])
        draft = space.start()
        for action in episode.actions:
            draft = space.apply(draft, action)
        assert episode.told["architecture"] == format_architecture(space.architecture(draft))
    assert played.table().shape == (10, 3)
    np.testing.assert_allclose(played.table("accuracy"), played.table("reward"))
    assert np.nanmax(played.table("length")) == 2


def test_so_many_steps_are_played_and_what_has_not_ended_by_then_is_left_out(table):
    envs = chains(table, n=4, episodes=3, reward_timing="terminal")
    longer = play(policy_for(envs), envs, 40, seed=1)
    played = play(policy_for(envs), envs, Steps(29), seed=1)
    taken = 32  # the next multiple of four
    for place in range(4):
        whole, here = ([one for one in of.episodes if one.environment == place] for of in (longer, played))
        assert here == whole[: len(here)]
        assert sum(one.length for one in here) <= taken // 4 < sum(one.length for one in whole[: len(here) + 1])
    assert played.n_meta_episodes == 1 + max(one.meta_episode for one in played.episodes)


def test_no_steps_are_refused():
    with pytest.raises(ConfigurationError, match="at least 1 step to play, got 0"):
        Steps(0)


def test_playing_repeats_itself_and_leaves_the_policy_as_it_is(table):
    policy = policy_for(chains(table))
    before = {name: value.clone() for name, value in policy.state_dict().items()}
    first, again, other = (play(policy, chains(table), 6, seed=seed) for seed in (1, 1, 2))
    assert first == again != other
    assert all(torch.equal(value, before[name]) for name, value in policy.state_dict().items())


def test_greedy_is_the_likeliest_action_and_the_same_for_every_seed_of_actions(table):
    envs = chains(table, episodes=2)
    policy = policy_for(envs)
    with torch.no_grad():
        policy.heads.bias[3] = 5.0
    greedy = play(policy, envs, 4, seed=1, greedy=True)
    assert {episode.actions for episode in greedy.episodes} == {(3, 3)}


class Watched(PolicyActor):
    """A policy whose observed rewards, and beginnings, are written down."""

    def __init__(self, policy: Policy) -> None:
        super().__init__(policy)
        self.rewards: list[np.ndarray] = []
        self.begins: list[np.ndarray] = []

    def act(self, seen, *, greedy):
        self.rewards.append(seen.numbers[:, 0].copy())
        self.begins.append(seen.begins.copy())
        return super().act(seen, greedy=greedy)


def test_the_reward_that_is_shown_is_the_twins_and_the_one_recorded_is_ones_own(table):
    on = [MetaEpisodes(3, tasks=[task.task]) for task in table.tasks]
    shown = []

    class Spied(TwinRewards):
        def __call__(self, transition):
            shown.append((transition.actions, transition.rewards, super().__call__(transition)))
            return shown[-1][2]

    actor = Watched(policy_for(chains(table, n=3, meta=on[0])))
    played = play(actor, chains(table, n=3, meta=on[0]), 6, seed=1, shown=Spied(chains(table, n=3, meta=on[1])))
    actions, own, twins = (np.array(part) for part in zip(*shown, strict=True))
    again = [chains(table, n=3, meta=meta) for meta in on]
    for envs in again:
        envs.reset(seed=0)
    for step, taken in enumerate(actions):
        for envs, expected in zip(again, (own, twins), strict=True):
            np.testing.assert_array_equal(envs.step(taken)[1], expected[step])
    expected = np.where(actor.begins[1:], 0.0, twins[:-1]).astype(np.float32)
    np.testing.assert_array_equal(actor.rewards[1:], expected)
    assert (own != twins).any()
    assert {episode.reward for episode in played.episodes} <= set(own.ravel().tolist())


def test_what_a_reset_memory_does_not_see_is_not_shown_to_it_either(table):
    class Ones:
        def begin(self):
            pass

        def __call__(self, transition):
            return np.ones(2)

    one = MetaEpisodes(4, tasks=[table.tasks[0].task])
    policy = policy_for(chains(table, n=2, meta=one), defects={"memory_reset_each_episode": True})
    actor = Watched(policy)
    play(actor, chains(table, n=2, meta=one), 2, shown=Ones())
    begins, rewards = np.array(actor.begins[1:]), np.array(actor.rewards[1:])
    assert begins.any()
    np.testing.assert_array_equal(rewards, np.where(begins, 0.0, 1.0))


def test_a_policy_that_follows_its_reward_follows_the_one_that_it_is_shown(table):
    """Nothing but the reward's weight is left: action 7 is likelier the higher the reward that was seen."""
    one = MetaEpisodes(4, tasks=[table.tasks[0].task])
    envs = chains(table, n=2, meta=one)
    policy = policy_for(envs, memory={"kind": "none", "size": 8})
    with torch.no_grad():
        for weight in policy.parameters():
            weight.zero_()
        policy.encoder.numbers[0] = 1.0
        policy.heads.weight[7] = 10.0
        policy.heads.bias[1] = 20.0

    class Ones:
        def begin(self):
            pass

        def __call__(self, transition):
            return np.ones(2)

    class Noughts(Ones):
        def __call__(self, transition):
            return np.zeros(2)

    rich, poor = (
        play(policy, chains(table, n=2, meta=one), 2, greedy=True, shown=shown()) for shown in (Ones, Noughts)
    )
    assert [episode.actions for episode in poor.episodes if episode.meta_episode == 0] == 4 * [(1, 1)]
    assert [episode.actions for episode in rich.episodes if episode.meta_episode == 0] == [(1, 7), (7,), (7,), (7,)]


@pytest.mark.parametrize("timing", ["every_step", "terminal"])
def test_gymnasiums_own_vector_form_is_played_as_the_native_one(table, timing):
    tasks = [task.task for task in table.tasks]
    settings = {"space": "chain", "max_layers": 2, "task": tasks[0], "reward_timing": timing}

    def single():
        env = ArchitectureEnv(estimator=TabularBenchmark(table), **settings)
        return MetaEpisode(env, 3, tasks=tasks)

    native = chains(table, n=3, observation="one-hot", reward_timing=timing)
    synchronous = SyncVectorEnv([single] * 3, autoreset_mode=AutoresetMode.SAME_STEP)
    policy = policy_for(native)
    tell = ("accuracy", "architecture")
    one, other = (play(policy, envs, 7, seed=2, tell=tell) for envs in (native, synchronous))
    assert one == other


def test_environments_without_meta_episodes_are_played_too():
    envs = corridors(n=2, max_steps=4)
    policy = Policy(PolicySpec.of(envs, "corridor"), named_agent("ppo", {"memory": {"size": 4}}))
    played = play(policy, envs, 5, seed=0)
    assert [episode.index for episode in played.episodes] == 5 * [0]
    assert {episode.length for episode in played.episodes} <= {3, 4}


def test_a_policy_for_other_environments_is_refused(table):
    envs = chains(table)
    with pytest.raises(SpecError, match="They differ in number of actions: 8 and 2"):
        play(policy_for(envs), corridors(), 1)


def test_no_reward_can_be_shown_where_none_is_observed():
    envs = corridors()
    policy = Policy(PolicySpec.of(envs, "corridor"), named_agent("ppo", {"memory": {"size": 4}}))
    with pytest.raises(SpecError, match="does not observe rewards as a signal"):
        play(policy, envs, 1, shown=TwinRewards(corridors()))


def test_at_least_one_meta_episode_is_played(table):
    envs = chains(table)
    with pytest.raises(ConfigurationError, match="meta_episodes is at least 1, got 0"):
        play(policy_for(envs), envs, 0)
