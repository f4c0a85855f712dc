"""The store: evaluations, runs and their steps, safe from any kill. Importing it does not import SQLAlchemy."""

from nasgym.store.base import RunCache, Store
from nasgym.store.leases import LEASE_SECONDS, Answered, Claim, Held, QueuedRequest, Won, new_owner
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
from nasgym.store.secrets import as_kept, without_password
from nasgym.store.training import PlayedMetaEpisode, Trace, TrainingLog, TrainingUpdate

__all__ = [
    "DEFAULT_STORE",
    "LEASE_SECONDS",
    "SEARCH_PHASE",
    "Added",
    "Answered",
    "Claim",
    "EvaluationQuery",
    "Held",
    "Order",
    "PlayedMetaEpisode",
    "QueuedRequest",
    "Run",
    "RunCache",
    "RunStatus",
    "Step",
    "Store",
    "StoredEvaluation",
    "Trace",
    "TrainingLog",
    "TrainingUpdate",
    "Won",
    "as_kept",
    "evaluation_id",
    "new_owner",
    "open_store",
    "without_password",
]
