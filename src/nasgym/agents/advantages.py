"""What actions are credited with."""

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float32]
Flags = NDArray[np.bool_]


def advantages(
    rewards: Numbers, values: Numbers, following: Numbers, cut: Flags, discount: float, gae_lambda: float
) -> Numbers:
    """Return generalised advantage estimates (1506.02438, equation 16), shape `(T, n)`.

    Episodes inside a meta-episode are no borders: what is earned in later ones counts. Where `cut`, nothing that comes
    after counts but `following`: 0 at the end of a meta-episode, the value of the last observation at a truncation. At
    the end of the rollout, too, what comes after counts as `following` only.

    Args:
        rewards: of the actions, shape `(T, n)`.
        values: of what was observed before the actions, shape `(T, n)`.
        following: value of what was observed after them, shape `(T, n)`.
        cut: where what comes after belongs to something else, shape `(T, n)`.
        discount: γ.
        gae_lambda: λ.

    >>> one = np.ones((2, 1), dtype=np.float32)
    >>> advantages(one, 0 * one, 0 * one, np.zeros((2, 1), dtype=np.bool_), 0.5, 1.0).T
    array([[1.5, 1. ]], dtype=float32)
    """
    errors = rewards + np.float32(discount) * following - values
    factors = np.float32(discount * gae_lambda) * ~cut
    estimates = np.empty_like(errors)
    later = np.zeros_like(errors[0])
    for t in reversed(range(len(errors))):
        later = errors[t] + factors[t] * later
        estimates[t] = later
    return estimates


def following_values(values: Numbers, final_values: Numbers, terminated: Flags, truncated: Flags) -> Numbers:
    """Return the value of what follows each action, shape `(T, n)`.

    Args:
        values: of all that was observed, shape `(T + 1, n)`; the last row is of what follows the rollout.
        final_values: of the last observations, where truncated, shape `(T, n)`.
        terminated: where nothing follows, shape `(T, n)`.
        truncated: where something would have followed, shape `(T, n)`.
    """
    following = np.where(truncated, final_values, values[1:])
    following[terminated] = 0.0
    return following
