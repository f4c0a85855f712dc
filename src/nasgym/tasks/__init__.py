"""Tasks: a data set with its split, resolution, budget and default fidelity. Importing this package is light."""

from nasgym.tasks.baseline import BaselineScore, linear_baseline
from nasgym.tasks.description import TaskDescription, describe
from nasgym.tasks.distribution import TaskDistribution, WeightedTasks, task_distribution
from nasgym.tasks.image_task import ImageTask, make_task
from nasgym.tasks.task import Budget, Fidelity, Task

__all__ = [
    "BaselineScore",
    "Budget",
    "Fidelity",
    "ImageTask",
    "Task",
    "TaskDescription",
    "TaskDistribution",
    "WeightedTasks",
    "describe",
    "linear_baseline",
    "make_task",
    "task_distribution",
]
