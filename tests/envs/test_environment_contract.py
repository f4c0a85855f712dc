"""Every environment under Gymnasium's, Stable-Baselines3's and our own checks; and the checks under broken ones."""

import warnings
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env as check_with_gymnasium
from known import TASK
from random_walks import SETTINGS, walk
from stable_baselines3.common.env_checker import check_env as check_with_sb3

from nasgym.core.errors import ArchitectureError
from nasgym.envs import ENVIRONMENTS, ArchitectureEnv
from nasgym.networks.profiles import PAPER
from nasgym.tasks import Budget, Task
from nasgym.testing.closed_form import ClosedFormEstimator
from nasgym.testing.environments import check_environment


def make(name: str, **settings: Any) -> gymnasium.Env:
    return gymnasium.make(name, **{"task": TASK, "estimator": ClosedFormEstimator(), **settings})


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_gymnasiums_checker_finds_nothing(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_with_gymnasium(make(name, render_mode="ansi").unwrapped, skip_render_check=False)


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_sb3s_checker_finds_nothing(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_with_sb3(make(name, render_mode="rgb_array").unwrapped, skip_render_check=False)


@pytest.mark.parametrize("name", ENVIRONMENTS)
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"reward_timing": "terminal", "objective": "improvement"},
        {
            "estimator": ClosedFormEstimator(PAPER),
            "task": Task("eight", "eight", (8, 8, 3), 10),
            "budget": Budget(parameters=1_000_000),
        },
    ],
    ids=["every step", "terminal improvement", "paper within a budget"],
)
def test_environments_keep_their_contract(name: str, settings: dict[str, Any]) -> None:
    check_environment(lambda: make(name, **settings), episodes=10)


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_masked_is_what_ends_the_episode_with_reward_zero(name: str) -> None:
    tallies = [walk(name, setting, sequences=100, seed=1) for setting in SETTINGS]
    assert [tally.masked_actions for tally in tallies] == [tally.zero_endings for tally in tallies]
    assert sum(tally.masked_actions for tally in tallies) > 0, "no sequence came upon a masked action"


class RewardTooLarge(ArchitectureEnv):
    def step(self, action: Any) -> Any:
        observation, reward, *rest = super().step(action)
        return observation, reward + 1.0, *rest


class NoMask(ArchitectureEnv):
    def reset(self, **options: Any) -> Any:
        observation, info = super().reset(**options)
        del info["action_mask"]
        return observation, info


class WrongMask(ArchitectureEnv):
    """Allows everything."""

    def _mask(self, position: Any) -> Any:
        return np.ones_like(super()._mask(position))


class MasksTooMuch(ArchitectureEnv):
    """Masks the terminal action, which ends no episode with reward 0."""

    def _mask(self, position: Any) -> Any:
        mask = super()._mask(position).copy()
        mask[7] = 0
        return mask


class SharesItsObservation(ArchitectureEnv):
    def _observation(self, position: Any) -> Any:
        position.observation.setflags(write=True)
        return position.observation


class WrapsActions(ArchitectureEnv):
    def _number(self, action: Any) -> int:
        return int(action) % int(self.action_space.n)


class NeverEnds(ArchitectureEnv):
    def step(self, action: Any) -> Any:
        observation, reward, _, _, info = super().step(action)
        self._stop = None
        self._position = self._positions.start()
        return observation, reward, False, False, info


class Random(ArchitectureEnv):
    def step(self, action: Any) -> Any:
        observation, reward, *rest = super().step(action)
        return observation, reward * float(np.random.default_rng().random()), *rest


class TrainsTwice(ArchitectureEnv):
    def _info(self, *arguments: Any) -> Any:
        info = super()._info(*arguments)
        return info | {"from_store": False} if "from_store" in info else info


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (RewardTooLarge, r"reward 1\.\d+ lies outside \[0, 1\]"),
        (NoMask, "step 0: info lacks 'action_mask'"),
        (WrongMask, r"action \d+ was not masked, yet info\['valid'\] is False after it"),
        (MasksTooMuch, "masked action 7 must earn 0, and it earned 0"),
        (SharesItsObservation, "writing into an observation changed the next one: return copies"),
        (WrapsActions, "action -1 is outside the action space, and step.. did not raise a NasgymError"),
        (NeverEnds, "an episode went on for 10,000 steps: it must be truncated after max_steps"),
        (Random, r"step 1: \(0\.\d+, (\w+), False\), but \(0\.\d+, \1, False\) in the same environment"),
        (TrainsTwice, "was evaluated a second time"),
    ],
)
def test_a_broken_environment_fails_the_contract_with_the_reason(broken: type[ArchitectureEnv], message: str) -> None:
    def make_broken() -> ArchitectureEnv:
        return broken(kind="multi-branch", task=TASK, estimator=ClosedFormEstimator())

    with pytest.raises(AssertionError, match=message):
        check_environment(make_broken)


def test_masks_reach_through_gymnasiums_wrappers() -> None:
    env = make("nasgym/MultiBranch-v1")
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.get_wrapper_attr("action_masks")()
    _, info = env.reset()
    assert env.get_wrapper_attr("action_masks")().tolist() == [bool(bit) for bit in info["action_mask"]]
    assert env.action_space.sample(mask=info["action_mask"]) < 8, "neither merges nor pointers on the empty network"


def test_a_vector_environment_carries_the_infos() -> None:
    envs = gymnasium.make_vec("nasgym/Chain-v1", num_envs=2, task=TASK, estimator=ClosedFormEstimator())
    _, infos = envs.reset(seed=0)
    assert infos["action_mask"].shape == (2, 8)
    _, rewards, _, _, infos = envs.step(np.array([1, 7]))
    assert infos["architecture"].tolist() == ["conv3", "empty"]
    assert infos["accuracy"] == pytest.approx(rewards)
    with pytest.raises(ArchitectureError):
        envs.step(np.array([8, 0]))
