"""Our side of `benchmarks.evaluate`: a cold process, workers, a store; ends when the last outcome is committed.

`python -m benchmarks.evaluate_nasgym NETWORKS.json RESULT.json --data FOLDER [--cache FOLDER] [--profile NAME]
[--workers N]`
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

from benchmarks.evaluate_networks import cifar
from nasgym.architectures import Architecture, format_architecture, parse_architecture
from nasgym.evaluation import Completed, EvaluationRequest
from nasgym.evaluation.recipes import training_profile
from nasgym.evaluation.training import TrainingEstimator
from nasgym.executors import Evaluations, Workforce, local_executor
from nasgym.networks.plan import plan
from nasgym.store import open_store
from nasgym.tasks import Fidelity


def main() -> None:
    """Evaluate, dearest networks first, and write (architecture, accuracy, seconds, own processor seconds)."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evaluate_nasgym", description=__doc__)
    parser.add_argument("networks", type=Path, help="JSON list of architectures")
    parser.add_argument("result", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--profile", default="default")
    parser.add_argument("--workers", type=int, default=2, help="0: everything in this process")
    options = parser.parse_args()
    task = cifar(options.data, options.cache)
    profile = training_profile(options.profile)
    estimator = TrainingEstimator(profile, device="cpu", threads=1)

    def cost(architecture: Architecture) -> int:
        return plan(architecture, task.input_shape, task.n_classes, profile.network).flops

    texts = json.loads(options.networks.read_text(encoding="utf-8"))
    ordered = sorted((parse_architecture(text) for text in texts), key=cost, reverse=True)
    results = []
    with (
        tempfile.TemporaryDirectory() as folder,
        open_store(Path(folder) / "store.db") as store,
        Workforce(lambda: local_executor(options.workers)) as workforce,
    ):
        evaluations = Evaluations(estimator, workforce)
        processor = []
        for number, architecture in enumerate(ordered):
            before = time.process_time()
            evaluations.start(number, EvaluationRequest(architecture, task, Fidelity(3, 32), 0))
            processor.append(time.process_time() - before)
        while len(evaluations):
            for number, request, outcome in evaluations.finished():
                store.put(request, request.key(estimator), outcome)
                accuracy = outcome.accuracy if isinstance(outcome, Completed) else 0.0
                text = format_architecture(request.architecture)
                results.append((text, accuracy, outcome.metrics.seconds, processor[number]))
    options.result.write_text(json.dumps(results), encoding="utf-8")


if __name__ == "__main__":
    main()
