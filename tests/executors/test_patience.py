"""When an evaluation hangs: worked examples."""

from dataclasses import replace

import pytest
from called import TASK, request

from nasgym.evaluation import Completed, Failed, FailureKind, Metrics
from nasgym.executors import Patience
from nasgym.networks.plan import plan
from nasgym.networks.profiles import DEFAULT
from nasgym.tasks import Fidelity

SMALL, LARGE = "conv1", "conv5 conv5 conv5"


def flops(text: str) -> int:
    return plan(request(text).architecture, (32, 32, 3), 10, DEFAULT).flops


def taking(seconds: float) -> Completed:
    return Completed(0.5, Metrics(seconds=seconds))


def test_work_is_three_passes_for_every_image_and_epoch():
    task = replace(TASK, fidelity=Fidelity(epochs=4, resolution=32, samples=100))
    assert Patience(DEFAULT).work(request(SMALL, task)) == 3 * flops(SMALL) * 100 * 4


def test_before_anything_has_finished_nothing_is_known_unless_a_speed_is_given():
    assert Patience(DEFAULT).limit(request(LARGE)) is None
    assert Patience(DEFAULT, speed=flops(LARGE) * 3 / 50).limit(request(LARGE)) == pytest.approx(10 * 50)


def test_ten_times_as_long_as_predicted_from_the_others_is_too_long():
    patience = Patience(DEFAULT, speed=1.0)
    patience.learn(request(SMALL), taking(20.0))
    patience.learn(request(SMALL), taking(40.0))
    assert patience.limit(request(SMALL)) == pytest.approx(10 * 30)
    assert patience.limit(request(LARGE)) == pytest.approx(10 * 30 * flops(LARGE) / flops(SMALL))


def test_a_network_of_less_work_gets_as_long_as_usual_since_there_are_costs_that_all_have():
    patience = Patience(DEFAULT)
    patience.learn(request(LARGE), taking(50.0))
    assert patience.limit(request(SMALL)) == patience.limit(request(LARGE)) == pytest.approx(500)


def test_nothing_hangs_within_a_minute():
    patience = Patience(DEFAULT)
    patience.learn(request(SMALL), taking(0.5))
    assert patience.limit(request(SMALL)) == 60


def test_failures_and_answers_that_took_no_time_teach_nothing():
    patience = Patience(DEFAULT)
    patience.learn(request(SMALL), Failed(FailureKind.DIVERGED, "NaN", Metrics(seconds=9.0)))
    patience.learn(request(SMALL), taking(0.0))
    assert patience.limit(request(SMALL)) is None


def test_a_network_that_cannot_exist_has_the_least_work():
    assert Patience(DEFAULT).work(request("maxpool2 " * 9)) == 3
