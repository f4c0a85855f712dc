"""From the task lists of a configuration to tasks, and to what answers for them."""

import glob
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path

from nasgym.core.errors import ConfigurationError, nearest
from nasgym.core.randomness import stream
from nasgym.evaluation import Estimator
from nasgym.evaluation.loading import load_estimator
from nasgym.evaluation.recipes import training_profile
from nasgym.evaluation.surrogates import Surrogate
from nasgym.evaluation.tables import Table, TableDescription, TabularBenchmark
from nasgym.experiments.meta.config import EnvironmentSettings, TaskSettings, TasksSettings
from nasgym.tasks import Budget, Fidelity, ImageTask, Task, make_task

GROUPS = ("train", "validation", "test")
"""The lists of tasks in a configuration."""
_VARIED = ("samples", "epochs", "max_parameters", "max_flops", "max_memory")
_LIMITS = ("max_parameters", "max_flops", "max_memory")


@dataclass(frozen=True)
class TaskLists:
    """The tasks of a configuration, made.

    Attributes:
        train: that meta-episodes draw from.
        validation: that a policy is judged by while it learns.
        test: that nothing is learned or chosen from.
    """

    train: tuple[Task, ...]
    validation: tuple[Task, ...] = ()
    test: tuple[Task, ...] = ()


@dataclass(frozen=True)
class Source:
    """Where tasks and answers come from.

    Attributes:
        estimator: tells how good a network is.
        table: of the tasks; `None` where networks are trained, or a surrogate answers.
        description: of the table, or of the table behind the surrogate; `None` where networks are trained.
        cache_dir: where decoded images are kept; the user's cache folder by default.
        decoding: called with the number of images decoded so far.
    """

    estimator: Estimator
    table: Table | None = None
    description: TableDescription | None = None
    cache_dir: Path | None = None
    decoding: Callable[[int], None] = field(default=lambda _: None)

    @property
    def is_live(self) -> bool:
        """Whether networks are really trained."""
        return self.description is None

    def tasks(self, settings: Sequence[TaskSettings], profile: str) -> tuple[Task, ...]:
        """Return the tasks that `settings` describe, in their order.

        Args:
            settings: each makes one task or several.
            profile: whose number of epochs is used where settings have none.

        Raises:
            ConfigurationError: no such task in the table, or settings that do not go with it; two tasks of one name.
            DataError: the images do not make a classification task.
        """
        tasks = tuple(task for one in settings for task in self._tasks(one, profile))
        names = [task.name for task in tasks]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ConfigurationError(f"Two tasks are called {twice!r}; give one of them another `name`.")
        return tasks

    def _tasks(self, settings: TaskSettings, profile: str) -> Iterator[Task]:
        bases = self._images(settings, profile) if self.description is None else self._tabulated(settings)
        values = [getattr(settings, name) or (None,) for name in _VARIED]
        varied = {name for name, options in zip(_VARIED, values, strict=True) if len(options) > 1}
        for base, chosen in itertools.product(bases, list(itertools.product(*values))):
            yield _variant(base, dict(zip(_VARIED, chosen, strict=True)), varied)

    def _tabulated(self, settings: TaskSettings) -> list[Task]:
        if self.description is None:
            raise AssertionError("only tables have tasks of a name")
        of_images = settings.model_fields_set - {"source", "name", *_LIMITS}
        if of_images:
            raise ConfigurationError(
                f"Task {settings.source!r} has {', '.join(sorted(of_images))}, but a table answers, which knows its "
                "own images only; leave that out, or leave out the table to train networks."
            )
        known = {task.name: task.task for task in self.description.tasks}
        found = [name for name in known if name == settings.source or fnmatchcase(name, settings.source)]
        if not found:
            raise ConfigurationError(
                f"Table {self.description.name!r} has no task {settings.source!r} (tasks: {', '.join(known)})."
                + nearest(settings.source, known)
            )
        return [replace(known[name], name=settings.name or name) for name in found]

    def _images(self, settings: TaskSettings, profile: str) -> list[ImageTask]:
        task = make_task(
            settings.source,
            size=settings.size,
            seed=settings.split_seed,
            labels=settings.labels,
            group_pattern=settings.group_pattern,
            classes=settings.classes,
            max_per_class=settings.max_per_class,
            fractions=settings.fractions,
            strict=settings.strict,
            cache_dir=self.cache_dir,
            fidelity=Fidelity(training_profile(profile).search.epochs, settings.size),
            name=settings.name,
            progress=self.decoding,
        )
        if settings.subsets is None or settings.n_classes is None:
            return [task]
        return [_subset(task, settings, settings.n_classes, number) for number in range(settings.subsets)]


def open_source(
    tasks: TasksSettings,
    environment: EnvironmentSettings,
    *,
    device: str = "auto",
    cache_dir: Path | None = None,
    decoding: Callable[[int], None] = lambda _: None,
) -> Source:
    """Return where the tasks of a configuration and their answers come from.

    Raises:
        TableError: the table or surrogate cannot be read.
        NasgymError: no such profile or estimator.
    """
    if tasks.table is not None:
        table = Table(tasks.table)
        return Source(TabularBenchmark(table), table, table.description)
    if tasks.surrogate is not None:
        surrogate = Surrogate(tasks.surrogate)
        return Source(surrogate, None, surrogate.description)
    profile = training_profile(environment.profile)
    estimator = load_estimator(environment.estimator, profile, device=device, threads=1)
    return Source(estimator, cache_dir=cache_dir, decoding=decoding)


def make_tasks(source: Source, settings: TasksSettings, profile: str) -> TaskLists:
    """Return the tasks of a configuration.

    Raises:
        ConfigurationError: a held-out task is a training task, too.
        NasgymError: a task cannot be made.
    """
    lists = TaskLists(*(source.tasks(getattr(settings, group), profile) for group in GROUPS))
    learned = {_identity(task): task.name for task in lists.train}
    for group, tasks in (("validation", lists.validation), ("test", lists.test)):
        for task in tasks:
            if _identity(task) in learned:
                raise ConfigurationError(
                    f"Task {task.name!r} is held out in tasks.{group}, but it is {learned[_identity(task)]!r} of "
                    "tasks.train, too; a policy is judged by tasks that it has not learned from."
                )
    return lists


def _identity(task: Task) -> tuple[object, ...]:
    return task.fingerprint, task.budget, task.fidelity


def _variant(task: Task, chosen: dict[str, int | None], varied: set[str]) -> Task:
    """Return `task` with these numbers, and with a name that tells those that vary."""
    fidelity = task.fidelity
    if chosen["epochs"] is not None:
        fidelity = replace(fidelity, epochs=chosen["epochs"])
    n_train = len(task.split.train) if isinstance(task, ImageTask) else None
    if chosen["samples"] is not None and n_train is not None and chosen["samples"] < n_train:
        fidelity = replace(fidelity, samples=chosen["samples"])
    budget = Budget(chosen["max_parameters"], chosen["max_flops"], chosen["max_memory"])
    words = [f"{name.removeprefix('max_')} {value}" for name, value in chosen.items() if name in varied]
    name = task.name if not words else f"{task.name}, {', '.join(words)}"
    return replace(task, name=name, fidelity=fidelity, budget=budget)


def _subset(task: ImageTask, settings: TaskSettings, n_classes: int, number: int) -> ImageTask:
    """Return the task on a random subset of the classes of `task`."""
    names = task.class_names
    if n_classes > len(names):
        raise ConfigurationError(
            f"Task {task.name!r} has {len(names)} classes, too few for subsets of n_classes = {n_classes}."
        )
    chosen = stream(settings.split_seed, "classes", *names, number).permutation(len(names))[:n_classes]
    return make_task(
        task.dataset,
        seed=settings.split_seed,
        group_pattern=settings.group_pattern,
        classes=[glob.escape(names[label]) for label in sorted(chosen.tolist())],
        max_per_class=settings.max_per_class,
        fractions=settings.fractions,
        strict=settings.strict,
        fidelity=task.fidelity,
        name=f"{task.name}, subset {number + 1}",
    )
