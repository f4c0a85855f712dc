"""Networks per hour and seconds per evaluation: this process with one thread and with two, a pool of 2, Ray with 2.

Trains the same 24 networks of the chain space, each for three epochs of 1,000 real images, on every executor in turns,
so that what else the machine does hits all alike; workers are started and warm. The idle overhead is the time from
asking to answer of an estimator that answers at once. `--data` names any folder or archive of images; scikit-learn's
digits otherwise. About three minutes on two cores.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack
from dataclasses import dataclass, replace

from benchmarks.reporting import Figure, Goal, arguments, publish
from nasgym.architectures.spaces import load_space
from nasgym.core.randomness import stream
from nasgym.evaluation import Completed, Estimator, EvaluationRequest
from nasgym.evaluation.recipes import training_profile
from nasgym.evaluation.training import TrainingEstimator
from nasgym.executors import Evaluations, InProcessExecutor, Patience, Workforce, local_executor
from nasgym.executors.ray_cluster import ray_executor
from nasgym.strategies import Sampler
from nasgym.tasks import Fidelity, ImageTask, make_task
from nasgym.testing.closed_form import ClosedFormEstimator

SEED = 0
NETWORKS = 24
EPOCHS = 3
SAMPLES = 1000
WORKERS = 2
IDLE_CALLS = 300


@dataclass(frozen=True)
class Side:
    """One way to train networks.

    Attributes:
        name: of the executor.
        workforce: where.
        estimator: how.
    """

    name: str
    workforce: Workforce
    estimator: Estimator

    def run(self, requests: Sequence[EvaluationRequest]) -> tuple[float, list[float]]:
        """Evaluate all; return the seconds for everything, and those of each evaluation in its worker."""
        began = time.perf_counter()
        evaluations = Evaluations(self.estimator, self.workforce)
        for number, request in enumerate(requests):
            evaluations.start(number, request)
        each = []
        while len(evaluations):
            for _, _, outcome in evaluations.finished():
                assert isinstance(outcome, Completed), outcome
                each.append(outcome.metrics.seconds)
        return time.perf_counter() - began, each


def sample(task: ImageTask) -> list[EvaluationRequest]:
    """Return the networks to train, drawn at random."""
    sampler = Sampler(load_space("chain"), task, training_profile("default").network)
    draws = (sampler.draw(stream(SEED, "executors", number)) for number in range(NETWORKS))
    return [EvaluationRequest.of(network, task) for network in draws if network is not None]


def idle_seconds(make: Callable[[], Executor], request: EvaluationRequest) -> float:
    """Return the median seconds from asking to answer where the answer itself takes no time."""
    side = Side("idle", Workforce(make), ClosedFormEstimator())
    with side.workforce:
        side.run([request] * 10)
        return statistics.median(side.run([request])[0] for _ in range(IDLE_CALLS))


def longest_first(requests: Sequence[EvaluationRequest], patience: Patience) -> list[EvaluationRequest]:
    """Return the requests by predicted cost."""
    return sorted(requests, key=patience.work, reverse=True)


def measure(data: str, rounds: int) -> list[Figure]:
    """Return every figure of this benchmark."""
    profile = training_profile("default")
    task = make_task(data, fidelity=Fidelity(EPOCHS, 32, SAMPLES))
    one, two = (TrainingEstimator(profile, device="cpu", threads=threads) for threads in (1, 2))
    requests = sample(replace(task, evaluation_seed=SEED))
    ordered = longest_first(requests, Patience(profile.network))
    with ExitStack() as stack:
        here, pool, cluster = (
            stack.enter_context(Workforce(make))
            for make in (InProcessExecutor, lambda: local_executor(WORKERS), lambda: ray_executor(WORKERS))
        )
        sides = [
            (Side("serial, one thread", here, one), requests),
            (Side("pool of 2", pool, one), requests),
            (Side("serial, two threads", here, two), requests),
            (Side("Ray, 2 workers", cluster, one), requests),
            (Side("pool of 2, longest first", pool, one), ordered),
        ]
        for side, _ in sides:
            side.run(requests[: 2 * WORKERS])  # libraries and images are loaded
        walls: dict[str, list[float]] = {side.name: [] for side, _ in sides}
        delays: dict[str, list[float]] = {side.name: [] for side, _ in sides}
        for _ in range(rounds):
            for side, order in sides:
                wall, each = side.run(order)
                walls[side.name].append(wall)
                delays[side.name].extend(each)
    figures = _figures(walls, delays)
    for name, make in (("pool", lambda: local_executor(1)), ("Ray", lambda: ray_executor(1))):
        milliseconds = 1000 * idle_seconds(make, requests[0])
        figures.append(Figure(f"idle overhead, {name}", milliseconds, "ms", None, Goal("value", "at most", 5.0)))
    return figures


def _figures(walls: dict[str, list[float]], delays: dict[str, list[float]]) -> list[Figure]:
    rate = {name: 3600 * NETWORKS / statistics.median(seconds) for name, seconds in walls.items()}
    serial, pool, threads, cluster, ordered = rate
    compared = [
        (serial, serial, None),
        (threads, serial, None),
        (pool, serial, Goal("ratio", "at least", 1.8)),
        (pool, threads, Goal("ratio", "at least", 1.3)),
        (cluster, pool, Goal("ratio", "at least", 0.95)),
        (ordered, pool, None),
    ]
    figures = [
        Figure(f"{name}, against {other}", rate[name], "networks/h", rate[other], goal)
        for name, other, goal in compared
    ]
    return figures + [
        Figure(f"seconds of an evaluation, {name}", statistics.median(each), "s", statistics.median(delays[serial]))
        for name, each in delays.items()
    ]


def main() -> None:
    """Measure and publish."""
    parser = arguments("executors", __doc__)
    parser.add_argument("--data", default="digits", help="folder, archive or name of images")
    parser.add_argument("--rounds", type=int, default=3, help="times that every executor has its turn")
    given = parser.parse_args()
    publish("executors", measure(given.data, given.rounds), seeds=[SEED], json_file=given.json)


if __name__ == "__main__":
    main()
