"""Estimators by name: the one that trains, and those of installed packages."""

from importlib.metadata import EntryPoint

import pytest

from nasgym.core import plugins
from nasgym.core.errors import ConfigurationError, PluginError
from nasgym.evaluation.loading import load_estimator
from nasgym.evaluation.recipes import Profile, training_profile
from nasgym.evaluation.training import TrainingEstimator
from nasgym.testing.closed_form import ClosedFormEstimator


def closed_form(profile: Profile) -> ClosedFormEstimator:
    return ClosedFormEstimator(profile.network)


def profile_itself(profile: Profile) -> Profile:
    return profile


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two plug-ins, one of which is no estimator."""
    group = "nasgym.estimators"
    points = {
        "closed-form": EntryPoint("closed-form", f"{__name__}:closed_form", group),
        "broken": EntryPoint("broken", f"{__name__}:profile_itself", group),
    }
    monkeypatch.setattr(plugins, "available", lambda group: points)


def test_without_a_name_it_is_the_one_that_trains_the_default_profile() -> None:
    estimator = load_estimator()
    assert isinstance(estimator, TrainingEstimator)
    assert estimator.profile.name == "default"


def test_device_threads_and_time_limit_reach_the_one_that_trains() -> None:
    limited = load_estimator("training", training_profile("paper"), device="cpu", threads=1, time_limit=60.0)
    assert limited.fingerprint.startswith("training:paper:")
    assert limited.fingerprint.endswith(":limit=60")
    with pytest.raises(ConfigurationError, match="threads must be at least 1, got 0"):
        load_estimator(threads=0)
    with pytest.raises(ConfigurationError, match="gpu"):
        load_estimator(device="gpu")


@pytest.mark.usefixtures("installed")
def test_a_plug_in_is_made_with_the_profile() -> None:
    estimator = load_estimator("closed-form", training_profile("paper"))
    assert estimator == ClosedFormEstimator(training_profile("paper").network)


@pytest.mark.usefixtures("installed")
def test_a_plug_in_that_is_no_estimator_is_refused_with_what_it_lacks() -> None:
    with pytest.raises(PluginError, match=r"'broken' of 'nasgym\.estimators' gave Profile.*, which has no .*evaluate"):
        load_estimator("broken")


@pytest.mark.usefixtures("installed")
def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    message = r"No estimator 'closed_form' \(known: training, closed-form, broken\)\. Did you mean 'closed-form'\?"
    with pytest.raises(PluginError, match=message):
        load_estimator("closed_form")
