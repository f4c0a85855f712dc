"""Kills meta-trainings at random moments, and compares what they end with to an undisturbed one.

    python tests/experiments/meta_kills.py [--kills 100]

Each round trains on a small table, is killed (SIGKILL) at random moments until it has had its share, and is then left
alone. Prints a line a round; the exit code is 1 if anything was lost or differs.
"""

import argparse
import multiprocessing
import os
import random
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from safetensors.numpy import load_file

sys.path.insert(0, str(Path(__file__).parents[1]))

from meta_samples import settings, small_table
from nasgym.experiments.meta.config import make_meta_config
from nasgym.experiments.meta.surroundings import MetaSurroundings
from nasgym.experiments.meta.training import meta_train

KILLS_A_ROUND = 20
STEPS = 4000


def train(folder: Path, table: Path) -> None:
    """Train in `folder`; checkpoints are written as often as possible."""
    os.nice(5)
    given = settings(table, steps=STEPS, evaluate_every=1500, checkpoint_every=0.001)
    given["run"] |= {"store": str(folder / "store.sqlite"), "out": str(folder / "out")}
    meta_train(make_meta_config(given), "small", MetaSurroundings(""))


def killed(run: Callable[..., None], arguments: tuple[object, ...], kills: int, moments: random.Random) -> int:
    """Run in a process that is killed at random moments, then to its end; return how often it was killed."""
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["nasgym.experiments.meta.training", "nasgym.agents.bridges.native"])
    done = 0
    while True:
        process = server.Process(target=run, args=arguments)
        process.start()
        process.join(timeout=moments.uniform(0.2, 1.5) if done < kills else 600)
        if process.exitcode is not None:
            if process.exitcode:
                raise SystemExit(f"the training ended with {process.exitcode}")
            return done
        process.kill()
        process.join()
        done += 1


def weights(folder: Path) -> dict[str, bytes]:
    """Return the bits of both policies."""
    return {
        f"{name} {key}": value.tobytes()
        for name in ("policy", "last")
        for key, value in load_file(folder / "out" / f"{name}.safetensors").items()
    }


def main() -> int:
    """Kill, compare, and say how it went."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100, help="in all")
    wanted = parser.parse_args().kills
    moments, total, failures = random.Random(0), 0, 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table = folder / "small.table"
        small_table(table)
        killed(train, (folder / "undisturbed", table), 0, moments)
        truth, number = weights(folder / "undisturbed"), 0
        while total < wanted:
            number += 1
            kills = killed(train, (folder / str(number), table), min(KILLS_A_ROUND, wanted - total), moments)
            total += kills
            same = weights(folder / str(number)) == truth
            failures += not same
            verdict = "the same weights, bit for bit" if same else "OTHER WEIGHTS"
            print(f"round {number}: {kills} kills, {total} in all: {verdict}", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
