"""From a configuration to the environments that agents are trained and tested in."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

from gymnasium.vector import AutoresetMode

from nasgym.agents.spec import PolicySpec
from nasgym.architectures.actions import action_label
from nasgym.architectures.spaces import SearchSpace, load_space
from nasgym.core.errors import ConfigurationError
from nasgym.envs import MetaEpisodes, Signal
from nasgym.envs.vector import Observing, make_vector_env
from nasgym.evaluation import OutcomeCache
from nasgym.experiments.meta.config import EnvironmentSettings
from nasgym.experiments.meta.tasks import Source
from nasgym.experiments.meta.watching import Environments, Unmasked
from nasgym.tasks import Task

_NAMED_ACTIONS = 40
"""A space with more actions is told from others by a digest of their names."""


@dataclass(frozen=True)
class EnvironmentMaker:
    """Makes environments that differ in their tasks and number only.

    Attributes:
        settings: how networks are built and rewarded.
        source: what answers.
        cache: where outcomes are kept; the environments' own memory if `None`.
        executor: where networks are trained; the calling process if `None`.
        observing: how architectures are observed.
    """

    settings: EnvironmentSettings
    source: Source
    cache: OutcomeCache | None = None
    executor: Executor | None = None
    observing: Observing = Observing.COMPACT

    @property
    def space(self) -> SearchSpace:
        """The search space.

        Raises:
            ConfigurationError: there is no such space.
        """
        return search_space(self.settings, self.source)

    def drawing(self, n: int, tasks: Sequence[Task]) -> Environments:
        """Return `n` environments whose meta-episodes draw from `tasks`."""
        return self._make(n, tasks[0], tuple(tasks))

    def fixed(self, n: int, task: Task) -> Environments:
        """Return `n` environments on one task."""
        return self._make(n, task, None)

    def spec(self, envs: Environments) -> PolicySpec:
        """Return what a policy for `envs` speaks."""
        signals = tuple(str(signal) for signal in self.settings.signals if signal is not Signal.ACTION)
        return PolicySpec.of(envs, space_text(self.space), signals)

    def _make(self, n: int, task: Task, tasks: tuple[Task, ...] | None) -> Environments:
        settings = self.settings
        given: dict[str, Any] = {
            "space": self.space,
            "task": task,
            "estimator": self.source.estimator,
            "max_steps": settings.max_steps,
            "shift_reward": settings.shift_reward,
            "reward_timing": settings.reward_timing,
            "objective": settings.objective,
            "reward": settings.reward,
            "describe_task": settings.describe_task,
            "store": self.cache if self.source.is_live else None,
        }
        envs = make_vector_env(
            n,
            meta=MetaEpisodes(settings.episodes, tasks, settings.signals),
            autoreset_mode=AutoresetMode.SAME_STEP,
            observation=self.observing,
            executor=self.executor,
            **given,
        )
        return envs if settings.masks else Unmasked(envs)


def search_space(settings: EnvironmentSettings, source: Source) -> SearchSpace:
    """Return the search space that a configuration names; that of the table, else the chain space, if it names none.

    Raises:
        ConfigurationError: there is no such space, or the table does not say which is its own.
    """
    if settings.space is not None:
        return load_space(settings.space, max_layers=settings.max_layers)
    if source.description is None:
        return load_space("chain", max_layers=settings.max_layers)
    if source.table is not None and source.description.space:
        return source.table.space
    name = source.description.space
    if not name:
        raise ConfigurationError(
            f"Table {source.description.name!r} does not say which search space its networks are from; "
            "name one in environment.space."
        )
    return load_space(name, max_layers=settings.max_layers)


def space_text(space: SearchSpace) -> str:
    """Return what tells a search space from others, for policies.

    >>> from nasgym.architectures.spaces import load_space
    >>> space_text(load_space("chain", max_layers=4))
    'chain of up to 4 layers (conv1 conv3 conv5 maxpool2 maxpool3 avgpool2 avgpool3 terminal)'
    """
    labels = action_labels(space)
    listed = " ".join(labels)
    if len(labels) > _NAMED_ACTIONS:
        listed = f"{len(labels)} actions, {hashlib.sha256(listed.encode()).hexdigest()[:12]}"
    return f"{space.kind} of up to {space.max_layers} layers ({listed})"


def action_labels(space: SearchSpace) -> tuple[str, ...]:
    """Return a short name for each action."""
    return tuple(action_label(action) for action in space.actions)
