"""Time: worked examples with 100 s of budget, 4 networks to train in the end, 2 workers."""

import time

import pytest

from nasgym.evaluation import Completed, Failed, FailureKind, Metrics, Outcome
from nasgym.evaluation.recipes import training_profile
from nasgym.experiments.clock import CLOSING_SECONDS, CLOSING_SHARE, SAFETY, Clock, Workload
from nasgym.experiments.final_training import FinalSettings

BUDGET = 100.0
CLOSING = CLOSING_SECONDS + CLOSING_SHARE * BUDGET
WORK = Workload(workers=2, networks=4, ratio=5.0)


def clock(spent: float, *, earlier: float = 0.0, budget: float | None = BUDGET) -> Clock:
    return Clock(time.monotonic() - spent, earlier, budget, WORK)


def taking(*seconds: float) -> list[Outcome]:
    return [Completed(0.5, Metrics(seconds=each)) for each in seconds]


def test_time_of_earlier_parts_counts():
    assert clock(5, earlier=30).seconds() == pytest.approx(35, abs=0.5)


def test_a_search_without_budget_is_never_over():
    unlimited = clock(1e6, budget=None)
    assert not unlimited.is_over(taking(1))
    assert unlimited.seconds_to_wait(taking(1)) is None
    assert unlimited.end_of_training() is None


def test_it_is_over_when_what_is_at_work_and_final_training_just_fit():
    at_work, final = 1.0, SAFETY * 2 * 5 * 1.0 + CLOSING
    assert not clock(BUDGET - at_work - final - 1).is_over(taking(1, 1, 1))
    assert clock(BUDGET - at_work - final + 1).is_over(taking(1, 1, 1))


def test_one_slow_training_at_the_start_of_a_process_does_not_end_the_search():
    assert not clock(75).is_over(taking(9, 1, 1, 1))


def test_final_training_gets_half_at_most():
    assert not clock(39).is_over(taking(10))
    assert clock(41).is_over(taking(10))


def test_without_any_network_the_search_goes_on_until_the_budget_is_spent():
    failed = [Failed(FailureKind.DIVERGED, "The loss is nan.")]
    for outcomes in ([], failed):
        assert not clock(99).is_over(outcomes)
        assert clock(101).is_over(outcomes)
        assert clock(99).seconds_to_wait(outcomes) == pytest.approx(1, abs=0.5)
        assert clock(101).seconds_to_wait(outcomes) == 0


def test_what_is_at_work_is_waited_for_until_it_costs_final_training_half():
    assert clock(50).seconds_to_wait(taking(10)) == pytest.approx(25, abs=0.5)


def test_what_is_at_work_is_waited_for_as_long_as_one_training_takes():
    assert clock(95).seconds_to_wait(taking(10, 10, 12)) == 10


def test_final_training_ends_early_enough_for_the_report():
    assert clock(50).end_of_training() - time.monotonic() == pytest.approx(50 - CLOSING, abs=0.5)


@pytest.mark.parametrize(("left", "rounds", "expected"), [(46, 1, 40), (46, 2, 20), (-5, 1, 1), (None, 2, None)])
def test_each_final_training_gets_its_part_of_what_is_left_when_it_starts(left, rounds, expected):
    end = None if left is None else time.monotonic() + left
    settings = FinalSettings(training_profile("default"), epochs=9, end=end, device="cpu", seed=0)
    assert settings.time_limit(rounds) == (None if expected is None else pytest.approx(expected, abs=0.5))


@pytest.mark.parametrize(("seconds", "networks"), [(1, 4), (5, 4), (8, 2), (20, 2)])
def test_where_time_is_short_fewer_networks_are_trained_in_the_end(seconds, networks):
    # 100 s less 8 s for closing and 50 s spent leave 42 s; a final training is 1.15 · 5 · seconds, 0.6 of it enough
    assert clock(50).networks_in_time(taking(seconds)) == networks


def test_without_budget_every_finalist_is_trained():
    assert clock(1e6, budget=None).networks_in_time(taking(20)) == 4
