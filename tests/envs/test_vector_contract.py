"""Every space in native vector form equals as many single environments; and the suite under broken ones."""

from typing import Any

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from known import TASK

from nasgym.envs import ENVIRONMENTS, ArchitectureEnv, MetaEpisode, MetaEpisodes
from nasgym.envs.vector import ArchitectureVectorEnv, MetaEpisodeVectorEnv
from nasgym.envs.vector.rows import Observer
from nasgym.networks.profiles import PAPER
from nasgym.tasks import Budget, Task
from nasgym.testing.closed_form import ClosedFormEstimator
from nasgym.testing.vector_environments import check_vector_environment

SMALL = Task("small", "small", (8, 8, 3), 10)
OBLONG = Task("oblong", "oblong", (12, 20, 1), 4)
SETTINGS: dict[str, dict[str, Any]] = {
    "terminal improvement": {"task": SMALL, "reward_timing": "terminal", "objective": "improvement"},
    "paper on few pixels": {"task": OBLONG, "estimator": ClosedFormEstimator(PAPER), "shift_reward": 0.25},
    "within a budget": {"task": TASK, "budget": Budget(parameters=6_000), "max_steps": 6, "reward": "blockqnn"},
}


def arguments(name: str, **settings: Any) -> dict[str, Any]:
    return {"kind": ENVIRONMENTS[name], "estimator": ClosedFormEstimator(), **settings}


@pytest.mark.parametrize("mode", list(AutoresetMode), ids=str)
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_in_every_mode_the_vector_form_equals_single_forms(name: str, mode: AutoresetMode) -> None:
    given = arguments(name, task=TASK)
    check_vector_environment(
        lambda n: ArchitectureVectorEnv(n, autoreset_mode=mode, **given), lambda: ArchitectureEnv(**given), steps=30
    )


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_with_all_settings_the_vector_form_equals_single_forms(name: str, settings: dict[str, Any]) -> None:
    given = arguments(name, **settings)
    mode = AutoresetMode.SAME_STEP
    check_vector_environment(
        lambda n: ArchitectureVectorEnv(n, autoreset_mode=mode, **given), lambda: ArchitectureEnv(**given), steps=30
    )


@pytest.mark.parametrize("mode", list(AutoresetMode), ids=str)
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_meta_episodes_in_vector_form_equal_single_ones(name: str, mode: AutoresetMode) -> None:
    given = arguments(name, task=TASK, objective="improvement")
    meta = MetaEpisodes(3, [TASK, SMALL, OBLONG])
    check_vector_environment(
        lambda n: MetaEpisodeVectorEnv(n, meta, autoreset_mode=mode, **given),
        lambda: MetaEpisode(ArchitectureEnv(**given), meta.episodes, meta.tasks, meta.observe),
        steps=40,
        n=3,
    )


def test_spaces_of_many_layers_have_a_vector_form_too() -> None:
    given = arguments("nasgym/MultiBranch-v1", task=TASK, max_layers=80, max_steps=20)
    envs = ArchitectureVectorEnv(2, **given)
    assert len(envs.episodes.walk.layout.nsc) > np.iinfo(np.int16).max, "more row codes than 16 bits hold"
    check_vector_environment(
        lambda n: ArchitectureVectorEnv(n, **given), lambda: ArchitectureEnv(**given), n=2, steps=25
    )


class Broken(ArchitectureVectorEnv):
    def __init__(self, n: int) -> None:
        super().__init__(n, **arguments("nasgym/Chain-v1", task=TASK))


class RewardsOff(Broken):
    """Pays the last environment a little more."""

    def step(self, actions: Any) -> Any:
        observations, rewards, *rest = super().step(actions)
        rewards[-1] += 1e-9
        return observations, rewards, *rest


class ForgetsToBegin(Broken):
    def _begin(self, which: Any) -> None:
        super()._begin(which if which.all() else np.zeros_like(which))


class WrongMask(Broken):
    def _tell(self, infos: Any, moment: Any, mask: Any, which: Any) -> None:
        super()._tell(infos, moment, np.ones_like(mask), which)


class SharesItsSteps(Broken):
    def _tell(self, infos: Any, moment: Any, mask: Any, which: Any) -> None:
        super()._tell(infos, moment, mask, which)
        infos["step"] = self.episodes.steps


class HidesItsMode(Broken):
    def __init__(self, n: int) -> None:
        super().__init__(n)
        self.metadata = {"render_modes": []}


class WrapsActions(Broken):
    def step(self, actions: Any) -> Any:
        return super().step(actions % 8)


class OtherSpace(Broken):
    def __init__(self, n: int) -> None:
        ArchitectureVectorEnv.__init__(self, n, observation="compact", **arguments("nasgym/Chain-v1", task=TASK))


class LacksTexts(Broken):
    def step(self, actions: Any) -> Any:
        *rest, infos = super().step(actions)
        infos.pop("architecture", None)
        return *rest, infos


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (RewardsOff, r"step 1: reward of environment 4 is 0\.\d+, of the single form 0\.\d+"),
        (ForgetsToBegin, r"step \d+: (observation|reward|terminated|info)"),
        (WrongMask, r"info\['action_mask'\] of environment \d"),
        (SharesItsSteps, r"writing into what was returned changed step \d.*: return copies"),
        (HidesItsMode, r"metadata\['autoreset_mode'\] must be an AutoresetMode, is None"),
        (WrapsActions, "action -1 is outside the action space, and step.. did not raise a NasgymError"),
        (OtherSpace, r"single_observation_space is MultiDiscrete[\s\S]*, that of the single form Box"),
        (LacksTexts, "info lacks 'architecture', which the single form has"),
    ],
)
def test_a_broken_vector_environment_fails_with_the_reason(broken: type[Broken], message: str) -> None:
    given = arguments("nasgym/Chain-v1", task=TASK)
    with pytest.raises(AssertionError, match=message):
        check_vector_environment(broken, lambda: ArchitectureEnv(**given))


def test_an_unbroken_one_passes() -> None:
    given = arguments("nasgym/Chain-v1", task=TASK)
    check_vector_environment(Broken, lambda: ArchitectureEnv(**given))


def test_compact_observations_say_which_place_of_each_group_is_one() -> None:
    for name in ENVIRONMENTS:
        given = arguments(name, task=TASK)
        wide, narrow = ArchitectureVectorEnv(4, **given), ArchitectureVectorEnv(4, observation="compact", **given)
        (ones, _), (places, infos) = wide.reset(seed=0), narrow.reset(seed=0)
        groups = wide.search_space.observation_groups
        assert tuple(narrow.single_observation_space.nvec) == groups
        for _ in range(12):
            assert places in narrow.observation_space
            rebuilt = [np.eye(size, dtype=np.float32)[places[:, place]] for place, size in enumerate(groups)]
            assert np.array_equal(np.concatenate(rebuilt, axis=1), ones)
            actions = np.argmax(infos["action_mask"] * np.random.default_rng(1).random((4, 1)), axis=1)
            (ones, *_), (places, *_, infos) = wide.step(actions), narrow.step(actions)
    assert Observer(wide.episodes.walk.layout, one_hot=True).length == wide.search_space.observation_length
