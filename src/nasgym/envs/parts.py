"""From the settings of an environment to its parts: space, task, estimator, store."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nasgym.architectures.actions import SetHeader
from nasgym.architectures.spaces.definition import SpaceKind
from nasgym.architectures.spaces.loading import load_space
from nasgym.architectures.spaces.space import SearchSpace
from nasgym.core.errors import ConfigurationError
from nasgym.envs.config import EnvConfig
from nasgym.evaluation import Estimator, OutcomeCache
from nasgym.evaluation.evaluator import Evaluator
from nasgym.evaluation.loading import TRAINING, load_estimator
from nasgym.evaluation.recipes import PROFILES, Profile, training_profile
from nasgym.evaluation.rewards import reward
from nasgym.store import open_store
from nasgym.tasks import Fidelity, ImageTask, Task, describe, make_task

EMBEDDED = "digits"
"""The data set of an environment without a task: scikit-learn's digits."""
SIZE = 32
"""Side of the images of a task that is given by path or name, pixels."""


def make_space(config: EnvConfig) -> SearchSpace:
    """Return the search space that `config` names or holds.

    Raises:
        ConfigurationError: no such space, or `max_layers` for a space that is made already.
    """
    if config.space is None:
        return load_space(config.kind or SpaceKind.CHAIN.value, max_layers=config.max_layers)
    if not isinstance(config.space, SearchSpace):
        from_file = config.space in tuple(SpaceKind) or Path(config.space).is_file()
        return load_space(config.space, kind=config.kind if from_file else None, max_layers=config.max_layers)
    if config.max_layers not in (None, config.space.max_layers):
        raise ConfigurationError(
            f"max_layers={config.max_layers}, but the space given has max_layers={config.space.max_layers}; "
            "make the space with the one you want."
        )
    return config.space


def step_limit(config: EnvConfig, space: SearchSpace) -> int:
    """Return τ, the number of steps after which an episode is truncated.

    Raises:
        ConfigurationError: episodes would end before there is a network.
    """
    limit = space.default_max_steps if config.max_steps is None else config.max_steps
    header = len({action.operation for action in space.actions if isinstance(action, SetHeader)})
    if limit <= header:
        raise ConfigurationError(
            f"max_steps={limit}, but space {space.name!r} makes {header} header choices before the first layer; "
            f"use at least {header + 1}."
        )
    return limit


def make_evaluator(config: EnvConfig) -> Evaluator:
    """Return the estimator, the cache and the reward of `config`, joined.

    Raises:
        ConfigurationError: no such profile or reward, or a profile beside an estimator that has its own.
        PluginError: no such estimator.
        StoreError: the store cannot be opened.
    """
    chosen = reward(config.reward) if isinstance(config.reward, str) else config.reward
    return Evaluator(_estimator(config), _cache(config), chosen)


def task_for(config: EnvConfig, task: Task | str | Path | None, evaluator: Evaluator) -> Task:
    """Return the task that `task` is or names, with the budget of `config` where it has one.

    Raises:
        DataError: it names no images, or they make no task.
    """
    if not isinstance(task, Task):
        epochs = _profile(config, evaluator.estimator).search.epochs
        task = make_task(EMBEDDED if task is None else task, size=SIZE, fidelity=Fidelity(epochs, SIZE))
    return task if config.budget is None else task.with_budget(config.budget)


def _estimator(config: EnvConfig) -> Estimator:
    estimator = config.estimator
    if estimator is None or isinstance(estimator, str):
        profile = config.profile or "default"
        named = training_profile(profile) if isinstance(profile, str) else profile
        return load_estimator(estimator or TRAINING, named)
    if config.profile is not None:
        raise ConfigurationError(
            f"profile={_name(config.profile)!r} beside an estimator that has its own ({estimator.profile.name!r}); "
            "leave out profile, or name the estimator."
        )
    return estimator


def _cache(config: EnvConfig) -> OutcomeCache | None:
    return open_store(config.store) if isinstance(config.store, str | Path) else config.store


def description(task: Task) -> NDArray[np.float32]:
    """Return the description of `task` for an observation: numbers from 0 to 1 (see `nasgym.tasks.TaskDescription`).

    Raises:
        ConfigurationError: the task has no images to describe.
    """
    if not isinstance(task, ImageTask):
        raise ConfigurationError(f"Task {task.name!r} has no images to describe; leave out describe_task.")
    return np.clip(describe(task).vector(), 0.0, 1.0)


def _profile(config: EnvConfig, estimator: Estimator) -> Profile:
    """Return the training profile whose number of epochs a task without a fidelity of its own gets."""
    if isinstance(config.profile, Profile):
        return config.profile
    name = config.profile or estimator.profile.name
    return training_profile(name if name in PROFILES else "default")


def _name(profile: str | Profile) -> str:
    return profile if isinstance(profile, str) else profile.name
