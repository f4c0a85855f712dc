"""Executors: where evaluations run, all behind `concurrent.futures.Executor`."""

from nasgym.executors.evaluations import Evaluations
from nasgym.executors.local import InProcessExecutor, close_executor, local_executor, usable_cores

__all__ = ["Evaluations", "InProcessExecutor", "close_executor", "local_executor", "usable_cores"]
