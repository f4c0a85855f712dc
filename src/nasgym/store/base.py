"""The base class of stores: a back-end supplies the abstract methods, the rules live here once."""

import json
import secrets
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self, TypeVar

from nasgym.architectures import format_architecture
from nasgym.core.errors import StoreError
from nasgym.core.provenance import Provenance, provenance
from nasgym.evaluation import EvaluationKey, EvaluationRequest, Outcome
from nasgym.store.leases import Claim, QueuedRequest
from nasgym.store.rows import (
    SEARCH_PHASE,
    Added,
    EvaluationQuery,
    Order,
    Run,
    RunStatus,
    Step,
    StoredEvaluation,
    is_kept,
)
from nasgym.store.secrets import as_kept
from nasgym.store.training import TrainingLog

T = TypeVar("T")
EVERYTHING = EvaluationQuery()


class Store(ABC):
    """Keeps evaluations and runs; an `OutcomeCache`. Third parties register theirs under `nasgym.stores` by URL scheme.

    What a method has written when it returns survives any kill of the process. The first outcome of a key stays.
    A store pickles as its URL; every process that gets one opens its own connections.
    `nasgym.testing.stores` is the contract as a suite of tests.
    """

    @property
    @abstractmethod
    def url(self) -> str:
        """Where it is, for people: without a password."""

    @abstractmethod
    def get_many(self, keys: Sequence[EvaluationKey]) -> dict[EvaluationKey, Outcome]:
        """Return the outcomes kept under `keys`; a key that is not known is left out."""

    @abstractmethod
    def add(self, rows: Iterable[StoredEvaluation]) -> Added:
        """Keep `rows` unless their keys are known, and say what became of them."""

    @abstractmethod
    def evaluations(self, query: EvaluationQuery = EVERYTHING) -> Iterator[StoredEvaluation]:
        """Yield the evaluations that `query` selects, a page at a time, while others may write."""

    @abstractmethod
    def evaluations_with_id(self, prefix: str) -> list[StoredEvaluation]:
        """Return at most two evaluations whose id starts with `prefix`."""

    @abstractmethod
    def save_run(self, run: Run) -> None:
        """Keep `run`, in place of what was kept under its id."""

    @abstractmethod
    def runs(self, *, command: str | None = None, id_prefix: str = "", limit: int | None = None) -> Iterator[Run]:
        """Yield runs, the newest first."""

    @abstractmethod
    def save_steps(self, steps: Iterable[Step]) -> list[Step]:
        """Keep `steps`, and their evaluations unless known; return what is kept under their numbers.

        A step and its evaluation are kept together or not at all. The first step of a number stays, but one without an
        evaluation gives way to one of the same architecture that has it.
        """

    @abstractmethod
    def steps(self, run: str, *, phase: str = SEARCH_PHASE) -> Iterator[Step]:
        """Yield the steps of a phase of run `run` by number."""

    @abstractmethod
    def phases(self, run: str) -> list[str]:
        """Return the phases of which run `run` has steps, in alphabetical order."""

    @abstractmethod
    def claim(self, keys: Sequence[EvaluationKey], owner: str, seconds: float) -> dict[EvaluationKey, Claim]:
        """Take the leases on `keys` that nobody else holds, for `seconds` by the clock of the store.

        Keeping an outcome ends the lease on its key, whoever holds it. The leases that `owner` holds are renewed.
        """

    @abstractmethod
    def renew(self, keys: Sequence[EvaluationKey], owner: str, seconds: float) -> set[EvaluationKey]:
        """Let the leases of `owner` on `keys` last for `seconds` from now; return those it still holds.

        One that ran out is renewed, too, if nobody else has taken it.
        """

    @abstractmethod
    def release(self, keys: Sequence[EvaluationKey], owner: str) -> None:
        """Let go of the leases of `owner` on `keys`, so that others may take them at once."""

    @abstractmethod
    def queue(self, requests: Iterable[QueuedRequest]) -> None:
        """Keep `requests` for whoever has time; each until there is an outcome, or its run withdraws it."""

    @abstractmethod
    def queued(self, *, run: str | None = None, limit: int = 100) -> list[QueuedRequest]:
        """Return requests that wait and nobody holds a lease on, those queued first coming first."""

    @abstractmethod
    def withdraw(self, run: str) -> None:
        """Drop the requests of `run` that wait."""

    @abstractmethod
    def close(self) -> None:
        """Let go of connections; the store opens new ones when it is used again."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def get(self, key: EvaluationKey) -> Outcome | None:
        """Return the outcome kept under `key`, or `None`."""
        return self.get_many((key,)).get(key)

    def put(self, request: EvaluationRequest, key: EvaluationKey, outcome: Outcome, *, run: str | None = None) -> None:
        """Keep `outcome` unless `key` is known; when this returns it is safe from any kill.

        An outcome over the user's budget is not kept: the key does not hold the budget.

        Raises:
            StoreError: an accuracy outside [0, 1], an unknown run, or the store cannot be written.
        """
        if is_kept(outcome):
            self.add((StoredEvaluation.of(request, key, outcome, run),))

    def training_log(self) -> TrainingLog:
        """Return what keeps the updates and meta-episodes of agents.

        Raises:
            StoreError: a store of this kind keeps none.
        """
        raise StoreError(f"Store {self.url} keeps no training of agents; name a SQLite file or a PostgreSQL URL.")

    def for_run(self, run: str) -> "RunCache":
        """Return the store as an `OutcomeCache` that writes down `run` with every outcome."""
        return RunCache(self, run)

    def best(self, n: int, *, task: str | None = None, data: str | None = None) -> list[StoredEvaluation]:
        """Return the `n` evaluations of highest accuracy, of the task of that name or fingerprint."""
        query = EvaluationQuery(task=task, data=data, failed=False, order=Order.BEST, limit=n)
        return list(self.evaluations(query))

    def evaluation(self, prefix: str) -> StoredEvaluation:
        """Return the one evaluation whose id starts with `prefix`.

        Raises:
            StoreError: none, or more than one.
        """
        return _only(self.evaluations_with_id(prefix), "evaluation", prefix, self.url)

    def run(self, prefix: str) -> Run:
        """Return the one run whose id starts with `prefix`.

        Raises:
            StoreError: none, or more than one.
        """
        return _only(list(self.runs(id_prefix=prefix, limit=2)), "run", prefix, self.url)

    def start_run(
        self, command: str, configuration: Mapping[str, Any], *, seed: int, made_by: Provenance | None = None
    ) -> Run:
        """Keep and return a new run, with status `running`.

        Args:
            command: what is run, such as `search`.
            configuration: every setting, as JSON values; passwords in URLs are not kept.
            seed: of the run.
            made_by: versions, hardware and commit; those of this process unless given.
        """
        started_at = datetime.now(UTC)
        name = f"{started_at:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
        settings = as_kept(_json_values(configuration, "configuration"))
        run = Run(name, command, settings, seed, made_by or provenance(), RunStatus.RUNNING, started_at)
        self.save_run(run)
        return run

    def resume_run(self, prefix: str) -> Run:
        """Return the run whose id starts with `prefix`, with status `running` again.

        Raises:
            StoreError: no such run, or it is finished.
        """
        run = self.run(prefix)
        if run.status is RunStatus.FINISHED:
            raise StoreError(f"Run {run.id} in {self.url} is finished; start a new one instead of resuming it.")
        run = replace(run, status=RunStatus.RUNNING, finished_at=None)
        self.save_run(run)
        return run

    def unfinished_run(self, command: str, configuration: Mapping[str, Any]) -> Run | None:
        """Return the newest run of `command` with just this configuration that is not finished, or `None`."""
        wanted = as_kept(_json_values(configuration, "configuration"))
        for run in self.runs(command=command):
            if run.status is not RunStatus.FINISHED and run.configuration == wanted:
                return run
        return None

    def finish_run(
        self, prefix: str, status: RunStatus = RunStatus.FINISHED, result: Mapping[str, Any] | None = None
    ) -> Run:
        """Keep and return the run whose id starts with `prefix` with its final status and result (JSON values).

        Its requests that still wait are dropped.
        """
        ended = None if result is None else _json_values(result, "result")
        run = replace(self.run(prefix), status=status, finished_at=datetime.now(UTC), result=ended)
        self.withdraw(run.id)
        self.save_run(run)
        return run

    def record_step(
        self,
        run: str,
        number: int,
        request: EvaluationRequest,
        key: EvaluationKey,
        outcome: Outcome,
        *,
        from_store: bool,
        phase: str = SEARCH_PHASE,
    ) -> Step:
        """Keep that `outcome` answered the `number`-th request of `run`, and the outcome itself unless known.

        Recording a step again, as a resumed run does, changes nothing.

        Raises:
            StoreError: the step is known with another architecture, so the run does not repeat itself.
        """
        text = format_architecture(request.architecture)
        evaluation = StoredEvaluation.of(request, key, outcome, run) if is_kept(outcome) else None
        (kept,) = self.save_steps((Step(run, number, text, outcome, from_store, evaluation, phase),))
        if kept.architecture != text:
            raise StoreError(
                f"Step {number} ({phase}) of run {run} in {self.url} is {kept.architecture!r}, now it would be "
                f"{text!r}: the run does not repeat itself. Resume with the version and settings it was started with."
            )
        return kept


@dataclass(frozen=True)
class RunCache:
    """A store as the `OutcomeCache` of one run.

    Attributes:
        store: where outcomes are kept.
        run: id of the run written down with each.
    """

    store: Store
    run: str

    def get(self, key: EvaluationKey) -> Outcome | None:
        """Return the outcome kept under `key`, or `None`."""
        return self.store.get(key)

    def put(self, request: EvaluationRequest, key: EvaluationKey, outcome: Outcome) -> None:
        """Keep `outcome` as evaluated by the run; when this returns it is safe from any kill."""
        self.store.put(request, key, outcome, run=self.run)


def _json_values(values: Mapping[str, Any], what: str) -> dict[str, Any]:
    """Return `values` as they come back from JSON: tuples as lists, keys as text."""
    try:
        restored: dict[str, Any] = json.loads(json.dumps(values))
    except (TypeError, ValueError) as error:
        raise StoreError(f"The {what} of a run must be JSON values: {error}.") from error
    return restored


def _only(found: list[T], kind: str, prefix: str, url: str) -> T:
    if len(found) == 1:
        return found[0]
    if not found:
        raise StoreError(f"No {kind} {prefix!r} in {url}; `nasgym store ls` lists what it holds.")
    raise StoreError(f"Several {kind}s in {url} start with {prefix!r}; give more of the id.")
