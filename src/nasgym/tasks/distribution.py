"""Task distributions: what meta-episodes draw their tasks from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from nasgym.core.errors import ConfigurationError
from nasgym.tasks.task import Task


class TaskDistribution(Protocol):
    """Something that tasks are drawn from."""

    def draw(self, generator: np.random.Generator) -> Task:
        """Return a task; equal generators give equal tasks."""
        ...


@dataclass(frozen=True)
class WeightedTasks:
    """Finitely many tasks.

    Attributes:
        tasks: at least one.
        weights: how often each is drawn, up to a factor; all equally often if empty.

    Raises:
        ConfigurationError: no tasks, or weights that are none of theirs.

    >>> from nasgym.core.randomness import stream
    >>> small, large = (Task(name, name, (side, side, 3), 10) for name, side in (("small", 8), ("large", 84)))
    >>> WeightedTasks((small, large), weights=(0.0, 1.0)).draw(stream(0, "tasks")).name
    'large'
    """

    tasks: tuple[Task, ...]
    weights: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not self.tasks:
            raise ConfigurationError("A task distribution needs at least one task.")
        if not self.weights:
            return
        if len(self.weights) != len(self.tasks):
            raise ConfigurationError(f"{len(self.weights)} weights for {len(self.tasks)} tasks; give one each.")
        if min(self.weights) < 0 or not 0 < sum(self.weights) < float("inf"):
            raise ConfigurationError(f"Weights are numbers from 0 on, not all 0; got {self.weights}.")

    def draw(self, generator: np.random.Generator) -> Task:
        """Return one of the tasks."""
        if not self.weights:
            return self.tasks[int(generator.integers(len(self.tasks)))]
        shares = np.array(self.weights) / sum(self.weights)
        return self.tasks[int(generator.choice(len(self.tasks), p=shares))]


@dataclass(frozen=True)
class DrawnBy:
    """Tasks made by a function, such as a procedural family.

    Attributes:
        function: from a generator to a task; it draws from nothing else.
    """

    function: Callable[[np.random.Generator], Task]

    def draw(self, generator: np.random.Generator) -> Task:
        """Return what the function makes of `generator`."""
        return self.function(generator)


def task_distribution(
    tasks: TaskDistribution | Sequence[Task] | Callable[[np.random.Generator], Task],
) -> TaskDistribution:
    """Return the distribution that `tasks` is, or means: all of a sequence equally often, or a function's.

    Raises:
        ConfigurationError: it is none of these.
    """
    if isinstance(tasks, Sequence):
        wrong = [task for task in tasks if not isinstance(task, Task)]
        if wrong:
            raise ConfigurationError(f"{wrong[0]!r} is not a task; make it one with nasgym.tasks.make_task.")
        return WeightedTasks(tuple(tasks))
    if hasattr(tasks, "draw"):
        return tasks
    if callable(tasks):
        return DrawnBy(tasks)
    raise ConfigurationError(
        f"tasks is a sequence of tasks, a function from a generator to a task, or something with draw(); got {tasks!r}."
    )
