"""Steps a second of table-backed environments under random legal actions: one environment, and thousands at once.

    python -m benchmarks.env_step [--json FILE] [--quick]

Only `step` is timed, and of many environments at once only the time of its own thread: what the machine gives to others
does not count, so that the figures are those of one core. Steps in which an environment begins anew (mode `NextStep`)
are not counted. Each figure is the median over batches of steps. The tables hold the smallest networks of their space,
of graphs those that random walks meet, with accuracies from a generator.
"""

import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.reporting import Figure, Goal, arguments, publish
from benchmarks.synthetic_tables import synthetic_table
from nasgym.core.randomness import stream
from nasgym.envs import ArchitectureEnv, MetaEpisodes
from nasgym.envs.vector import make_vector_env
from nasgym.evaluation.tables import Table, TabularBenchmark

SEED = 0
FEW, MANY = 100, 1_000_000
MODES = ("NextStep", "SameStep")
SINGLE_GOAL = Goal("value", "at least", 100_000)
VECTOR_GOALS = {"one-hot": Goal("value", "at least", 2_000_000), "compact": Goal("value", "at least", 5_000_000)}
GRAPH_GOAL = Goal("value", "at least", 300_000)
SLOWER_GOAL = Goal("ratio", "at most", 1.5)


@dataclass(frozen=True)
class Bench:
    """How much is measured.

    Attributes:
        folder: where tables are kept.
        many: rows of the large table.
        graphs: rows of the table of graphs, whose canonical ids take long to make.
        n: environments at once.
        steps: steps of all environments, after a tenth of it to warm up.
        single_steps: steps of the single environment.
    """

    folder: Path
    many: int = MANY
    graphs: int = 100_000
    n: int = 4096
    steps: int = 400
    single_steps: int = 200_000


def legal_actions(mask: NDArray[np.int8], generator: np.random.Generator) -> NDArray[np.int64]:
    """Return a random legal action for each row of `mask`; any where none is legal."""
    return np.argmax(mask * (1 + generator.random(mask.shape, dtype=np.float32)), axis=1)


def vector_rate(bench: Bench, space: str, table: Table, mode: str, **settings: Any) -> tuple[float, float]:
    """Return steps a second of `bench.n` environments, and the mean length of their episodes."""
    task = table.tasks[0].task
    envs = make_vector_env(
        bench.n, space=space, task=task, estimator=TabularBenchmark(table), autoreset_mode=mode, **settings
    )
    generator = stream(SEED, "actions", space)
    _, infos = envs.reset(seed=SEED)
    rates, played, ends = [], 0, 0
    began = np.zeros(bench.n, dtype=np.bool_)
    for number in range(bench.steps + bench.steps // 10):
        actions = legal_actions(infos["action_mask"], generator)
        start = time.thread_time()
        *_, terminated, truncated, infos = envs.step(actions)
        seconds = time.thread_time() - start
        if number >= bench.steps // 10:
            counted = bench.n - (int(began.sum()) if mode == "NextStep" else 0)
            rates.append(counted / seconds)
            played += counted
            ends += int((terminated | truncated).sum())
        began = terminated | truncated
    return float(np.median(rates)), played / max(1, ends)


def single_rate(bench: Bench, table: Table, batch: int = 2000) -> float:
    """Return steps a second of one chain environment."""
    env = ArchitectureEnv(task=table.tasks[0].task, estimator=TabularBenchmark(table))
    generator = stream(SEED, "actions", "single")
    _, info = env.reset()
    rates = []
    for _ in range(bench.single_steps // batch):
        seconds = 0.0
        for _ in range(batch):
            action = int(legal_actions(info["action_mask"][np.newaxis], generator)[0])
            start = time.perf_counter()
            _, _, terminated, truncated, info = env.step(action)
            seconds += time.perf_counter() - start
            if terminated or truncated:
                _, info = env.reset()
        rates.append(batch / seconds)
    return float(np.median(rates))


def figures(bench: Bench) -> Iterator[Figure]:
    """Yield every figure; those of the small table come with those of the large one as baseline."""
    tables = {n: synthetic_table(bench.folder, "chain", n) for n in (FEW, bench.many)}
    alone = {n: single_rate(bench, table) for n, table in tables.items()}
    large = f"{bench.many:,} rows"
    yield Figure(f"chain, {large}: one environment", alone[bench.many], "steps/s", goal=SINGLE_GOAL)
    yield Figure(f"one environment: {FEW} rows over {large}", alone[FEW], "steps/s", alone[bench.many], SLOWER_GOAL)
    for observation, goal in VECTOR_GOALS.items():
        rates: dict[tuple[int, str], float] = {}
        for n_rows, table in tables.items():
            for mode in MODES:
                rates[n_rows, mode], length = vector_rate(bench, "chain", table, mode, observation=observation)
                if n_rows == bench.many:
                    name = f"chain, {large}: {bench.n} environments, {observation}, {mode}"
                    yield Figure(name, rates[n_rows, mode], "steps/s", goal=goal)
        few, many = rates[FEW, MODES[1]], rates[bench.many, MODES[1]]
        yield Figure(f"{observation}: {FEW} rows over {large}", few, "steps/s", many, SLOWER_GOAL)
    yield Figure("chain: mean length of an episode", length, "steps", goal=Goal("value", "at least", 4))
    for space, n_rows in (("cell201", 15_625), ("macro", 6_561)):
        table = synthetic_table(bench.folder, space, n_rows)
        for observation, goal in VECTOR_GOALS.items():
            rate, _ = vector_rate(bench, space, table, "SameStep", observation=observation)
            yield Figure(f"{space}: {bench.n} environments, {observation}", rate, "steps/s", goal=goal)
    graphs = synthetic_table(bench.folder, "multi-branch", bench.graphs)
    for observation in VECTOR_GOALS:
        rate, _ = vector_rate(bench, "multi-branch", graphs, "SameStep", observation=observation)
        name = f"multi-branch, {bench.graphs:,} rows: {bench.n} environments, {observation}"
        yield Figure(name, rate, "steps/s", goal=GRAPH_GOAL)
    meta = MetaEpisodes(episodes=20)
    for observation in VECTOR_GOALS:
        rate, _ = vector_rate(bench, "chain", tables[bench.many], "SameStep", observation=observation, meta=meta)
        yield Figure(f"chain, {large}: meta-episodes of 20, {observation}", rate, "steps/s")


def main() -> None:
    """Measure and publish."""
    parser = arguments("env_step", __doc__)
    parser.add_argument("--tables", type=Path, help="keep the tables in this folder, for another run")
    parser.add_argument("--quick", action="store_true", help="a small table and few steps: a test of the benchmark")
    given = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.tables or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        bench = Bench(folder)
        if given.quick:
            bench = Bench(folder, many=1000, graphs=300, n=256, steps=20, single_steps=4000)
        publish("env_step", list(figures(bench)), seeds=(SEED,), json_file=given.json)


if __name__ == "__main__":
    main()
