"""Schedules, by hand."""

import pytest

from nasgym.agents.schedules import Constant, Cosine, Linear


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (Constant(0.3), {0.0: 0.3, 0.5: 0.3, 1.0: 0.3, 2.0: 0.3}),
        (Linear(1.0, 0.2), {0.0: 1.0, 0.25: 0.8, 0.5: 0.6, 1.0: 0.2, 1.5: 0.2}),
        (Linear(0.5), {0.0: 0.5, 1.0: 0.0}),
        (Cosine(1.0, 0.0), {0.0: 1.0, 1 / 3: 0.75, 0.5: 0.5, 2 / 3: 0.25, 1.0: 0.0, 9.0: 0.0}),
        (Cosine(1.0, 0.5), {0.0: 1.0, 0.5: 0.75, 1.0: 0.5}),
    ],
)
def test_a_schedule_has_its_value_at_every_time(schedule, expected):
    assert {at: schedule.at(at) for at in expected} == pytest.approx(expected)
