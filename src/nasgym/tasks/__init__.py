"""Tasks: a data set with its split, resolution, budget and default fidelity."""

from nasgym.tasks.task import Budget, Fidelity, Task

__all__ = ["Budget", "Fidelity", "Task"]
