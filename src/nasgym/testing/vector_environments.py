"""The contract of a vector environment: it does what as many single ones do, step by step; plain asserts.

```python
from nasgym.testing.vector_environments import check_vector_environment

check_vector_environment(lambda n: MyVectorEnv(n), lambda: MySingleEnv())
```
"""

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from nasgym.core.errors import NasgymError
from nasgym.core.randomness import stream

UNDECIDED = ("from_store",)
"""Keys of infos that also depend on what was evaluated before, by whom: not compared."""


def check_vector_environment(
    make: Callable[[int], VectorEnv[Any, Any, Any]],
    make_single: Callable[[], gymnasium.Env[Any, Any]],
    *,
    n: int = 5,
    steps: int = 60,
    seed: int = 0,
) -> None:
    """Check that vector environments made by `make` keep the contract of `docs/vector-environments.md`.

    Args:
        make: returns a new vector environment of as many environments as it is told.
        make_single: returns a new single environment of the same kind.
        n: environments.
        steps: random steps to compare, masked actions included.
        seed: of the random actions.

    Raises:
        AssertionError: the contract is broken; the message says where and how.
    """
    check_vector_spaces(make(n), make_single())
    check_autoreset_mode(make(n))
    check_equality(make(n), make_single, steps=steps, seed=seed)
    check_vector_values_are_the_callers_own(make(n), make(n), seed=seed)
    check_vector_actions_outside_the_space_raise(make(n))


def check_vector_spaces(envs: VectorEnv[Any, Any, Any], single: gymnasium.Env[Any, Any]) -> None:
    """The spaces are those of the single form, and batches of them."""
    pairs = (
        ("action_space", envs.single_action_space, envs.action_space, single.action_space),
        ("observation_space", envs.single_observation_space, envs.observation_space, single.observation_space),
    )
    for name, one, batched, wanted in pairs:
        assert one == wanted, f"single_{name} is {one}, that of the single form {wanted}"
        expected = batch_space(wanted, envs.num_envs)
        assert batched == expected, f"{name} is {batched}; {envs.num_envs} times {wanted} makes {expected}"


def check_autoreset_mode(envs: VectorEnv[Any, Any, Any]) -> None:
    """The autoreset mode is told in the metadata and on the instance."""
    mode = envs.metadata.get("autoreset_mode")
    assert isinstance(mode, AutoresetMode), f"metadata['autoreset_mode'] must be an AutoresetMode, is {mode!r}"
    own = getattr(envs, "autoreset_mode", None)
    assert own is mode, f"autoreset_mode is {own!r} on the instance and {mode!r} in the metadata"


def check_equality(
    envs: VectorEnv[Any, Any, Any], make_single: Callable[[], gymnasium.Env[Any, Any]], *, steps: int, seed: int
) -> None:
    """Observations, rewards, endings and infos equal those of single environments, step by step."""
    mode = envs.metadata["autoreset_mode"]
    singles = SyncVectorEnv([make_single] * envs.num_envs, autoreset_mode=mode)
    generator = stream(seed, "check_equality")
    expected: tuple[Any, ...] = singles.reset(seed=seed)
    found: tuple[Any, ...] = envs.reset(seed=seed)
    _check_equal(("observation", "info"), expected, found, "reset()")
    names = ("observation", "reward", "terminated", "truncated", "info")
    ended = np.zeros(envs.num_envs, dtype=np.bool_)
    for number in range(1, steps + 1):
        if mode is AutoresetMode.DISABLED and ended.any():
            expected = singles.reset(options={"reset_mask": ended})
            found = envs.reset(options={"reset_mask": ended})
            _check_equal(("observation", "info"), expected, found, f"reset() after step {number - 1}")
        actions = _actions(found[-1]["action_mask"], generator)
        expected, found = singles.step(actions), envs.step(actions)
        _check_equal(names, expected, found, f"step {number}")
        ended = found[2] | found[3]


def check_vector_values_are_the_callers_own(
    envs: VectorEnv[Any, Any, Any], spoiled: VectorEnv[Any, Any, Any], *, seed: int
) -> None:
    """What a caller writes into what was returned changes nothing: two copies stay equal, one of them written into."""
    generator = stream(seed, "check_values")
    expected: tuple[Any, ...] = envs.reset(seed=seed)
    found: tuple[Any, ...] = spoiled.reset(seed=seed)
    for number in range(1, 9):
        for array in _arrays(found):
            array[...] = 1
        actions = _actions(expected[-1]["action_mask"], generator)
        ended = expected[2] | expected[3] if number > 1 else np.zeros(envs.num_envs, dtype=np.bool_)
        if envs.metadata["autoreset_mode"] is AutoresetMode.DISABLED and ended.any():
            return
        expected, found = envs.step(actions), spoiled.step(actions)
        try:
            _check_equal(("observation", "reward", "terminated", "truncated", "info"), expected, found, "")
        except AssertionError as error:
            raise AssertionError(
                f"writing into what was returned changed step {number}{error}: return copies"
            ) from None


def check_vector_actions_outside_the_space_raise(envs: VectorEnv[Any, Any, Any]) -> None:
    """Integers outside the action space raise a `NasgymError`, also if only one environment is told one."""
    assert isinstance(envs.single_action_space, spaces.Discrete), "single_action_space must be Discrete"
    for action in (-1, int(envs.single_action_space.n)):
        envs.reset()
        actions = np.zeros(envs.num_envs, dtype=np.int64)
        actions[-1] = action
        try:
            envs.step(actions)
        except NasgymError:
            continue
        raise AssertionError(f"action {action} is outside the action space, and step() did not raise a NasgymError")


def _actions(mask: NDArray[np.int8], generator: np.random.Generator) -> NDArray[np.int64]:
    """Return random actions: legal ones where there are any, but for one in five."""
    n, n_actions = mask.shape
    legal = np.where(mask.any(axis=1, keepdims=True) & (generator.random((n, 1)) > 0.2), mask, 1)
    chosen: NDArray[np.int64] = np.argmax(legal * (1 + generator.random((n, n_actions))), axis=1)
    return chosen


def _check_equal(names: tuple[str, ...], expected: tuple[Any, ...], found: tuple[Any, ...], where: str) -> None:
    for name, wanted, value in zip(names, expected, found, strict=True):
        _check_same(wanted, value, f"{where}: {name}")


def _check_same(wanted: Any, found: Any, where: str) -> None:
    if isinstance(wanted, dict):
        _check_same_infos(wanted, found, where)
        return
    assert isinstance(found, np.ndarray), f"{where} must be an array, is {type(found).__name__}"
    assert found.dtype == wanted.dtype, f"{where} is {found.dtype}, of the single form {wanted.dtype}"
    assert found.shape == wanted.shape, f"{where} has shape {found.shape}, of the single form {wanted.shape}"
    for place, (one, other) in enumerate(zip(wanted, found, strict=True)):
        assert np.array_equal(one, other), f"{where} of environment {place} is {other}, of the single form {one}"


def _check_same_infos(wanted: dict[str, Any], found: Any, where: str) -> None:
    """Compare the values of the environments that have them."""
    for key in wanted:
        assert key in found, f"{where} lacks {key!r}, which the single form has"
        if key.startswith("_") and not key.startswith("_from"):
            _check_same(wanted[key], found[key], f"{where}[{key!r}]")
    for key, value in wanted.items():
        if isinstance(value, dict):
            _check_same_infos(value, found[key], f"{where}[{key!r}]")
        elif not key.startswith("_") and key not in UNDECIDED:
            which = wanted[f"_{key}"]
            _check_same(value[which], found[key][which], f"{where}[{key!r}]")
    for key in found:
        had = key in wanted or not np.any(found[key if key.startswith("_") else f"_{key}"])
        assert had, f"{where} holds {key!r}, which the single form has not"


def _arrays(value: Any) -> list[NDArray[Any]]:
    """Return all arrays of numbers in what a vector environment returned."""
    if isinstance(value, dict):
        return [array for key in value for array in _arrays(value[key])]
    if isinstance(value, tuple):
        return [array for part in value for array in _arrays(part)]
    return [value] if isinstance(value, np.ndarray) and value.dtype != object else []
