"""Executors: where evaluations run, all behind `concurrent.futures.Executor`."""

from nasgym.executors.evaluations import Evaluations, lost_worker
from nasgym.executors.local import InProcessExecutor, ProcessWorker, local_executor, usable_cores
from nasgym.executors.patience import Patience
from nasgym.executors.workers import LOSSES, NoWorkerError, Work, Worker, WorkerExecutor, WorkerLostError
from nasgym.executors.workforce import Calls, Hung, Lost, Workforce

__all__ = [
    "LOSSES",
    "Calls",
    "Evaluations",
    "Hung",
    "InProcessExecutor",
    "Lost",
    "NoWorkerError",
    "Patience",
    "ProcessWorker",
    "Work",
    "Worker",
    "WorkerExecutor",
    "WorkerLostError",
    "Workforce",
    "local_executor",
    "lost_worker",
    "usable_cores",
]
