"""Kills, forks, crowds, locks, read-only files and full disks: nothing finished is lost, and errors say what to do."""

import multiprocessing
import os
import resource
import signal
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import URL, Engine, event

from nasgym.core.errors import StoreError
from nasgym.core.randomness import stream
from nasgym.evaluation import Completed, Failed, FailureKind, Metrics
from nasgym.store import Store, StoredEvaluation, database, open_store
from nasgym.store.sql import SqlStore
from nasgym.testing.stores import request_and_key
from unprivileged import error_without_rights

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


@contextmanager
def every_connection(setting: str) -> Iterator[None]:
    """Give every new SQLite connection a PRAGMA that makes SQLite itself fail as a full or read-only disk would."""

    def prepare(connection: sqlite3.Connection, record: object) -> None:
        connection.execute(f"PRAGMA {setting}")

    event.listen(Engine, "connect", prepare)
    try:
        yield
    finally:
        event.remove(Engine, "connect", prepare)


def put(store: Store, seed: int, accuracy: float = 0.5) -> None:
    request, key = request_and_key(seed=seed)
    store.put(request, key, Completed(accuracy))


def seeds(store: Store) -> list[int]:
    return [row.key.seed for row in store.evaluations()]


def fork(work: Callable[[], None]) -> int:
    child = os.fork()
    if child:
        return child
    try:
        work()
    finally:
        os._exit(0)


def put_and_report(file: Path, first: int, pipe: int) -> None:
    with open_store(file, create=False) as store:
        for seed in range(first, first + 1_000_000):
            put(store, seed)
            os.write(pipe, f"{seed}\n".encode())


def add_pages(file: Path, first: int, pipe: int) -> None:
    request, key = request_and_key()
    with open_store(file, create=False) as store:
        for start in range(first, first + 1_000_000, 50):
            store.add(
                [
                    StoredEvaluation.of(request, replace(key, seed=seed), Completed(0.5))
                    for seed in range(start, start + 50)
                ]
            )
            os.write(pipe, f"{start}\n".encode())


def kill_at(delay: float, work: Callable[[int], None]) -> list[int]:
    """Return what `work` reported on a pipe before it was killed after `delay` seconds."""
    receiving, sending = os.pipe()
    child = fork(lambda: work(sending))
    os.close(sending)
    time.sleep(delay)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with os.fdopen(receiving) as reports:
        return [int(line) for line in reports.read().splitlines(keepends=True) if line.endswith("\n")]


@needs_fork
def test_twenty_kills_at_random_moments_lose_no_outcome_that_was_put(store_file: Path) -> None:
    open_store(store_file).close()
    delays = stream(0, "kills").uniform(0, 0.12, 20)
    promised: list[int] = []
    for number, delay in enumerate(delays):
        first = 1_000_000 * number
        promised += kill_at(float(delay), lambda pipe, first=first: put_and_report(store_file, first, pipe))
        with open_store(store_file, create=False) as store:
            found = seeds(store)
        assert set(promised) <= set(found)
        assert len(set(found)) == len(found) <= len(promised) + number + 1
    assert len(promised) > 100
    check = sqlite3.connect(store_file)
    assert check.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    check.close()


@needs_fork
def test_rows_added_together_are_there_together_after_a_kill(store_file: Path) -> None:
    open_store(store_file).close()
    for number, delay in enumerate(stream(1, "kills").uniform(0.02, 0.1, 6)):
        kill_at(float(delay), lambda pipe, first=10_000_000 * number: add_pages(store_file, first, pipe))
    with open_store(store_file, create=False) as store:
        count = len(seeds(store))
    assert count > 0
    assert count % 50 == 0


@needs_fork
def test_four_forked_processes_with_overlapping_keys_lose_and_repeat_nothing(store: Store) -> None:
    put(store, -1)

    def work(worker: int) -> None:
        for seed in range(250 * worker, 250 * worker + 500):
            put(store, seed, accuracy=worker / 10)

    children = [fork(lambda worker=worker: work(worker)) for worker in range(4)]
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
    rows = [row for row in store.evaluations() if row.key.seed >= 0]
    assert sorted(row.key.seed for row in rows) == list(range(1250))
    for row in rows:
        writers = {worker / 10 for worker in range(4) if 250 * worker <= row.key.seed < 250 * worker + 500}
        assert row.accuracy in writers


def put_in_another_process(store: Store, seed: int) -> float:
    put(store, seed)
    outcome = store.get(request_and_key(seed=seed)[1])
    assert isinstance(outcome, Completed)
    return outcome.accuracy


def test_a_spawned_worker_gets_the_store_by_pickle(store: Store) -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(put_in_another_process, (store, 3)) == 0.5
    assert seeds(store) == [3]


@needs_fork
def test_a_store_used_before_a_fork_goes_on_in_parent_and_child(store: Store) -> None:
    put(store, 0)
    child = fork(lambda: put(store, 1))
    put(store, 2)
    assert os.waitpid(child, 0)[1] == 0
    put(store, 3)
    assert sorted(seeds(store)) == [0, 1, 2, 3]


def test_threads_share_a_store(store: Store) -> None:
    errors: list[StoreError] = []

    def work(worker: int) -> None:
        try:
            for seed in range(50 * worker, 50 * worker + 100):
                put(store, seed)
                store.get(request_and_key(seed=seed)[1])
        except StoreError as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sorted(seeds(store)) == list(range(250))


def test_a_locked_database_is_waited_for(store: Store, store_file: Path) -> None:
    other = sqlite3.connect(store_file, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.3, lambda: other.execute("COMMIT"))
    release.start()
    put(store, 0)
    release.join()
    other.close()
    assert seeds(store) == [0]


def test_a_database_that_stays_locked_is_an_error_that_names_it(store: Store, store_file: Path) -> None:
    put(store, 0)
    impatient = SqlStore(URL.create("sqlite", database=str(store_file)), busy_seconds=0.1)
    other = sqlite3.connect(store_file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(
        StoreError, match=r"store.sqlite: another process has kept it locked for 0.1 s: stop it, or try again"
    ):
        put(impatient, 1)
    assert seeds(impatient) == [0]
    other.execute("ROLLBACK")
    other.close()
    put(impatient, 1)
    assert seeds(store) == [0, 1]


def test_a_store_that_cannot_be_written_can_still_be_read(store: Store, store_file: Path) -> None:
    put(store, 0)
    with every_connection("query_only=ON"), open_store(store_file, create=False) as read_only:
        assert seeds(read_only) == [0]
        with pytest.raises(StoreError, match=r"store.sqlite: it cannot be written: allow writing to the file and its"):
            put(read_only, 1)


def put_into(path: Path) -> None:
    with open_store(path, create=False) as store:
        put(store, 1)


def test_a_file_without_write_permission_is_an_error_that_names_it() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.sqlite"
        with open_store(path) as store:
            put(store, 0)
        path.chmod(0o444)
        Path(folder).chmod(0o555)
        assert "store.sqlite: it cannot be written: allow writing" in error_without_rights(lambda: put_into(path))
        Path(folder).chmod(0o755)


def test_a_full_disk_is_an_error_and_what_was_finished_is_kept(store: Store, store_file: Path) -> None:
    def put_until_full(store: Store) -> None:
        for seed in range(10_000):
            put(store, seed)

    with every_connection("max_page_count=24"), open_store(store_file, create=False) as full:
        with pytest.raises(StoreError, match=r"store.sqlite: the disk is full: make room and go on, what was finished"):
            put_until_full(full)
        kept = len(seeds(full))
    put(store, kept)
    assert kept > 10
    assert seeds(store) == list(range(kept + 1))


@needs_fork
def test_a_disk_that_is_full_for_real_is_an_error_that_names_the_file(store: Store, store_file: Path) -> None:
    put(store, 0)

    def put_until_full() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
        try:
            with open_store(store_file, create=False) as limited:
                for seed in range(1, 100_000):
                    put(limited, seed)
        except StoreError as error:
            (store_file.parent / "said").write_text(str(error))

    store.close()
    os.waitpid(fork(put_until_full), 0)
    said = (store_file.parent / "said").read_text()
    assert said.startswith(f"Store {store_file}: the disk ")
    assert "what was finished is kept" in said
    kept = len(seeds(store))
    assert kept > 10
    put(store, kept)
    assert sorted(seeds(store)) == list(range(kept + 1))
    check = sqlite3.connect(store_file)
    assert check.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    check.close()


def test_a_value_that_no_database_holds_is_an_error_that_names_it(store: Store) -> None:
    request, key = request_and_key()
    with pytest.raises(StoreError, match=r"store.sqlite: a value cannot be kept \(.*int too large"):
        store.put(request, key, Completed(0.5, Metrics(flops=2**63)))
    with pytest.raises(StoreError, match=r"store.sqlite: a value cannot be kept \(.*surrogates not allowed"):
        store.put(request, key, Failed(FailureKind.DIVERGED, "\udcff"))
    assert store.get(key) is None


def test_a_damaged_file_is_an_error_that_names_it(store: Store, store_file: Path) -> None:
    for seed in range(200):
        put(store, seed)
    store.close()
    content = bytearray(store_file.read_bytes())
    content[4096 * 8 :] = b"\xff" * (len(content) - 4096 * 8)
    store_file.write_bytes(content)
    with pytest.raises(StoreError, match=r"store.sqlite: it is damaged: `sqlite3 FILE .recover` saves"):
        seeds(store)


def test_a_store_closed_opens_again_when_used(store: Store) -> None:
    put(store, 0)
    store.close()
    assert seeds(store) == [0]


def test_a_commit_flushes_to_the_disk_unless_the_last_flush_was_just_now(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = time.monotonic() + 100
    times = iter((start, start + 0.01, start + 0.04, start + 0.06, start + 3))
    flushes: list[str] = []

    def note(connection: object, cursor: object, statement: str, *_: object) -> None:
        if "synchronous" in statement:
            flushes.append(statement.partition("=")[2])

    event.listen(Engine, "before_cursor_execute", note)
    try:
        for seed in range(5):
            with monkeypatch.context() as patched:
                patched.setattr(database.time, "monotonic", lambda: next(times))
                put(store, seed)
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert flushes == ["FULL", "NORMAL", "NORMAL", "FULL", "FULL"]
