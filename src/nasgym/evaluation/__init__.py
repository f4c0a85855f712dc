"""Evaluation: from a request to an outcome. Importing this package does not import torch."""

from nasgym.evaluation.outcome import Completed, Failed, FailureKind, Metrics, Outcome
from nasgym.evaluation.request import Estimator, EvaluationKey, EvaluationRequest, OutcomeCache

__all__ = [
    "Completed",
    "Estimator",
    "EvaluationKey",
    "EvaluationRequest",
    "Failed",
    "FailureKind",
    "Metrics",
    "Outcome",
    "OutcomeCache",
]
