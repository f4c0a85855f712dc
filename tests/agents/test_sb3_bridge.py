"""DQN and masked PPO of Stable-Baselines3 behind the common protocol."""

import json
import random
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from safetensors import safe_open
from stable_baselines3.common.utils import ConstantSchedule

from nasgym.agents.bridges.chance import ChancePlayer
from nasgym.agents.bridges.dueling import DuelingNetwork, DuelingPolicy
from nasgym.agents.bridges.protocol import Lesson, Progress
from nasgym.agents.bridges.sb3 import Sb3Agent
from nasgym.agents.bridges.sb3_environments import Sb3Environments, Tally
from nasgym.agents.spec import PolicySpec, SpecError
from nasgym.core.errors import CheckpointError

DQN = {"learning_starts": 50, "hidden": [8], "dueling": 8, "learning_rate": 5e-3, "replay": 400, "discount": 0.0}
PPO = {"steps": 32, "batch_size": 64, "hidden": [8], "learning_rate": 1e-2}
N_ACTIONS = 4


class Recall(gymnasium.Env[np.ndarray, np.int64]):
    """Three steps; the observation says which action is rewarded, and the last action is masked."""

    def __init__(self) -> None:
        self.observation_space = spaces.Box(0.0, 1.0, (N_ACTIONS,), np.float32)
        self.action_space = spaces.Discrete(N_ACTIONS)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        self._step = 0
        return self._told()

    def step(self, action):
        assert action in range(N_ACTIONS)
        reward = float(action == self._wanted)
        self._step += 1
        observation, info = self._told()
        return observation, reward, self._step == 3, False, info

    def _told(self):
        self._wanted = int(self.np_random.integers(N_ACTIONS - 1))
        observation = np.eye(N_ACTIONS, dtype=np.float32)[self._wanted]
        return observation, {"action_mask": np.array([1, 1, 1, 0], dtype=np.int8)}


def environments(n: int = 4) -> SyncVectorEnv:
    return SyncVectorEnv([Recall] * n, autoreset_mode=AutoresetMode.SAME_STEP)


def learned(name: str, settings: dict[str, Any], steps: int, n: int = 4, **lesson: Any):
    envs = environments(n)
    heard: list[Progress] = []
    learner = Sb3Agent(name).start(envs, PolicySpec.of(envs, "recall"), Lesson(settings, steps, **lesson))
    learner.learn(heard.append)
    return learner, heard


def test_dueling_streams_are_centred_on_their_mean():
    network = DuelingNetwork(3, 5, [6], 7)
    features = torch.randn(2, 3, generator=torch.Generator().manual_seed(0))
    common = network.body(features)
    centred = network(features) - network.value(common)
    torch.testing.assert_close(centred.mean(dim=1), torch.zeros(2), atol=1e-6, rtol=0)
    torch.testing.assert_close(centred[:, 0] - centred[:, 1], (a := network.advantages(common))[:, 0] - a[:, 1])


def test_a_dueling_policy_has_the_layers_of_the_paper_in_both_of_its_networks():
    spec = {"net_arch": [64, 64], "activation_fn": torch.nn.Tanh, "dueling": 256}
    box = spaces.Box(0.0, 1.0, (10,), np.float32)
    policy = DuelingPolicy(box, spaces.Discrete(8), ConstantSchedule(5e-4), **spec)
    shapes = [tuple(weight.shape) for weight in policy.q_net.parameters() if weight.ndim == 2]
    assert shapes == [(64, 10), (64, 64), (256, 64), (8, 256), (256, 64), (1, 256)]
    for name, value in policy.q_net.state_dict().items():
        assert torch.equal(value, policy.q_net_target.state_dict()[name])


def test_a_tally_tells_rewards_by_episode_of_the_meta_episode():
    tally = Tally(2, 3)
    nowhere = np.zeros(2, dtype=np.bool_)
    tally.step(np.array([0, 1]), np.array([1.0, 0.5]), nowhere, {"episodes_ended": np.array([1, 0])})
    tally.step(np.array([2, 1]), np.array([0.25, 0.5]), nowhere, {"episodes_ended": np.array([1, 1])})
    over = np.array([True, False])
    tally.step(np.array([2, 2]), np.array([0.25, 0.0]), over, {"episodes_ended": np.array([0, 1])})
    progress = tally.progress(1, 6, 0.5)
    assert progress.rewards == (1.0, 0.5)  # (1.0 + 1.0) / 2, and 0.25 + 0.25 of the first environment alone
    assert (progress.meta_episodes, progress.mean_return) == (1, 1.5)
    assert progress.episode_length == pytest.approx(5 / 3)
    assert progress.actions == (1, 2, 3)
    again = tally.progress(2, 6, 0.5)
    assert (again.meta_episodes, again.mean_return, again.rewards, again.actions) == (0, None, (), (0, 0, 0))


def test_sb3_sees_masks_and_the_last_observation_of_an_episode():
    envs = Sb3Environments(environments(2), seed=0)
    envs.reset()
    assert [mask.tolist() for mask in envs.env_method("action_masks")] == [[True, True, True, False]] * 2
    for _ in range(2):
        _, _, over, told = envs.step(np.array([0, 1]))
        assert not over.any()
        assert told == [{}, {}]
    _, rewards, over, told = envs.step(np.array([0, 1]))
    assert over.all()
    assert rewards.dtype == np.float32
    assert all(one["terminal_observation"].shape == (N_ACTIONS,) and not one["TimeLimit.truncated"] for one in told)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "settings", "steps"), [("dqn", DQN, 2500), ("masked-ppo", PPO, 4000)])
def test_it_learns_what_the_observation_says(name, settings, steps):
    learner, heard = learned(name, settings, steps)
    played = learner.player().play(environments(), 50, seed=1, greedy=True)
    assert played.table("total_reward").mean() > 2.5  # the optimum is 3, chance earns 1
    assert [progress.number for progress in heard] == list(range(1, len(heard) + 1))
    assert heard[-1].steps == learner.steps >= steps
    assert sum(sum(progress.actions) for progress in heard) == learner.steps
    if name == "dqn":
        assert heard[0].metrics["exploration"] > heard[-1].metrics["exploration"] == pytest.approx(0.1, abs=0.01)
    else:
        assert all(progress.actions[3] == 0 for progress in heard)
        assert heard[0].entropy is not None
        assert 0 < heard[0].entropy <= np.log(3)


@pytest.mark.parametrize(("name", "settings"), [("dqn", DQN), ("masked-ppo", PPO)])
def test_a_policy_goes_through_a_file_and_begins_another_training(name, settings, tmp_path: Path):
    learner, _ = learned(name, settings, 200)
    file = tmp_path / "policy.safetensors"
    learner.save_policy(file, {"made": "here"})
    with safe_open(file, framework="np") as opened:
        header = json.loads(opened.metadata()["nasgym"])
    assert header["provenance"] == {"made": "here"}
    player = Sb3Agent(name).load(file)
    ours, theirs = (one.play(environments(), 8, seed=3) for one in (learner.player(), player))
    assert [episode.actions for episode in ours.episodes] == [episode.actions for episode in theirs.episodes]
    envs = environments()
    begun = Sb3Agent(name).start(envs, PolicySpec.of(envs, "recall"), Lesson(settings, 200, seed=9, initial=file))
    greedy = [one.play(environments(), 8, seed=3, greedy=True).episodes for one in (player, begun.player())]
    assert greedy[0] == greedy[1]
    with pytest.raises(SpecError, match="was made for recall"):
        Sb3Agent(name).start(envs, PolicySpec.of(envs, "other"), Lesson(settings, 200, initial=file))


def test_files_that_are_no_such_policy_are_refused(tmp_path: Path):
    learner, _ = learned("dqn", DQN, 200)
    file = tmp_path / "policy.safetensors"
    learner.save_policy(file, {})
    content = file.read_bytes()
    (tmp_path / "cut").write_bytes(content[:-100])
    (tmp_path / "other").write_bytes(content.replace(b'\\"dueling\\": 8', b'\\"dueling\\": 4'))
    (tmp_path / "pickle").write_bytes(b"\x80\x04K\x01.")
    for name, words in (("cut", "damaged"), ("other", "damaged"), ("pickle", "pickles are not read")):
        with pytest.raises(CheckpointError, match=words):
            Sb3Agent("dqn").load(tmp_path / name)


def test_training_repeats_itself_and_leaves_the_global_generators_alone():
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002
    first, second, other = (learned("dqn", DQN, 300, seed=seed)[0] for seed in (0, 0, 1))
    after = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002
    assert after == before

    def weights(learner):
        return [value.tolist() for value in learner.model.policy.state_dict().values()]

    assert weights(first) == weights(second) != weights(other)


def test_chance_draws_every_legal_action_alike_and_no_masked_one():
    envs = environments()
    played = ChancePlayer(PolicySpec.of(envs, "recall")).play(envs, 400, seed=0)
    counts = np.bincount([action for episode in played.episodes for action in episode.actions], minlength=N_ACTIONS)
    assert counts[3] == 0
    assert counts.sum() == 1200
    assert counts[:3].min() > 330  # 400 each, give or take four standard deviations
