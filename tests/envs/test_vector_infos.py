"""Infos that are computed when they are read, reset options, batches of requests on executors."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode
from known import TASK, Known

import nasgym.envs
from nasgym.architectures import parse_architecture
from nasgym.core.errors import ArchitectureError, ConfigurationError
from nasgym.envs.vector import ArchitectureVectorEnv
from nasgym.envs.vector.infos import Deferred, Infos
from nasgym.evaluation import Completed, EvaluationRequest, Failed, FailureKind
from nasgym.evaluation.batches import evaluate_batch
from nasgym.evaluation.evaluator import Evaluator
from nasgym.tasks import Task
from nasgym.testing.closed_form import ClosedFormEstimator


def counted(calls: list[str]) -> Infos:
    def compute() -> int:
        calls.append("computed")
        return 7

    return Infos(ready=1, dear=Deferred(compute))


def test_a_deferred_value_is_computed_once_and_only_when_it_is_read() -> None:
    calls: list[str] = []
    infos = counted(calls)
    assert "dear" in infos
    assert len(infos) == 2
    assert list(infos) == ["ready", "dear"]
    assert calls == []
    assert infos["dear"] == infos.get("dear") == 7
    assert calls == ["computed"]


@pytest.mark.parametrize(
    "copy",
    [
        dict,
        lambda infos: {**infos},
        lambda infos: infos | {},
        Infos.copy,
        deepcopy,
        (lambda infos: pickle.loads(pickle.dumps(infos))),
    ],
    ids=["dict", "unpacked", "merged", "copy", "deepcopy", "pickle"],
)
def test_copies_of_infos_are_plain_dictionaries_with_every_value(copy: Any) -> None:
    infos = Infos(ready=1, dear=Deferred(lambda: 7))
    copied = copy(infos)
    assert type(copied) is dict
    assert copied == {"ready": 1, "dear": 7} == infos


def test_infos_can_be_read_in_every_way_of_a_dictionary() -> None:
    infos = counted([])
    assert sorted(infos.values()) == [1, 7]
    assert dict(infos.items()) == {"ready": 1, "dear": 7}
    assert repr(counted([])) == "{'ready': 1, 'dear': 7}"
    assert infos.pop("dear") == 7
    assert infos.pop("dear", None) is None
    with pytest.raises(KeyError):
        infos.pop("dear")
    assert infos.get("dear", 3) == 3


def vector(n: int = 3, **settings: Any) -> ArchitectureVectorEnv:
    return ArchitectureVectorEnv(n, **{"task": TASK, "estimator": Known(), **settings})


def test_what_is_read_late_is_what_was_true_then() -> None:
    envs = vector(2, autoreset_mode="SameStep")
    envs.reset()
    *_, first = envs.step(np.array([1, 7]))
    for action in (2, 3, 7):
        envs.step(np.array([action, action]))
    assert first["architecture"].tolist() == ["conv3", None]
    assert first["final_info"]["architecture"].tolist() == [None, "empty"]
    assert first["nsc"][0, -1].tolist() == [1, 1, 3, 0, 0]
    assert first["final_obs"][1][-25:].argmax() == 7, "the terminal row"


def test_what_is_read_late_does_not_follow_what_was_written_into_the_rewards() -> None:
    envs = vector(2)
    envs.reset()
    _, rewards, *_, infos = envs.step(np.array([1, 1]))
    rewards[:] = -1
    assert infos["accuracy"].tolist() == [0.5, 0.5]


def test_infos_are_merged_without_being_computed() -> None:
    calls: list[str] = []
    merged = counted(calls).overridden_by({"ready": 2})
    assert calls == []
    assert merged == {"ready": 2, "dear": 7}


@pytest.mark.parametrize("copy", [deepcopy, lambda envs: pickle.loads(pickle.dumps(envs))], ids=["deepcopy", "pickle"])
@pytest.mark.parametrize("kind", ["chain", "multi-branch", "joint", "cell201"])
def test_a_copy_goes_on_from_where_the_original_is(kind: str, copy: Any) -> None:
    envs = ArchitectureVectorEnv(4, kind=kind, task=TASK, estimator=ClosedFormEstimator())
    _, infos = envs.reset()
    for number in range(14):
        if number == 3:
            other = copy(envs)
        actions = infos["action_mask"].argmax(axis=1)
        observations, rewards, *_, infos = envs.step(actions)
        if number >= 3:
            again, repeated, *_ = other.step(actions)
            assert np.array_equal(observations, again)
            assert np.array_equal(rewards, repeated)


def test_make_vec_makes_the_native_form() -> None:
    envs = gymnasium.make_vec(
        "nasgym/Chain-v1", num_envs=3, vectorization_mode="vector_entry_point", task=TASK, estimator=Known(),
        autoreset_mode="SameStep", observation="compact", meta=nasgym.envs.MetaEpisodes(2),
    )  # fmt: skip
    assert type(envs).__name__ == "MetaEpisodeVectorEnv"
    assert envs.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    observations, _ = envs.reset(seed=0)
    assert observations in envs.observation_space


def test_observations_are_the_callers_own_unless_copy_is_false() -> None:
    for copy in (True, False):
        envs = vector(copy=copy)
        first, _ = envs.reset()
        kept = first.copy()
        second, *_ = envs.step(np.array([1, 1, 1]))
        assert np.array_equal(first, kept) == copy
        assert np.shares_memory(first, second) != copy


def test_tasks_are_set_for_all_or_for_each() -> None:
    small, large = (Task(name, name, (side, side, 3), 10) for name, side in (("small", 4), ("large", 64)))
    envs = vector(3, objective="improvement")
    envs.reset(options={"task": small})
    assert [task.name for task in envs.tasks] == ["small"] * 3
    _, infos = envs.reset(options={"task": [small, large, small]})
    assert [task.name for task in envs.tasks] == ["small", "large", "small"]
    envs.step(np.array([3, 3, 3]))
    *_, infos = envs.step(np.array([3, 3, 3]))
    assert infos["action_mask"][:, 3].tolist() == [0, 1, 0], "4 pixels take two poolings"
    assert envs.incumbents.tolist() == [0.5] * 3
    mask = np.array([True, False, False])
    envs.reset(options={"task": [large, small, small], "reset_mask": mask})
    assert [task.name for task in envs.tasks] == ["large", "large", "small"], "only those that begin anew"
    assert envs.incumbents.tolist() == [0, 0.5, 0.5]


def test_a_reset_mask_leaves_the_others_where_they_are() -> None:
    envs = vector(2, autoreset_mode=AutoresetMode.DISABLED)
    envs.reset()
    *_, terminations, _, _ = envs.step(np.array([7, 1]))
    assert terminations.tolist() == [True, False]
    with pytest.raises(ResetNeeded, match=r"The episode of environment 0 has ended, and autoreset is disabled"):
        envs.step(np.array([1, 1]))
    _, infos = envs.reset(options={"reset_mask": terminations})
    assert infos["_step"].tolist() == [True, False]
    *_, infos = envs.step(np.array([1, 1]))
    assert infos["step"].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"autoreset_mode": "samestep"}, "autoreset_mode is NextStep, SameStep, Disabled, got 'samestep'"),
        ({"observation": "onehot"}, r"observation is one-hot or compact, got 'onehot'. Did you mean 'one-hot'?"),
        ({"estimatr": None}, r"Unknown setting 'estimatr' of an environment .* Did you mean 'estimator'?"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        vector(**settings)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tasks": TASK}, r"Unknown reset option 'tasks' .* Did you mean 'task'?"),
        ({"task": [TASK]}, r"options\['task'\] holds 1 tasks for 3 environments; give one, or one each."),
        ({"reset_mask": [True]}, r"options\['reset_mask'\] is an array of 3 booleans, got \[True\]."),
        ({"reset_mask": np.array([True, False, True])}, "The first reset.. begins an episode everywhere"),
    ],
)
def test_wrong_reset_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        vector().reset(options=options)


def test_wrong_actions_numbers_and_seeds_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"num_envs is a whole number of at least 1, got 0."):
        vector(0)
    envs = vector()
    with pytest.raises(ResetNeeded):
        envs.step(np.array([0, 0, 0]))
    with pytest.raises(ConfigurationError, match=r"2 seeds for 3 environments; give one, or one each."):
        envs.reset(seed=[1, 2])
    envs.reset()
    with pytest.raises(ArchitectureError, match=r"Action 8 of environment 1 is outside the action space: .* 0 to 7."):
        envs.step(np.array([0, 8, 0]))
    with pytest.raises(ArchitectureError, match=r"Actions are 3 whole numbers, got float64 of shape \(3,\)."):
        envs.step(np.zeros(3))


def test_the_action_of_an_environment_that_begins_anew_does_nothing_whatever_it_is() -> None:
    envs = vector(2)
    envs.reset()
    envs.step(np.array([7, 1]))
    _, rewards, *_, infos = envs.step(np.array([-1, 1]))
    assert rewards.tolist() == [0, 0.5]
    assert infos["step"].tolist() == [0, 2]


def test_a_space_without_a_native_form_says_what_to_do() -> None:
    from nasgym.architectures.spaces import SearchSpace

    class Own(SearchSpace):
        name = kind = "own"
        max_layers = default_max_steps = 1
        actions = ()
        apply = legal = architecture = rows = observe = path = count_by_depth = None

    with pytest.raises(
        ConfigurationError, match=r"Space 'own' .* has no native vector form; .*vectorization_mode='sync'"
    ):
        vector(space=Own())


def test_equal_requests_of_a_step_are_trained_once_on_the_executor() -> None:
    estimator = Known({"conv3": 0.75})
    with ThreadPoolExecutor(2) as executor:
        envs = vector(4, estimator=estimator, executor=executor)
        envs.reset()
        _, rewards, *_, infos = envs.step(np.array([1, 1, 2, 1]))
        assert sorted(estimator.asked) == ["conv3", "conv5"]
        assert rewards.tolist() == [0.75, 0.75, 0.5, 0.75]
        assert infos["from_store"].tolist() == [False, True, False, True]
        envs.reset()
        *_, infos = envs.step(np.array([1, 1, 2, 1]))
    assert sorted(estimator.asked) == ["conv3", "conv5"]
    assert infos["from_store"].all()


@pytest.mark.parametrize("threads", [0, 2])
def test_a_batch_is_answered_as_if_asked_one_by_one(threads: int) -> None:
    over = Failed(FailureKind.OVER_BUDGET, "Too large.")
    outcomes = {"conv5": over, "maxpool2": Failed(FailureKind.DIVERGED, "NaN.")}
    texts = ["conv3", "conv5", "conv3", "maxpool2", "maxpool2", "conv3 " + "maxpool3 " * 4]
    requests = [EvaluationRequest.of(parse_architecture(text), TASK) for text in texts]
    one_by_one, at_once = Known(outcomes=outcomes), Known(outcomes=outcomes)
    expected = [evaluator.evaluate(request) for evaluator in [Evaluator(one_by_one)] for request in requests]
    evaluator = Evaluator(at_once)
    executor = ThreadPoolExecutor(threads) if threads else None
    found = evaluate_batch([(evaluator, request) for request in requests], executor)
    if executor:
        executor.shutdown()
    assert found == expected
    assert sorted(at_once.asked) == sorted(one_by_one.asked)
    assert isinstance(found[0].outcome, Completed)


def test_a_bug_in_an_estimator_raises_from_the_executor_too() -> None:
    class Broken(Known):
        def evaluate(self, request: EvaluationRequest) -> Any:
            raise ZeroDivisionError("a bug")

    with ThreadPoolExecutor(1) as executor:
        envs = vector(estimator=Broken(fingerprint="broken"), executor=executor)
        envs.reset()
        with pytest.raises(ZeroDivisionError, match=r"a bug"):
            envs.step(np.array([1, 1, 1]))
