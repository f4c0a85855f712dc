"""Advantages, by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasgym.agents.advantages import advantages, following_values

GAMMA, LAMBDA = 0.5, 0.5


def column(*numbers: float) -> np.ndarray:
    return np.array(numbers, dtype=np.float32)[:, np.newaxis]


def test_advantages_cross_the_border_of_episodes_and_end_with_meta_episodes():
    """Two episodes of two steps make a meta-episode, which ends at step 3; the rollout ends one step into the next.

    With γ = λ = 1/2, so that γλ = 1/4: errors are δ_t = r_t + γ V_{t+1} - V_t, advantages A_t = δ_t + A_{t+1} / 4.
    Step 3 ends the meta-episode: δ_3 = 4 + 0 - 1 = 3 = A_3. Step 2: δ_2 = 0 + 0.5 - 2 = -1.5, A_2 = -1.5 + 0.75.
    Step 1 ends the first episode, which is no border: δ_1 = 1 + 1 - 3 = -1, A_1 = -1 - 0.1875. Step 0: δ_0 = 0 + 1.5
    - 2 = -0.5, A_0 = -0.5 - 0.296875. Step 4 is bootstrapped with the value 6 of what follows: δ_4 = 1 + 3 - 5 = -1.
    """
    rewards = column(0, 1, 0, 4, 1)
    values = column(2, 3, 2, 1, 5, 6)
    terminated = column(0, 0, 0, 1, 0).astype(np.bool_)
    truncated = np.zeros_like(terminated)
    following = following_values(values, 0 * rewards, terminated, truncated)
    found = advantages(rewards, values[:-1], following, terminated, GAMMA, LAMBDA)
    np.testing.assert_array_equal(found, column(-0.796875, -1.1875, -0.75, 3, -1))


def test_a_truncation_is_bootstrapped_with_the_value_of_what_was_seen_last():
    """Step 0 is cut off; what was seen last is worth 8, what is seen next, after a reset, 100: δ_0 = 1 + 4 - 2 = 3."""
    truncated = column(1, 0).astype(np.bool_)
    terminated = np.zeros_like(truncated)
    following = following_values(column(2, 100, 0), column(8, 0), terminated, truncated)
    found = advantages(column(1, 0), column(2, 100), following, truncated, GAMMA, LAMBDA)
    np.testing.assert_array_equal(found, column(3, -100))


@given(
    st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1), st.booleans()), min_size=1, max_size=12), st.floats(-1, 1)
)
def test_with_lambda_one_advantages_are_discounted_returns_less_values(steps, last):
    rewards, values, ends = (np.array(part) for part in zip(*steps, strict=True))
    expected, running = np.zeros(len(steps)), last
    for t in reversed(range(len(steps))):
        running = rewards[t] + 0.9 * (0.0 if ends[t] else running)
        expected[t] = running - values[t]
    cut = ends[:, np.newaxis].astype(np.bool_)
    all_values = column(*values, last)
    following = following_values(all_values, np.zeros_like(all_values[1:]), cut, np.zeros_like(cut))
    found = advantages(column(*rewards), all_values[:-1], following, cut, 0.9, 1.0)
    np.testing.assert_allclose(found[:, 0], expected, atol=1e-5)


@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(2, 4))
def test_environments_do_not_mix(seed, length, n):
    generator = np.random.default_rng(seed)
    rewards, values, following = generator.random((3, length, n), dtype=np.float32)
    cut = generator.random((length, n)) < 0.3
    together = advantages(rewards, values, following, cut, 0.9, 0.8)
    for place in range(n):
        one = slice(place, place + 1)
        alone = advantages(rewards[:, one], values[:, one], following[:, one], cut[:, one], 0.9, 0.8)
        assert together[:, one] == pytest.approx(alone)
