"""What the tests of executors have called in workers, which import it by name."""

import ctypes
import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

from nasgym.architectures import parse_architecture
from nasgym.evaluation import Completed, EvaluationRequest, Metrics, Outcome
from nasgym.evaluation.resident import Resident
from nasgym.networks.profiles import DEFAULT, NetworkProfile
from nasgym.tasks import Fidelity, Task

TASK = Task("shapes", "0" * 16, (32, 32, 3), 10, fidelity=Fidelity(epochs=1))


def request(text: str, task: Task = TASK) -> EvaluationRequest:
    return EvaluationRequest.of(parse_architecture(text), task)


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def segfault() -> None:
    ctypes.string_at(0)


def leave() -> None:
    os._exit(3)


def stop() -> None:
    """Hang as hard as a process can: not even its other threads go on."""
    os.kill(os.getpid(), signal.SIGSTOP)


ENDS = {"killed": killed, "segfault": segfault, "exit": leave}


def die_at_first(times: int, folder: Path, how: str) -> int:
    """End this process unless that has happened so often; return how often."""
    before = len(list(folder.iterdir()))
    if before < times:
        (folder / f"{before}").touch()
        ENDS[how]()
    return before


def hang_at_first(times: int, folder: Path) -> int:
    """Hang unless that has happened so often; return how often."""
    before = len(list(folder.iterdir()))
    if before < times:
        (folder / f"{before}").touch()
        stop()
    return before


def sleep(seconds: float) -> str:
    time.sleep(seconds)
    return "slept"


def touch_slowly(path: Path) -> None:
    path.touch()
    time.sleep(0.3)


def divide(a: int, b: int) -> float:
    return a / b


def process() -> int:
    return os.getpid()


def unpicklable() -> object:
    return lambda: None


class Noted:
    """Writes down in a file, which it does not belong to, each time that it is unpickled."""

    def __init__(self, journal: Path, content: int = 0) -> None:
        self.journal, self.content = journal, content

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        with self.journal.open("a") as file:
            file.write(f"{os.getpid()} {self.content}\n")


def content(noted: Resident[Noted], factor: int) -> int:
    return noted.value.content * factor


@dataclass
class Measured:
    """Accuracy is the number of layers over ten; `conv5` ends its worker, `avgpool3` hangs, `maxpool3` is a bug."""

    fingerprint: str = "measured"
    profile: NetworkProfile = DEFAULT
    seconds: float = 0.01
    asked: list[str] = field(default_factory=list)

    def evaluate(self, request: EvaluationRequest) -> Outcome:
        text = str(request.architecture)
        self.asked.append(text)
        if "conv5" in text:
            segfault()
        if "avgpool3" in text:
            stop()
        if "maxpool3" in text:
            raise ZeroDivisionError("a bug in the estimator")
        time.sleep(self.seconds)
        return Completed(len(request.architecture) / 10, Metrics(seconds=self.seconds))


@dataclass
class Counting(Measured):
    """Accuracy is the number of requests that this very estimator has answered, over a hundred."""

    def evaluate(self, request: EvaluationRequest) -> Outcome:
        super().evaluate(request)
        return Completed(len(self.asked) / 100)
