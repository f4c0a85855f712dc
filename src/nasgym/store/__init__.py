"""The store: evaluations, runs and their steps, safe from any kill. Importing it does not import SQLAlchemy."""

from nasgym.store.base import RunCache, Store
from nasgym.store.opening import DEFAULT_STORE, open_store
from nasgym.store.rows import (
    SEARCH_PHASE,
    Added,
    EvaluationQuery,
    Order,
    Run,
    RunStatus,
    Step,
    StoredEvaluation,
    evaluation_id,
)

__all__ = [
    "DEFAULT_STORE",
    "SEARCH_PHASE",
    "Added",
    "EvaluationQuery",
    "Order",
    "Run",
    "RunCache",
    "RunStatus",
    "Step",
    "Store",
    "StoredEvaluation",
    "evaluation_id",
    "open_store",
]
