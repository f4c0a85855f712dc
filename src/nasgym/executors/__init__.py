"""Executors: where evaluations run, all behind `concurrent.futures.Executor`."""

from nasgym.executors.evaluations import Evaluations, lost_worker
from nasgym.executors.local import InProcessExecutor, local_executor, usable_cores
from nasgym.executors.workforce import Calls, Lost, Workforce

__all__ = [
    "Calls",
    "Evaluations",
    "InProcessExecutor",
    "Lost",
    "Workforce",
    "local_executor",
    "lost_worker",
    "usable_cores",
]
