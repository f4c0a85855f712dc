"""Leases on evaluations, and requests that wait for a worker, as frozen values."""

import secrets
import socket
from dataclasses import dataclass

from nasgym.evaluation import EvaluationKey, Outcome
from nasgym.store.rows import SEARCH_PHASE

LEASE_SECONDS = 60.0
"""How long a lease lasts unless it is renewed: for so long nobody takes over from a worker that was killed."""
OWNER_LENGTH = 100
"""Characters that the name of an owner has at most."""


@dataclass(frozen=True, slots=True)
class Won:
    """The lease is the caller's: it is to evaluate.

    Attributes:
        losses: leases on the same evaluation that ran out before, each with a worker that was lost.
    """

    losses: int


@dataclass(frozen=True, slots=True)
class Held:
    """Somebody else evaluates it.

    Attributes:
        owner: who.
        seconds: after which the lease ends unless it is renewed.
    """

    owner: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Answered:
    """There is an outcome already.

    Attributes:
        outcome: as kept.
    """

    outcome: Outcome


Claim = Won | Held | Answered


@dataclass(frozen=True, slots=True)
class QueuedRequest:
    """A request of a run that waits for a worker.

    Attributes:
        run: id of the run.
        number: position in its phase.
        key: what the outcome will be kept under.
        architecture: text of the architecture as proposed.
        phase: part of the run.
    """

    run: str
    number: int
    key: EvaluationKey
    architecture: str
    phase: str = SEARCH_PHASE


def new_owner() -> str:
    """Return a name for an owner of leases that nobody else has: machine and a random part."""
    host = socket.gethostname()[: OWNER_LENGTH - 13]
    return f"{host}-{secrets.token_hex(6)}"
