"""How near the trainings of `benchmarks.evaluate` come to what the processor can do, on one core.

The floor of a training is the larger of two times: its counted FLOPs over the measured rate of bf16 matrix products,
and its counted bytes over the measured rate of copying. FLOPs: three times those of the plan for each training image
(forward, gradient of the inputs, gradient of the weights) and once for each validation image; the first convolution's
gradient of the inputs is counted though nobody needs it. Bytes: every feature map is written once and read once
forward, and read twice and written once backward, two bytes a number.

    python -m benchmarks.roofline --data FOLDER [--networks 16] [--json FILE]
"""

import json
import os
import statistics
import time
from collections.abc import Callable
from math import prod
from pathlib import Path

import torch

from benchmarks.evaluate_networks import FILE, SEED, cifar
from benchmarks.reporting import Figure, arguments, publish
from nasgym.architectures import parse_architecture
from nasgym.data import Part
from nasgym.evaluation import EvaluationRequest
from nasgym.evaluation.recipes import training_profile
from nasgym.evaluation.training import TrainingEstimator
from nasgym.networks.plan import Plan, plan
from nasgym.networks.profiles import DEFAULT
from nasgym.tasks import Fidelity

EPOCHS = 3
REPEATS = 3
MATRIX = 1024
COPIED = 1 << 26


def best(call: Callable[[], object], repeats: int) -> float:
    """Return the least processor time of a call, seconds."""
    times = []
    for _ in range(repeats):
        started = time.process_time()
        call()
        times.append(time.process_time() - started)
    return min(times)


def ceilings() -> tuple[float, float]:
    """Return FLOPs a second of a bf16 matrix product, and bytes a second, read and written, of a copy."""
    left, right = (torch.randn(MATRIX, MATRIX, dtype=torch.bfloat16) for _ in range(2))
    source = torch.zeros(COPIED, dtype=torch.uint8)
    target = torch.ones_like(source)
    return 2 * MATRIX**3 / best(lambda: left @ right, 20), 2 * COPIED / best(lambda: target.copy_(source), 10)


def counted(planned: Plan, n_train: int, n_validation: int) -> tuple[float, float]:
    """Return FLOPs and bytes of a training."""
    numbers = sum(prod(node.shape) for node in planned.nodes)
    passes = EPOCHS * (3 * n_train + n_validation)
    return float(passes * planned.flops), float(EPOCHS * (5 * n_train + 2 * n_validation) * 2 * numbers)


def main() -> None:
    """Read the arguments, measure, report."""
    parser = arguments("roofline", __doc__)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("NASGYM_SHARED_DATA", "../shared/data")))
    parser.add_argument("--cache", type=Path, default=None, help="folder for decoded images")
    parser.add_argument("--networks", type=int, default=16, help="how many of the 64, evenly by cost")
    options = parser.parse_args()
    torch.set_num_threads(1)
    task = cifar(options.data, options.cache)
    everything = [row["architecture"] for row in json.loads(FILE.read_text(encoding="utf-8"))]
    count = min(options.networks, len(everything))
    texts = [everything[(2 * number + 1) * len(everything) // (2 * count)] for number in range(count)]
    n_train, n_validation = len(task.labels(Part.TRAIN)), len(task.labels(Part.VALIDATION))
    estimator = TrainingEstimator(training_profile("default"), device="cpu", threads=1)
    flops, copied = ceilings()
    figures = [Figure("bf16 matrix product", flops / 1e9, "GFLOP/s"), Figure("copy", copied / 1e9, "GB/s")]
    shares, total, floor = [], 0.0, 0.0
    for text in texts:
        architecture = parse_architecture(text)
        work, traffic = counted(plan(architecture, task.input_shape, task.n_classes, DEFAULT), n_train, n_validation)
        request = EvaluationRequest(architecture, task, Fidelity(EPOCHS, 32), SEED)
        seconds, least = (
            best(lambda asked=request: estimator.evaluate(asked), REPEATS),
            max(work / flops, traffic / copied),
        )
        shares.append(100 * least / seconds)
        total, floor = total + seconds, floor + least
        figures.append(Figure(text, work / seconds / 1e9, "GFLOP/s", flops / 1e9))
    figures.append(Figure("share of the floor, median network", statistics.median(shares), "%"))
    figures.append(Figure("share of the floor, all networks", 100 * floor / total, "%"))
    publish("roofline", figures, seeds=(SEED,), json_file=options.json)


if __name__ == "__main__":
    main()
