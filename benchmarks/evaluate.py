"""Networks an hour, from a cold process to the last committed row, against two ways of writing it with PyTorch.

64 frozen networks (`benchmarks.evaluate_networks`), 2,000 training and 1,000 validation images of CIFAR-10 at 32 px,
3 epochs of the default recipe, batch 32. B1 and B2 are `benchmarks.baseline_pytorch`; ours is
`benchmarks.evaluate_nasgym`. Each side is a process of its own, timed from its start to its end; B1 runs with the
number of loader workers, of 0, 1 and 2, that is quickest on a few networks. The median is that of the ratios of
single networks, a process's seconds divided by the number of processes.

On a machine with other work `--processor-time` counts processor seconds instead of seconds by the clock, one thread in
every process: that is B1 as if torch's threads gained everything that two can, and so the least ratio there can be.

    python -m benchmarks.evaluate --data FOLDER [--networks 64] [--processor-time] [--json FILE]
"""

import hashlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.evaluate_networks import FILE, SEED, cifar
from benchmarks.reporting import Figure, Goal, arguments, publish
from nasgym.data import Part
from nasgym.tasks import ImageTask

NETWORKS_SHA256 = "bf32401eb0a24fbb46c04579b156cf30c5221983cff385f7bfc27d2c60e3e1d8"
"""Of `evaluate_networks.json`: ratios compare only on the same list."""
PILOT = (8, 24, 40)
"""Networks, by cost, on which B1's number of loader workers is chosen."""


@dataclass(frozen=True)
class Side:
    """What one side did.

    Attributes:
        seconds: from the start of its process to the end.
        processor: seconds of processor time, of all its processes.
        accuracies: by network.
        single: seconds by network, as if it had had the machine for itself.
        single_processor: processor seconds by network.
    """

    seconds: float
    processor: float
    accuracies: dict[str, float]
    single: dict[str, float]
    single_processor: dict[str, float]


def run(networks: list[str], folder: Path, module: str, *extra: str, processes: int) -> Side:
    """Run one side on `networks` in a fresh process."""
    (folder / "networks.json").write_text(json.dumps(networks), encoding="utf-8")
    images = [folder / "images.npz"] if module == "baseline_pytorch" else []
    places = [str(file) for file in (*images, folder / "networks.json", folder / "out")]
    command = [sys.executable, "-m", f"benchmarks.{module}", *places, *extra]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    subprocess.run(command, check=True)
    seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    rows = json.loads((folder / "out").read_text(encoding="utf-8"))
    return Side(
        seconds,
        after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        {text: accuracy for text, accuracy, _, _ in rows},
        {text: took / processes for text, _, took, _ in rows},
        {text: took for text, _, _, took in rows},
    )


def export(task: ImageTask, file: Path) -> None:
    """Write the images for the baselines."""
    np.savez(
        file,
        train=task.images(Part.TRAIN),
        train_labels=task.labels(Part.TRAIN),
        validation=task.images(Part.VALIDATION),
        validation_labels=task.labels(Part.VALIDATION),
    )


def fastest_loaders(everything: list[str], folder: Path) -> list[str]:
    """Return the setting of loader workers with which B1 is quickest."""
    pilot = [everything[number] for number in PILOT]

    def seconds(n: int) -> float:
        return run(pilot, folder, "baseline_pytorch", "--loaders", str(n), processes=1).seconds

    return ["--loaders", str(min(range(3), key=seconds))]


def figures(ours: Side, b1: Side, b2: Side, networks: list[str], *, by_processor: bool) -> list[Figure]:
    """Return what is published."""
    rows = []
    for name, other, least in (("B1", b1, 6.0), ("B2", b2, 1.6)):
        unit = "networks/core-h" if by_processor else "networks/h"
        per_hour = [3600 * len(networks) / (side.processor if by_processor else side.seconds) for side in (ours, other)]
        rows.append(Figure(f"sum, against {name}", per_hour[0], unit, per_hour[1], Goal("ratio", "at least", least)))
        ratio = statistics.median(
            other.single_processor[text] / ours.single_processor[text]
            if by_processor
            else other.single[text] / ours.single[text]
            for text in networks
        )
        rows.append(Figure(f"median of single networks, against {name}", ratio, "times", 1.0))
        mine, theirs = (100 * statistics.mean(side.accuracies[text] for text in networks) for side in (ours, other))
        rows.append(Figure(f"mean accuracy, against {name}", mine, "%", theirs))
        rows.append(
            Figure(
                f"difference of accuracy to {name}", abs(mine - theirs), "points", goal=Goal("value", "at most", 0.5)
            )
        )
    return rows


def main() -> None:
    """Read the arguments, measure, report."""
    parser = arguments("evaluate", __doc__)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("NASGYM_SHARED_DATA", "../shared/data")))
    parser.add_argument("--cache", type=Path, default=None, help="folder for decoded images")
    parser.add_argument("--networks", type=int, default=64, help="how many of the 64, evenly by cost")
    parser.add_argument("--processor-time", action="store_true", help="count processor time, one thread a process")
    options = parser.parse_args()
    content = FILE.read_bytes()
    if hashlib.sha256(content).hexdigest() != NETWORKS_SHA256:
        raise SystemExit(f"{FILE} is not the frozen list.")
    everything = [row["architecture"] for row in json.loads(content)]
    count = min(options.networks, len(everything))
    networks = [everything[(2 * number + 1) * len(everything) // (2 * count)] for number in range(count)]
    cached = [] if options.cache is None else ["--cache", str(options.cache)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        export(cifar(options.data, options.cache), folder / "images.npz")
        settings = ["--threads", "1"] if options.processor_time else fastest_loaders(everything, folder)
        own = ["--data", str(options.data), *cached, "--workers", "0" if options.processor_time else "2"]
        ours = run(networks, folder, "evaluate_nasgym", *own, processes=2)
        b2 = run(networks, folder, "baseline_pytorch", "--fast", processes=2)
        b1 = run(networks, folder, "baseline_pytorch", *settings, processes=1)
    print(f"B1 with {' '.join(settings)}; {count} networks; list {NETWORKS_SHA256[:16]}")
    publish(
        "evaluate",
        figures(ours, b1, b2, networks, by_processor=options.processor_time),
        seeds=(SEED,),
        json_file=options.json,
    )


if __name__ == "__main__":
    main()
