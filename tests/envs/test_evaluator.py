"""Requests, outcomes, rewards: `nasgym.evaluation.evaluator` and `nasgym.evaluation.rewards`."""

import math
import pickle
from dataclasses import dataclass, field, replace

import pytest

from nasgym.architectures import architecture_id, parse_architecture
from nasgym.core.errors import ConfigurationError
from nasgym.evaluation import Completed, EvaluationRequest, Failed, FailureKind, Metrics, Outcome
from nasgym.evaluation.evaluator import Evaluator, MemoryCache
from nasgym.evaluation.rewards import AccuracyReward, BlockReward, reward
from nasgym.networks.profiles import DEFAULT, PAPER, NetworkProfile
from nasgym.tasks import Budget, Task
from nasgym.testing.closed_form import ClosedFormEstimator

TASK = Task("digits-like", "fingerprint", (32, 32, 1), 10)


@dataclass
class Recorder:
    """Answers every request with the same outcome, and keeps a list of what it was asked."""

    outcome: Outcome
    profile: NetworkProfile = DEFAULT
    fingerprint: str = "recorder"
    asked: list[str] = field(default_factory=list)

    def evaluate(self, request: EvaluationRequest) -> Outcome:
        self.asked.append(str(request.architecture))
        return self.outcome


def request(text: str, task: Task = TASK) -> EvaluationRequest:
    return EvaluationRequest.of(parse_architecture(text), task)


def test_the_first_evaluation_asks_the_estimator_and_the_second_does_not() -> None:
    recorder = Recorder(Completed(0.25))
    evaluator = Evaluator(recorder)
    first, second = evaluator.evaluate(request("conv3")), evaluator.evaluate(request("conv3"))
    assert recorder.asked == ["conv3"]
    assert (first.from_store, second.from_store) == (False, True)
    assert first.reward == second.reward == 0.25
    assert first.architecture_id == architecture_id(parse_architecture("conv3"), DEFAULT.leaves)


def test_the_same_network_written_twice_is_evaluated_once() -> None:
    recorder = Recorder(Completed(0.25))
    evaluator = Evaluator(recorder)
    evaluator.evaluate(request("conv3(0) conv5(0) add(1,2)"))
    swapped = evaluator.evaluate(request("conv5(0) conv3(0) add(2,1)"))
    assert swapped.from_store
    assert len(recorder.asked) == 1


def test_a_network_that_cannot_exist_fails_by_its_plan_and_nothing_is_kept() -> None:
    recorder = Recorder(Completed(0.25), profile=PAPER)
    cache = MemoryCache()
    evaluation = Evaluator(recorder, cache).evaluate(request(" ".join(["maxpool3"] * 4)))
    assert isinstance(evaluation.outcome, Failed)
    assert evaluation.outcome.kind is FailureKind.INVALID
    assert evaluation.reward == 0
    assert (recorder.asked, len(cache)) == ([], 0)


def test_a_network_over_the_budget_is_not_trained_and_trained_under_a_larger_budget() -> None:
    recorder = Recorder(Completed(0.25))
    evaluator = Evaluator(recorder)
    over = evaluator.evaluate(request("conv3", TASK.with_budget(Budget(parameters=10))))
    assert isinstance(over.outcome, Failed)
    assert over.outcome.kind is FailureKind.OVER_BUDGET
    assert (over.reward, over.from_store, recorder.asked) == (0.0, False, [])
    within = evaluator.evaluate(request("conv3", TASK.with_budget(Budget(parameters=1000))))
    assert within.outcome == Completed(0.25)
    assert evaluator.evaluate(request("conv3")).from_store, "the key does not hold the budget"


def test_failures_are_kept_but_an_estimators_own_verdict_on_the_budget_is_not() -> None:
    for kind, times in ((FailureKind.DIVERGED, 1), (FailureKind.OVER_BUDGET, 2)):
        recorder = Recorder(Failed(kind, "it did"))
        evaluator = Evaluator(recorder)
        rewards = [evaluator.evaluate(request("conv3")).reward for _ in range(2)]
        assert rewards == [0.0, 0.0]
        assert len(recorder.asked) == times, kind


@pytest.mark.parametrize("value", [1.5, -0.1, math.nan])
def test_a_reward_outside_zero_to_one_is_refused(value: float) -> None:
    evaluator = Evaluator(Recorder(Completed(0.5)), reward=lambda outcome: value)
    with pytest.raises(ConfigurationError, match=r"rewards lie in \[0, 1\]: correct the reward function"):
        evaluator.evaluate(request("conv3"))


def test_an_evaluator_pickles_with_what_it_remembers() -> None:
    evaluator = Evaluator(ClosedFormEstimator())
    first = evaluator.evaluate(request("conv3 maxpool2"))
    copy = pickle.loads(pickle.dumps(evaluator))
    assert copy.evaluate(request("conv3 maxpool2")) == replace(first, from_store=True)


def test_an_evaluator_rewards_with_the_function_it_is_given() -> None:
    metrics = Metrics(flops=round(math.exp(12)), density=math.exp(-2))
    # 100·0.8 − 0.5·ln(e^12) − 0.5·ln(e^−2) = 80 − 6 + 1 = 75
    evaluation = Evaluator(Recorder(Completed(0.8, metrics)), reward=reward("blockqnn")).evaluate(request("conv3"))
    assert evaluation.reward == pytest.approx(0.75, abs=1e-6)


def test_rewards_are_found_by_name() -> None:
    assert reward("accuracy") == AccuracyReward()
    assert reward("blockqnn") == BlockReward(0.5, 0.5)
    with pytest.raises(ConfigurationError, match=r"Unknown reward 'acuracy'.*Did you mean 'accuracy'"):
        reward("acuracy")
