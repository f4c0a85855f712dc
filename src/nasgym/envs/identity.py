"""When two tasks are the same to an environment."""

from nasgym.tasks import Budget, Fidelity, Task

Identity = tuple[str, tuple[int, int, int], int, Budget, Fidelity, int]


def identity(task: Task) -> Identity:
    """Return what decides all rewards and masks on `task`; equal for tasks that an environment cannot tell apart."""
    return (task.fingerprint, task.input_shape, task.n_classes, task.budget, task.fidelity, task.evaluation_seed)
