"""The contract of an estimator, as a suite of checks with plain asserts.

```python
from nasgym.testing.estimators import check_estimator

check_estimator(lambda: MyEstimator(...), make_task("digits"))
```
"""

import pickle
import random
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from nasgym.architectures import Architecture, Layer, Operation, parse_architecture
from nasgym.evaluation import Completed, Estimator, EvaluationRequest, Failed, FailureKind, Outcome
from nasgym.networks.profiles import NetworkProfile
from nasgym.tasks import Budget, Fidelity, Task

Make = Callable[[], Estimator]

CHAIN = "conv3 maxpool2 conv3"
OTHER = "conv1 maxpool2"
GRAPH = "conv3(0) conv1(0) add(1,2)"
GRAPH_REWRITTEN = "conv1(0) conv3(0) add(2,1)"
"""The same network as `GRAPH`."""


def check_estimator(make: Make, task: Task, *, fidelity: Fidelity | None = None) -> None:
    """Check that estimators made by `make` keep the contract of `nasgym.evaluation.Estimator` on `task`.

    Args:
        make: returns a new estimator; each one must answer alike.
        task: small, so that evaluations are quick.
        fidelity: of the evaluations; the task's own unless given.

    Raises:
        AssertionError: the contract is broken; the message says where and how.
    """
    task = task if fidelity is None else replace(task, fidelity=fidelity)
    check_identity(make)
    check_answers(make(), task)
    check_equal_requests_have_equal_answers(make, task)
    check_one_network_has_one_answer(make(), task)
    check_networks_that_cannot_exist(make(), task)
    check_budget(make(), task)
    check_global_state_is_left_alone(make(), task)
    check_pickling(make(), task)


def check_identity(make: Make) -> None:
    """Fingerprint and profile are stable values of the right type."""
    first, second = make(), make()
    assert isinstance(first.fingerprint, str), f"fingerprint must be a text, is {first.fingerprint!r}"
    assert first.fingerprint, "fingerprint is empty; it must tell estimators apart that answer differently"
    assert isinstance(first.profile, NetworkProfile), f"profile must be a NetworkProfile, is {first.profile!r}"
    assert first.fingerprint == second.fingerprint, (
        f"two estimators made alike have fingerprints {first.fingerprint!r} and {second.fingerprint!r}; "
        "stores would never recognise an answer"
    )
    assert first.profile == second.profile, "two estimators made alike have different profiles"


def check_answers(estimator: Estimator, task: Task) -> None:
    """An answer is `Completed` with an accuracy from 0 to 1, or `Failed`; its numbers make sense."""
    for text in ("empty", CHAIN, OTHER, GRAPH):
        outcome = estimator.evaluate(_request(text, task))
        assert isinstance(outcome, Completed | Failed), (
            f"evaluate({text!r}) must return Completed or Failed, returned {outcome!r}"
        )
        if isinstance(outcome, Completed):
            assert 0 <= outcome.accuracy <= 1, f"the accuracy of {text!r} must lie in [0, 1], is {outcome.accuracy}"
        else:
            assert outcome.message, f"the failure of {text!r} has no message"
        metrics = outcome.metrics
        for name in ("seconds", "parameters", "flops", "density", "peak_memory"):
            value = getattr(metrics, name)
            assert value >= 0, f"metric {name} of {text!r} must be 0 or more, is {value}"
        assert len(metrics.validation_accuracies) <= task.fidelity.epochs, (
            f"{text!r} has {len(metrics.validation_accuracies)} validation accuracies; "
            f"the fidelity is {task.fidelity.epochs} epochs"
        )


def check_equal_requests_have_equal_answers(make: Make, task: Task) -> None:
    """The same request is answered alike, whatever was evaluated in between and by which instance."""
    estimator = make()
    first = estimator.evaluate(_request(CHAIN, task))
    estimator.evaluate(_request(OTHER, task))
    _assert_same(first, estimator.evaluate(_request(CHAIN, task)), f"{CHAIN!r} after another network")
    other = make()
    other.evaluate(_request(GRAPH, task))
    _assert_same(first, other.evaluate(_request(CHAIN, task)), f"{CHAIN!r} by another instance")


def check_one_network_has_one_answer(estimator: Estimator, task: Task) -> None:
    """Two ways to write one network are answered alike."""
    written, rewritten = (estimator.evaluate(_request(text, task)) for text in (GRAPH, GRAPH_REWRITTEN))
    _assert_same(written, rewritten, f"{GRAPH!r} and {GRAPH_REWRITTEN!r}, which are one network")


def check_networks_that_cannot_exist(estimator: Estimator, task: Task) -> None:
    """A network that shrinks below a pixel fails; it does not raise."""
    side = max(task.input_shape[:2])
    layers = tuple(Layer(Operation.MAX_POOLING, 2, (index,)) for index in range(side.bit_length() + 1))
    outcome = estimator.evaluate(EvaluationRequest.of(Architecture(layers), task))
    assert isinstance(outcome, Failed), f"{len(layers)} poolings of {side} pixels leave none, yet gave {outcome!r}"
    assert outcome.kind in (FailureKind.INVALID, FailureKind.MISSING), (
        f"a network that cannot exist must be Failed(invalid), is Failed({outcome.kind})"
    )


def check_budget(estimator: Estimator, task: Task) -> None:
    """A budget decides whether a network is evaluated, never what comes out; estimators may leave it to the caller."""
    free = estimator.evaluate(_request(CHAIN, task))
    kept = estimator.evaluate(_request(CHAIN, task.with_budget(Budget(parameters=10**12, flops=10**15))))
    _assert_same(free, kept, f"{CHAIN!r} without a budget and within one")
    over = estimator.evaluate(_request(CHAIN, task.with_budget(Budget(parameters=1))))
    if not (isinstance(over, Failed) and over.kind is FailureKind.OVER_BUDGET):
        _assert_same(free, over, f"{CHAIN!r} without a budget and over one (which may also be Failed(over_budget))")


def check_global_state_is_left_alone(estimator: Estimator, task: Task) -> None:
    """Python's and NumPy's global random states are neither used nor moved."""
    before = random.getstate(), _numpy_state()
    estimator.evaluate(_request(CHAIN, task))
    after = random.getstate(), _numpy_state()
    assert before[0] == after[0], "evaluate moved Python's global random state; draw from nasgym.core.randomness"
    assert before[1] == after[1], "evaluate moved NumPy's global random state; draw from nasgym.core.randomness"


def check_pickling(estimator: Estimator, task: Task) -> None:
    """An estimator travels to another process and answers the same there, also after it has been used."""
    here = estimator.evaluate(_request(CHAIN, task))
    there: Estimator = pickle.loads(pickle.dumps(estimator))
    assert there.fingerprint == estimator.fingerprint, (
        f"pickled, the fingerprint {estimator.fingerprint!r} became {there.fingerprint!r}"
    )
    _assert_same(here, there.evaluate(_request(CHAIN, task)), f"{CHAIN!r} before and after pickling")


def _numpy_state() -> tuple[list[int], int]:
    state = np.random.get_state(legacy=False)["state"]  # noqa: NPY002 - the global state is what we watch
    return state["key"].tolist(), state["pos"]


def _request(text: str, task: Task) -> EvaluationRequest:
    return EvaluationRequest.of(parse_architecture(text), task)


def _assert_same(first: Outcome, second: Outcome, what: str) -> None:
    assert _comparable(first) == _comparable(second), f"{what}: {first!r} and {second!r}, but they must agree"


def _comparable(outcome: Outcome) -> Outcome:
    """Return the outcome without what may differ from one evaluation to the next: time and memory."""
    return replace(outcome, metrics=replace(outcome.metrics, seconds=0.0, peak_memory=0))
