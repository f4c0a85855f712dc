"""The contract of an environment, as a suite of checks with plain asserts.

```python
from nasgym.testing.environments import check_environment

check_environment(lambda: gymnasium.make("nasgym/Chain-v1", estimator=my_estimator))
```
"""

import pickle
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from nasgym.architectures import parse_architecture
from nasgym.core.errors import NasgymError
from nasgym.core.randomness import stream

Env = gymnasium.Env[NDArray[np.float32], np.int64]
Step = tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]

ALWAYS = ("nsc", "step", "pointers", "valid", "action_mask")
"""Keys that every `info` holds."""
EVALUATED = ("architecture", "architecture_id", "accuracy", "from_store")
"""Keys that `info` holds where an evaluation happened."""


def check_environment(make: Callable[[], Env], *, episodes: int = 30, seed: int = 0) -> None:
    """Check that environments made by `make` keep the contract of `docs/environments.md`.

    Args:
        make: returns a new environment; its estimator should be cheap and never give accuracy 0.
        episodes: random episodes to play, masked actions included.
        seed: of the random actions.

    Raises:
        AssertionError: the contract is broken; the message says where and how.
    """
    check_spaces(make())
    check_episodes(make(), episodes=episodes, seed=seed)
    check_masks(make(), episodes=episodes, seed=seed)
    check_returned_values_are_the_callers_own(make())
    check_actions_outside_the_space_raise(make())
    check_determinism(make, seed=seed)
    check_nothing_is_evaluated_twice(make(), seed=seed)
    check_pickling(make(), seed=seed)


def check_spaces(env: Env) -> None:
    """Actions are `Discrete` from 0; observations a flat float32 `Box` from 0 to 1."""
    actions, observations = env.action_space, env.observation_space
    assert isinstance(actions, spaces.Discrete), f"action_space must be Discrete, is {actions}"
    assert actions.start == 0, f"action_space must start at 0, starts at {actions.start}"
    assert isinstance(observations, spaces.Box), f"observation_space must be a Box, is {observations}"
    assert observations.dtype == np.float32, f"observations must be float32, are {observations.dtype}"
    assert len(observations.shape) == 1, f"observations must be flat, have shape {observations.shape}"


def check_episodes(env: Env, *, episodes: int, seed: int) -> None:
    """Every value of every step of random episodes is what it should be; episodes end."""
    generator = stream(seed, "check_episodes")
    for _ in range(episodes):
        observation, info = env.reset()
        _check_observation(env, observation, "reset()")
        _check_info(env, info, steps=0)
        ended = False
        for number in range(1, 10_001):
            action = int(generator.integers(_n_actions(env)))
            observation, reward, terminated, truncated, info = env.step(np.int64(action))
            where = f"step {number} (action {action})"
            _check_observation(env, observation, where)
            assert isinstance(reward, float), f"{where}: reward must be a float, is {type(reward).__name__}"
            assert 0 <= reward <= 1, f"{where}: reward {reward} lies outside [0, 1]"
            assert isinstance(terminated, bool), f"{where}: terminated must be a bool"
            assert isinstance(truncated, bool), f"{where}: truncated must be a bool"
            assert not (terminated and truncated), f"{where}: both at once counts as terminated, not as truncated too"
            _check_info(env, info, steps=number)
            ended = terminated or truncated
            if ended:
                break
        assert ended, "an episode went on for 10,000 steps: it must be truncated after max_steps"


def check_masks(env: Env, *, episodes: int, seed: int) -> None:
    """A masked action ends the episode with reward 0; one that is not masked never goes wrong."""
    generator = stream(seed, "check_masks")
    for _ in range(episodes):
        _, info = env.reset()
        ended = False
        while not ended:
            mask = info["action_mask"]
            masks: NDArray[np.bool_] = env.get_wrapper_attr("action_masks")()
            assert np.array_equal(masks, mask == 1), "action_masks() and info['action_mask'] differ"
            allowed = np.flatnonzero(mask)
            take_any = allowed.size == 0 or generator.random() < 0.1
            action = int(generator.integers(_n_actions(env)) if take_any else generator.choice(allowed))
            _, reward, terminated, truncated, info = env.step(np.int64(action))
            ended = terminated or truncated
            if not mask[action]:
                assert ended, f"masked action {action} must end the episode, and it went on"
                assert reward == 0, f"masked action {action} must earn 0, and it earned {reward}"
            else:
                assert info["valid"], f"action {action} was not masked, yet info['valid'] is False after it"
                failure = info.get("failure") if ended else None
                assert failure != "over_budget", f"action {action} was not masked, yet it finished over the budget"


def check_returned_values_are_the_callers_own(env: Env) -> None:
    """What a caller writes into an observation or info changes nothing in the environment."""
    first, info = env.reset()
    kept = first.copy(), info["nsc"].copy(), info["action_mask"].copy()
    first[:] = 0.5
    info["nsc"][:] = -1
    info["action_mask"][:] = 0
    again, info = env.reset()
    assert np.array_equal(again, kept[0]), "writing into an observation changed the next one: return copies"
    assert np.array_equal(info["nsc"], kept[1]), "writing into info['nsc'] changed the next one: return copies"
    assert np.array_equal(info["action_mask"], kept[2]), "writing into info['action_mask'] changed it: return copies"


def check_actions_outside_the_space_raise(env: Env) -> None:
    """Integers outside the action space raise a `NasgymError`; nothing else does."""
    for action in (-1, _n_actions(env)):
        env.reset()
        try:
            env.step(np.int64(action))
        except NasgymError:
            continue
        raise AssertionError(f"action {action} is outside the action space, and step() did not raise a NasgymError")


def check_determinism(make: Callable[[], Env], *, seed: int) -> None:
    """The same seed and actions give the same trajectory, in one environment and in two."""
    env = make()
    first, second, other = _episode(env, seed), _episode(env, seed), _episode(make(), seed)
    for name, trajectory in (("the same environment", second), ("a new one", other)):
        assert len(first) == len(trajectory), f"the same seed and actions gave another length in {name}"
        for number, (expected, found) in enumerate(zip(first, trajectory, strict=True), start=1):
            assert np.array_equal(expected[0], found[0]), f"step {number}: another observation in {name}"
            assert expected[1:4] == found[1:4], f"step {number}: {expected[1:4]}, but {found[1:4]} in {name}"


def check_nothing_is_evaluated_twice(env: Env, *, seed: int) -> None:
    """Where an episode is played again, each evaluated network comes from the store."""
    _episode(env, seed)
    for number, (*_, info) in enumerate(_episode(env, seed), start=1):
        known = info.get("from_store", True) or "failure" in info
        assert known, f"step {number}: {info['architecture']!r} was evaluated a second time"


def check_pickling(env: Env, *, seed: int) -> None:
    """A copy through pickle plays the same episode."""
    copy = pickle.loads(pickle.dumps(env))
    rewards = [step[1] for step in _episode(env, seed)]
    copied = [step[1] for step in _episode(copy, seed)]
    assert rewards == copied, f"a pickled copy earned {copied}, the original {rewards}"


def _episode(env: Env, seed: int) -> list[Step]:
    """Play random actions, legal ones where there are any, from `reset(seed=seed)`."""
    generator = stream(seed, "episode")
    _, info = env.reset(seed=seed)
    steps: list[Step] = []
    while not steps or not (steps[-1][2] or steps[-1][3]):
        allowed = np.flatnonzero(info["action_mask"])
        action = generator.choice(allowed) if allowed.size else generator.integers(_n_actions(env))
        steps.append(env.step(np.int64(action)))  # type: ignore[arg-type]  # Gymnasium types rewards as SupportsFloat
        info = steps[-1][4]
    return steps


def _check_observation(env: Env, observation: NDArray[np.float32], where: str) -> None:
    contained = env.observation_space.contains(observation)
    assert contained, f"{where}: the observation is not in {env.observation_space}"


def _check_info(env: Env, info: dict[str, Any], *, steps: int) -> None:
    for key in ALWAYS:
        assert key in info, f"step {steps}: info lacks {key!r}; it always holds {', '.join(ALWAYS)}"
    assert info["step"] == steps, f"info['step'] is {info['step']} after {steps} steps"
    nsc, mask = info["nsc"], info["action_mask"]
    assert nsc.ndim == 2, f"step {steps}: info['nsc'] must have rows of five integers, has shape {nsc.shape}"
    assert nsc.shape[1] == 5, f"step {steps}: info['nsc'] must have rows of five integers, has shape {nsc.shape}"
    empty = ~nsc.any(axis=1)
    assert np.array_equal(empty, np.sort(empty)[::-1]), f"step {steps}: the empty rows of info['nsc'] must come first"
    assert mask.shape == (_n_actions(env),), f"step {steps}: info['action_mask'] has shape {mask.shape}"
    assert mask.dtype == np.int8, f"step {steps}: info['action_mask'] must be int8, is {mask.dtype}"
    found = [key for key in EVALUATED if key in info]
    assert found in ([], list(EVALUATED)), f"step {steps}: info holds {found} of {EVALUATED}; all of them or none"
    if found:
        assert 0 <= info["accuracy"] <= 1, f"step {steps}: accuracy {info['accuracy']} lies outside [0, 1]"
        parse_architecture(info["architecture"])


def _n_actions(env: Env) -> int:
    assert isinstance(env.action_space, spaces.Discrete), f"action_space must be Discrete, is {env.action_space}"
    return int(env.action_space.n)
