"""Giving up hopeless trainings: the rule by hand, and the training that follows it."""

import doctest
import re
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import nasgym
from nasgym.architectures import parse_architecture
from nasgym.core.errors import ConfigurationError
from nasgym.evaluation import Completed, EvaluationRequest
from nasgym.evaluation.recipes import training_profile
from nasgym.evaluation.stopping import Stopping
from nasgym.evaluation.training import TrainingEstimator
from nasgym.experiments.config import make_config
from nasgym.store import open_store
from nasgym.tasks import Fidelity, ImageTask

DEFAULT = training_profile("default")
STILL = replace(DEFAULT, search=replace(DEFAULT.search, learning_rate=0.0))
"""A profile under which nothing is learnt."""
accuracies = st.lists(st.floats(0, 1), min_size=1, max_size=12)
rules = st.builds(Stopping, floor=st.floats(0.01, 0.99), after=st.integers(2, 6), slack=st.floats(0, 2))


@pytest.mark.parametrize(
    ("curve", "n_epochs", "slack", "expected"),
    [
        ((0.2, 0.6), 4, 0.0, 0.8),  # error 0.8 / epoch
        ((0.2, 0.6), 4, 1.0, 0.9),  # and half of that again for the slack
        ((0.1, 0.1, 0.1, 0.1), 16, 0.0, 0.1),  # nothing learnt
        ((0.1, 0.1, 0.1, 0.1), 16, 0.5, 0.55),  # 0.9 · (4 / 16) ** 0.5 = 0.45
        ((0.6, 0.2), 8, 0.0, 0.6),  # a curve that falls is drawn on from its best
        ((1.0, 1.0), 4, 0.0, 1.0),
    ],
)
def test_the_best_case_follows_the_power_of_the_error(
    curve: tuple[float, ...], n_epochs: int, slack: float, expected: float
) -> None:
    rule = Stopping(0.5, after=2, slack=slack)
    assert rule.best_case(curve, n_epochs) == pytest.approx(expected, abs=1e-5)


def test_a_training_is_given_up_when_its_best_case_is_below_the_floor() -> None:
    assert Stopping(0.81, after=2, slack=0).hopeless((0.2, 0.6), 4)
    assert not Stopping(0.79, after=2, slack=0).hopeless((0.2, 0.6), 4)


def test_nothing_is_given_up_before_its_time_or_at_the_end() -> None:
    rule = Stopping(0.99, after=3, slack=0)
    assert [rule.hopeless((0.1,) * n, 5) for n in range(1, 6)] == [False, False, True, True, False]


@given(rules, accuracies, st.integers(2, 40))
def test_what_has_reached_the_floor_is_never_given_up(rule: Stopping, curve: list[float], n_epochs: int) -> None:
    assert not rule.hopeless([*curve, rule.floor], n_epochs)


@given(rules, accuracies, st.integers(2, 40), st.floats(0, 2))
def test_more_slack_gives_up_no_more(rule: Stopping, curve: list[float], n_epochs: int, more: float) -> None:
    if replace(rule, slack=rule.slack + more).hopeless(curve, n_epochs):
        assert rule.hopeless(curve, n_epochs)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"floor": 0.0}, "given up lies between 0 and 1, got 0"),
        ({"floor": 1.0}, "given up lies between 0 and 1, got 1"),
        ({"floor": float("nan")}, "lies between 0 and 1, got nan"),
        ({"floor": 0.5, "after": 1}, "needs two epochs to be drawn on, got after=1"),
        ({"floor": 0.5, "slack": -0.1}, "at least 0, got -0.1"),
    ],
)
def test_a_rule_out_of_range_is_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Stopping(**settings)  # type: ignore[arg-type] # wrong on purpose


def trained(task: ImageTask, estimator: TrainingEstimator, epochs: int = 5) -> Completed:
    request = EvaluationRequest(parse_architecture("conv3 maxpool2 conv3"), task, Fidelity(epochs, 12), seed=0)
    outcome = estimator.evaluate(request)
    assert isinstance(outcome, Completed)
    return outcome


def test_a_hopeless_training_ends_early_with_what_it_has_learnt(stripes_task: ImageTask) -> None:
    whole = trained(stripes_task, TrainingEstimator(STILL, device="cpu"))
    given_up = trained(stripes_task, TrainingEstimator(STILL, device="cpu", stopping=Stopping(0.95, after=3)))
    assert len(whole.metrics.train_losses) == 5
    assert given_up.metrics.validation_accuracies == whole.metrics.validation_accuracies[:3]
    assert given_up.metrics.train_losses == whole.metrics.train_losses[:3]
    assert given_up.accuracy == whole.metrics.validation_accuracies[2]


def test_a_training_that_promises_enough_is_as_without_the_rule(stripes_task: ImageTask) -> None:
    whole = trained(stripes_task, TrainingEstimator(DEFAULT, device="cpu"))
    watched = trained(stripes_task, TrainingEstimator(DEFAULT, device="cpu", stopping=Stopping(0.4)))
    assert replace(watched, metrics=replace(watched.metrics, seconds=0, peak_memory=0)) == replace(
        whole, metrics=replace(whole.metrics, seconds=0, peak_memory=0)
    )


def test_a_training_with_a_rule_has_a_key_of_its_own() -> None:
    rules = [None, Stopping(0.5), Stopping(0.6), Stopping(0.5, after=4), Stopping(0.5, slack=0.25)]
    fingerprints = [TrainingEstimator(DEFAULT, device="cpu", stopping=rule).fingerprint for rule in rules]
    assert len(set(fingerprints)) == len(rules)
    assert fingerprints[0] == TrainingEstimator(DEFAULT, device="cpu").fingerprint
    assert "stop" not in fingerprints[0]


def test_a_search_keeps_what_it_gave_up_under_a_key_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NASGYM_CACHE", str(tmp_path / "cache"))
    settings = {"size": 8, "samples": 100, "epochs": 6, "final_epochs": 1, "finalists": 1, "evaluations": 3}
    nasgym.search("digits", strategy="random", workers=0, stopping=0.9999, out=tmp_path / "run", **settings)
    with open_store(tmp_path / "runs" / "store.sqlite", create=False) as store:
        rows = [row for row in store.evaluations() if row.key.estimator.startswith("training:")]
    assert len(rows) == 3
    assert all(row.key.estimator.endswith(":stop-below=0.9999,3,1.0") for row in rows)
    assert min(len(row.outcome.metrics.train_losses) for row in rows) < 6


@pytest.mark.parametrize("floor", [0.0, 1.0, -1, "much"])
def test_a_floor_that_is_no_accuracy_is_refused_by_the_configuration(floor: object) -> None:
    with pytest.raises(ConfigurationError, match=r"'evaluation.stopping' is "):
        make_config({"data": {"source": "digits"}, "evaluation": {"stopping": floor}})


def test_the_examples_of_the_page_are_right() -> None:
    page = (Path(__file__).parents[2] / "docs" / "fidelity.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    runner = doctest.DocTestRunner()
    for number, (_, text) in enumerate(block for block in blocks if block[0] == "python"):
        runner.run(doctest.DocTestParser().get_doctest(text, {}, f"fidelity.md {number}", None, 0))
    assert runner.summarize(verbose=False) == (0, 6)
    (settings,) = [tomllib.loads(text) for language, text in blocks if language == "toml"]
    assert make_config(settings | {"data": {"source": "digits"}}).evaluation.stopping == 0.55
