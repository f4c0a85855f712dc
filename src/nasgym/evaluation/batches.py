"""Several requests at once, on any `concurrent.futures.Executor`; equal ones are evaluated once. No torch."""

from collections.abc import Sequence
from concurrent.futures import Executor, Future, as_completed
from dataclasses import replace

from nasgym.evaluation.evaluator import Evaluation, Evaluator
from nasgym.evaluation.outcome import Failed, FailureKind, Outcome
from nasgym.evaluation.request import EvaluationKey, EvaluationRequest
from nasgym.evaluation.resident import Luggage, evaluate_resident


def evaluate_batch(
    asked: Sequence[tuple[Evaluator, EvaluationRequest]], executor: Executor | None = None
) -> list[Evaluation]:
    """Return the evaluations of requests, in their order, as if they had been asked one after another.

    Args:
        asked: any requests, equal ones included, each with the evaluator to ask; evaluators with equal estimators
            share a cache.
        executor: where estimators run, all unknown requests at once; in this thread, one by one, if `None`. Workers of
            `nasgym.executors` keep estimators and tasks from one batch to the next.
    """
    if executor is None:
        return [evaluator.evaluate(request) for evaluator, request in asked]
    luggage: dict[int, Luggage] = {}
    running: dict[Future[Outcome], int] = {}
    started: set[EvaluationKey] = set()
    keys = [request.key(evaluator.estimator) for evaluator, request in asked]
    for number, ((evaluator, request), key) in enumerate(zip(asked, keys, strict=True)):
        hopeless = evaluator.feasibility(request.task).problem(request.architecture) is not None
        if not hopeless and key not in started and evaluator.cache.get(key) is None:
            packed = luggage.setdefault(id(evaluator.estimator), Luggage(evaluator.estimator)).arguments(request)
            running[executor.submit(evaluate_resident, *packed)] = number
            started.add(key)
    uncached: dict[EvaluationKey, Evaluation] = {}
    for future in as_completed(running):
        outcome = future.result()
        (evaluator, request), key = asked[running[future]], keys[running[future]]
        if isinstance(outcome, Failed) and outcome.kind is FailureKind.OVER_BUDGET:
            uncached[key] = Evaluation(outcome, key.architecture_id, from_store=False, reward=evaluator.reward(outcome))
        else:
            evaluator.cache.put(request, key, outcome)
    evaluations = []
    for (evaluator, request), key in zip(asked, keys, strict=True):
        evaluation = uncached.get(key) or evaluator.evaluate(request)
        evaluations.append(replace(evaluation, from_store=False) if key in started else evaluation)
        started.discard(key)
    return evaluations
