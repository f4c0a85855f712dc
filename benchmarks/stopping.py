"""What a rule for stopping saves in real trainings: the networks of the gate, with and without the rule, in turn.

    python -m benchmarks.stopping --data FOLDER

The floor is what a linear model reaches on the validation images, from the table of the gate. Processor time of one
thread.
"""

import argparse
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.fidelity import DEFAULT, SAMPLES, SIDE, gate_task, networks
from benchmarks.fidelity_table import read_table
from benchmarks.reporting import Figure, arguments, publish
from nasgym.architectures import Architecture
from nasgym.evaluation import Completed, EvaluationRequest
from nasgym.evaluation.stopping import Stopping
from nasgym.evaluation.training import TrainingEstimator
from nasgym.tasks import Fidelity, ImageTask

EPOCHS = DEFAULT.search.epochs


def saved(task: ImageTask, rule: Stopping, chosen: Sequence[Architecture]) -> Iterator[Figure]:
    """Train `chosen` for the default epochs with and without `rule`; yield seconds, networks given up, and mistakes."""
    plain, watched = (TrainingEstimator(DEFAULT, device="cpu", threads=1, stopping=one) for one in (None, rule))
    seconds, answers = {plain: 0.0, watched: 0.0}, {plain: list[Completed](), watched: list[Completed]()}
    for architecture in chosen:
        request = EvaluationRequest(architecture, task, Fidelity(EPOCHS, SIDE, SAMPLES), seed=0)
        for estimator in (plain, watched):
            started = time.process_time()
            outcome = estimator.evaluate(request)
            seconds[estimator] += time.process_time() - started
            if isinstance(outcome, Completed):
                answers[estimator].append(outcome)
    given_up = [len(answer.metrics.train_losses) < EPOCHS for answer in answers[watched]]
    wrongly = [one and whole.accuracy >= rule.floor for one, whole in zip(given_up, answers[plain], strict=True)]
    yield Figure(f"{task.name}: processor time with the rule", seconds[watched], "s", seconds[plain])
    yield Figure(f"{task.name}: given up", sum(given_up), "networks", len(chosen))
    yield Figure(
        f"{task.name}: given up that would have reached {rule.floor:.2f}", sum(wrongly), "networks", len(chosen)
    )


def main() -> None:
    """Read the arguments, measure, report."""
    parser = arguments("stopping", __doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("NASGYM_SHARED_DATA", "../shared/data")))
    parser.add_argument("--cache", type=Path, default=None, help="folder for decoded images")
    parser.add_argument("--networks", type=int, default=16)
    options = parser.parse_args()
    figures: list[Figure] = []
    for name, floor in read_table().linear.items():
        task = gate_task(name, options.data, options.cache)
        figures += saved(task, Stopping(floor), networks(64)[: options.networks])
    publish("stopping", figures, seeds=[0], json_file=options.json)


if __name__ == "__main__":
    main()
