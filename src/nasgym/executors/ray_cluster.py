"""Workers on a Ray cluster, or on a Ray that is started on this machine alone. `pip install nasgym[ray]`.

Ray itself is imported when an executor is made.
"""

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nasgym.core.errors import NasgymError
from nasgym.data import ImageDataset
from nasgym.evaluation.resident import Resident
from nasgym.executors.local import usable_cores
from nasgym.executors.parcels import Parcel
from nasgym.executors.ray_desk import RayDesk
from nasgym.executors.workers import WorkerExecutor, WorkerLostError
from nasgym.tasks import ImageTask

LOCAL = "local"
"""Address of a Ray that is started for one executor, on this machine alone, and ends with it."""
QUIET = {"RAY_DEDUP_LOGS_SKIP_REGEX": ".*"}
"""What Ray reads when it is imported: nothing of its logs goes to the standard output of this process."""
LOOPBACK_ONLY = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""As above: it binds to the loopback interface, so that no other machine reaches it."""
CONNECTING_SECONDS = 10.0
"""For how long an address is tried."""


class RayError(NasgymError):
    """Ray is not installed, cannot be reached, or has no room for a worker."""


@dataclass(frozen=True, slots=True)
class RaySettings:
    """Where Ray is, and what each worker takes of it.

    Attributes:
        address: of a running cluster: `auto` for the one this machine belongs to, `HOST:PORT`, `ray://HOST:PORT`;
            `LOCAL` to start one.
        cpus: processor cores of a worker.
        gpus: GPUs of a worker; 0.25 puts four of them on one.
    """

    address: str = LOCAL
    cpus: float = 1.0
    gpus: float = 0.0


def ray_executor(workers: int | None, settings: RaySettings | None = None) -> "RayExecutor":
    """Return an executor on Ray.

    A Ray that this process has connected to already is used, and left running; else it ends with the executor.

    Args:
        workers: at most so many at once; `None` for as many as there is room for now.
        settings: where, and what each takes.

    Raises:
        RayError: Ray is not installed, cannot be reached, or no node has room for one worker.
    """
    settings = settings or RaySettings()
    ours = _connect(settings, workers)
    try:
        room = _room(settings)
    except RayError:
        _disconnect(ours)
        raise
    return RayExecutor(room if workers is None else workers, settings, ours=ours)


class RayExecutor(WorkerExecutor):
    """Makes calls on Ray actors. Where there is no room for as many as were asked for, others do the work.

    Args:
        workers: at most so many at once.
        settings: what each takes.
        ours: whether Ray ends with this executor.
    """

    def __init__(self, workers: int, settings: RaySettings, *, ours: bool) -> None:
        shelf = _Shelf()
        super().__init__(workers, lambda: RayWorker(settings, shelf))
        self.workers = workers
        self._ours = ours

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no further calls, and let the workers end once none is waiting."""
        super().shutdown(wait, cancel_futures=cancel_futures)
        if wait:
            self._end()

    def kill(self) -> None:
        """Stop at once: workers are killed in the middle of what they do."""
        super().kill()
        self._end()

    def _end(self) -> None:
        ours, self._ours = self._ours, False
        _disconnect(ours)


class RayWorker:
    """An actor: a process on any node of the cluster.

    Args:
        settings: what it takes.
        shelf: what workers keep, in Ray's object store.
    """

    def __init__(self, settings: RaySettings, shelf: "_Shelf") -> None:
        import ray

        self._shelf = shelf
        self._killed = threading.Event()
        actor = ray.remote(num_cpus=settings.cpus, num_gpus=settings.gpus, max_restarts=0)(RayDesk)
        self._actor: Any = actor.remote(sys.path)
        self._process: tuple[str, int] | None = None

    def get_ready(self) -> None:
        """Wait until there is room for the actor and it has started.

        Raises:
            WorkerLostError: it ended first.
        """
        self._process = self._get(self._actor.process.remote())

    def make(self, parcel: Parcel) -> bytes:
        """Have the actor make a call; return the answer.

        What it has to keep is put into the object store once, from where every node fetches it once.

        Raises:
            WorkerLostError: it ended, or was killed.
        """
        for dataset in _datasets(parcel.residents):
            if not self._get(self._actor.has.remote(dataset.folder)):
                self._get(self._actor.receive.remote(dataset.folder, self._shelf.files(dataset.folder)))
        names = [resident.name for resident in parcel.residents]
        contents = [self._shelf.content(resident) for resident in parcel.residents]
        answer: bytes = self._get(self._actor.make.remote(parcel.call, names, parcel.dropped, *contents))
        return answer

    def kill(self) -> None:
        """End the actor at once, also one that is stopped."""
        import ray

        self._killed.set()
        if not ray.is_initialized():
            return
        ray.kill(self._actor)
        if self._process is not None and self._process[0] == ray.get_runtime_context().get_node_id():
            _kill_process(self._process[1])

    def close(self) -> None:
        """End the actor, now that it makes no call."""
        self.kill()

    def _get(self, reference: Any) -> Any:
        import ray

        try:
            while not ray.wait([reference], timeout=1.0)[0]:
                if self._killed.is_set():
                    raise WorkerLostError("A Ray actor was killed before it started.")
            return ray.get(reference)
        except ray.exceptions.RayActorError as error:
            raise WorkerLostError(_in_a_line(error)) from error


class _Shelf:
    """What workers keep, put into Ray's object store when the first of them needs it."""

    def __init__(self) -> None:
        self._references: dict[str, Any] = {}
        self._lock = threading.Lock()

    def content(self, resident: Resident[Any]) -> Any:
        """Return a reference to the pickled value."""
        return self._reference(resident.name, lambda: resident.content)

    def files(self, folder: Path) -> Any:
        """Return a reference to the files of a data set by name."""
        return self._reference(str(folder), lambda: {file.name: file.read_bytes() for file in folder.iterdir()})

    def _reference(self, name: str, read: Callable[[], object]) -> Any:
        import ray

        with self._lock:
            if name not in self._references:
                self._references[name] = ray.put(read())
            return self._references[name]


def _datasets(residents: tuple[Resident[Any], ...]) -> list[ImageDataset]:
    return [resident.value.dataset for resident in residents if isinstance(resident.value, ImageTask)]


def _connect(settings: RaySettings, workers: int | None) -> bool:
    """Connect this process to Ray; return whether it was not connected before."""
    local = settings.address == LOCAL
    with _environment(QUIET | (LOOPBACK_ONLY if local else {})), _signals_kept():
        try:
            import ray
        except ImportError as error:
            raise RayError(f"Ray is needed and cannot be imported ({error}): pip install 'nasgym[ray]'.") from error
        if ray.is_initialized():
            return False
        logging.getLogger("ray").setLevel(logging.CRITICAL)  # what matters of it is raised
        _knock(settings.address)
        try:
            ray.init(
                settings.address,
                num_cpus=max(workers or 0, usable_cores()) if local else None,
                include_dashboard=False if local else None,
                log_to_driver=False,
                configure_logging=False,
            )
        except (ConnectionError, ValueError, RuntimeError, TimeoutError) as error:
            raise RayError(f"No Ray at {settings.address!r}: {_in_a_line(error)}") from error
    return True


def _knock(address: str) -> None:
    """Look whether anybody listens at `HOST:PORT`: Ray would end this process if not.

    Raises:
        RayError: nobody does.
    """
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon:
        return
    try:
        socket.create_connection((host, int(port)), CONNECTING_SECONDS).close()
    except (OSError, ValueError) as error:
        raise RayError(f"No Ray at {address!r}: {error}. Give auto, HOST:PORT or ray://HOST:PORT.") from error


def _disconnect(ours: bool) -> None:
    if ours:
        import ray

        ray.shutdown()


def _room(settings: RaySettings) -> int:
    """Return for how many workers the nodes have room.

    Raises:
        RayError: not even for one.
    """
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]  # untyped in Ray
    room = 0
    for node in nodes:
        per_kind = [node.get("CPU", 0.0) / settings.cpus] if settings.cpus else []
        if settings.gpus:
            per_kind.append(node.get("GPU", 0.0) / settings.gpus)
        room += int(min(per_kind, default=1))
    if not room:
        has = "; ".join(f"{node.get('CPU', 0):g} CPUs, {node.get('GPU', 0):g} GPUs" for node in nodes)
        raise RayError(
            f"No node of Ray has room for a worker of {settings.cpus:g} CPU(s) and {settings.gpus:g} GPU(s); "
            f"they have: {has}. Ask for less per worker."
        )
    return room


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Set environment variables that are not set, for Ray to read and its processes to inherit."""
    new = {name: value for name, value in values.items() if name not in os.environ}
    os.environ.update(new)
    try:
        yield
    finally:
        for name in new:
            del os.environ[name]


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Take back what Ray does about a request to terminate: the caller's own way of ending stays."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _kill_process(process: int) -> None:
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return


def _in_a_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
