"""An experiment as a value: its tasks, and what the store holds of its stages."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from nasgym.core.errors import ConfigurationError, DataError, nearest
from nasgym.evaluation.recipes import training_profile
from nasgym.experiments.meta.agents import agent_named
from nasgym.experiments.meta.config import TaskSettings, TasksSettings
from nasgym.experiments.meta.environments import search_space
from nasgym.experiments.meta.tasks import Source, open_source
from nasgym.experiments.stages.config import ExperimentConfig
from nasgym.experiments.stages.episodes import Networks, played_episodes, traced_episodes
from nasgym.experiments.stages.home import ExperimentSurroundings, known_run
from nasgym.experiments.stages.kinds import FinalStage, Stage, SurrogateStage, TrainStage
from nasgym.experiments.stages.retraining import contenders
from nasgym.report.experiment_report import EpisodeRecord
from nasgym.store import Store
from nasgym.tasks import ImageTask

_DECIDING = ("space", "profile", "estimator")
"""Settings of an environment that decide what networks there are, and how good they turn out."""


@dataclass(frozen=True)
class Experiment:
    """An experiment and what it happens in.

    Attributes:
        config: every setting.
        around: what it happens in.
    """

    config: ExperimentConfig
    around: ExperimentSurroundings

    def check(self, only: Sequence[str] = ()) -> None:
        """Refuse what cannot be done, before anything is.

        Args:
            only: stages that are wanted; all if none is named.

        Raises:
            ConfigurationError: an unknown stage, or settings of an agent, environment or final training that are
                wrong; names the stage.
            DataError: data cannot be read; names the task.
        """
        unknown = [name for name in only if name not in self.config.stages]
        if unknown:
            known = ", ".join(self.config.stages)
            raise ConfigurationError(
                f"There is no stage {unknown[0]!r} (stages: {known}).{nearest(unknown[0], self.config.stages)}"
            )
        for name, stage in self.config.stages.items():
            with _naming(f"Stage {name!r}"):
                environment = self.config.environment_of(name)
                training_profile(environment.profile)
                if isinstance(stage, TrainStage):
                    agent = self.config.agents[stage.agent]
                    agent_named(agent.name).check(agent.settings)
                if isinstance(stage, FinalStage):
                    training_profile(stage.profile)
                    contenders((), stage)
                self._check_surrogate(name, stage)
        for name in dict.fromkeys(task for stage in self.chosen(only).values() for task in stage.tasks):
            self.members(name)

    def _check_surrogate(self, name: str, stage: Stage) -> None:
        """Refuse a surrogate whose networks are made in several ways, or a training that wants more than it knows."""
        environment = self.config.environment_of(name)
        concerned: tuple[str, ...] = stage.of if isinstance(stage, SurrogateStage) else ()
        if isinstance(stage, TrainStage) and stage.surrogate is not None:
            concerned = (stage.surrogate,)
            if environment.describe_task:
                raise ConfigurationError("A surrogate knows no images to describe: leave out describe_task.")
        for other in concerned:
            theirs = self.config.environment_of(other)
            for setting in _DECIDING:
                if getattr(environment, setting) != getattr(theirs, setting):
                    raise ConfigurationError(
                        f"environment.{setting} is {getattr(environment, setting)!r} here and "
                        f"{getattr(theirs, setting)!r} in stage {other!r}; a surrogate tells of one kind of networks, "
                        "trained in one way."
                    )

    @cached_property
    def _source(self) -> Source:
        """What trains networks, and makes tasks."""
        tasks = TasksSettings(train=tuple(map(self.task_settings, self.config.tasks)))
        return open_source(
            tasks, self.config.environment, cache_dir=self.around.cache_dir, decoding=self.around.decoding
        )

    @cached_property
    def _made(self) -> dict[TaskSettings, tuple[ImageTask, ...]]:
        return {}

    def task(self, name: str) -> ImageTask:
        """Return the task of that name, with all of its classes.

        Raises:
            DataError: its data cannot be read; names the task.
        """
        settings = self.task_settings(name).model_copy(update={"subsets": None, "n_classes": None})
        return self._make(name, settings)[0]

    def members(self, name: str) -> tuple[ImageTask, ...]:
        """Return the tasks that a task of the experiment is made of: its subsets, or itself.

        Raises:
            DataError: its data cannot be read; names the task.
            ConfigurationError: it has too few classes for its subsets, or is several tasks for another reason.
        """
        settings = self.task_settings(name)
        members = self._make(name, settings)
        if len(members) != (settings.subsets or 1):
            raise ConfigurationError(f"Task {name!r} is several; give samples, epochs and limits one number each.")
        return members

    def distinct(self, names: Iterable[str]) -> dict[str, ImageTask]:
        """Return the tasks that tasks of the experiment are made of by the fingerprint of their data.

        Of several with the same data, as subsets may happen to be, the first stands for all.

        Raises:
            DataError: as `members`.
            ConfigurationError: as `members`; or two have the same data, and are trained on in different ways.
        """
        found: dict[str, ImageTask] = {}
        for task in (member for name in names for member in self.members(name)):
            first = found.setdefault(task.fingerprint, task)
            if first.fidelity != task.fidelity:
                raise ConfigurationError(
                    f"Tasks {first.name!r} ({first.fidelity}) and {task.name!r} ({task.fidelity}) have the same data; "
                    "a surrogate knows one way to train on them."
                )
        return found

    def _make(self, name: str, settings: TaskSettings) -> tuple[ImageTask, ...]:
        if settings not in self._made:
            with _naming(f"Task {name!r}"):
                tasks = self._source.tasks((settings,), self.config.environment.profile)
            self._made[settings] = tuple(task for task in tasks if isinstance(task, ImageTask))
        return self._made[settings]

    def networks(self, name: str) -> Networks:
        """Return what finds the networks of the episodes of a stage."""
        environment = self.config.environment_of(name)
        members = {task: self.members(task) for task in self.config.stages[name].tasks}
        tasks = {member.name: member for one in members.values() for member in one}
        space = search_space(environment, self._source)
        return Networks(space, tasks, training_profile(environment.profile).network)

    def episodes(self, name: str, store: Store) -> tuple[EpisodeRecord, ...]:
        """Return the episodes of a stage, as far as it has come."""
        reference = known_run(self.around.stage(name))
        if reference is None:
            return ()
        stage, log, networks = self.config.stages[name], store.training_log(), self.networks(name)
        if isinstance(stage, TrainStage):
            traces = (row.trace for row in log.updates(reference.run) if row.trace is not None)
            members = [(task, member.name) for task in stage.tasks for member in self.members(task)]
            return tuple(traced_episodes(traces, members, networks))
        return tuple(played_episodes(log.meta_episodes(reference.run, phase=stage.kind), networks))

    def task_settings(self, name: str) -> TaskSettings:
        """Return the settings of a task, as a meta-training has them."""
        settings = self.config.tasks[name].model_dump(exclude={"paper"}, exclude_unset=True)
        return TaskSettings.model_validate({"name": name} | settings)

    def chosen(self, only: Sequence[str]) -> dict[str, Stage]:
        """Return the stages that are wanted, by name; all if none is named."""
        return {name: stage for name, stage in self.config.stages.items() if not only or name in only}

    def source_of(self, name: str) -> Source:
        """Return what trains the networks of a stage."""
        tasks = TasksSettings(train=tuple(map(self.task_settings, self.config.stages[name].tasks)))
        return open_source(tasks, self.config.environment_of(name), cache_dir=self.around.cache_dir)

    def settings_of(self, name: str, stage: Stage) -> dict[str, Any]:
        """Return all that decides what comes out of a stage, as JSON values."""
        tasks = [self.task_settings(task).model_dump(mode="json") for task in stage.tasks]
        own = stage.model_dump(mode="json", exclude={"environment", "paper", "label"})
        settings = {"stage": name, **own, "tasks": tasks, "seed": self.seed_of(stage)}
        if isinstance(stage, FinalStage):
            return settings
        return settings | {"environment": self.config.environment_of(name).model_dump(mode="json")}

    def seed_of(self, stage: Stage) -> int:
        """Return the seed of everything in a stage."""
        return self.config.seed if stage.seed is None else stage.seed


@contextmanager
def _naming(what: str) -> Iterator[None]:
    """Let errors say what they are about."""
    try:
        yield
    except (ConfigurationError, DataError) as error:
        raise type(error)(f"{what}: {error}") from error
