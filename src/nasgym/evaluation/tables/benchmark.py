"""The estimator that looks outcomes up in a table."""

from enum import StrEnum

from nasgym.core.errors import ConfigurationError
from nasgym.evaluation.outcome import Failed, FailureKind, Metrics, Outcome
from nasgym.evaluation.request import EvaluationRequest
from nasgym.evaluation.tables.table import Table
from nasgym.networks.profiles import NetworkProfile
from nasgym.tasks import Budget


class Repeats(StrEnum):
    """Which of the repeats in a table answers."""

    SEED = "seed"
    """The repeat of the request's evaluation seed: with the seeds of a task being 0, 1, 2, seed 1 sees the second."""
    MEAN = "mean"
    """The mean of all repeats that completed, whatever the seed."""


def unplanned_excess(known: Metrics, budget: Budget) -> Failed | None:
    """Return by what a network without a plan is over `budget`, told from its known costs; `None` if it is not.

    Raises:
        ConfigurationError: the budget limits something that is not known.
    """
    for name, cost, limit in (
        ("parameters", known.parameters, budget.parameters),
        ("FLOPs", known.flops, budget.flops),
        ("bytes of int8 memory", 0, budget.memory),
    ):
        if limit is not None and not cost:
            raise ConfigurationError(
                f"The budget limits {name}, which are not known of networks of this skeleton; leave that limit out."
            )
        if limit is not None and cost > limit:
            return Failed(FailureKind.OVER_BUDGET, f"{cost:,} {name}; the budget is {limit:,}.")
    return None


class TabularBenchmark:
    """Answers from a table, exactly.

    What the table does not hold is `Failed(missing)`: a network, a task, another fidelity, another evaluation seed.
    Scores for reporting are not its business: see `Table.test_score`.

    Args:
        table: where to look.
        repeats: which of the repeats answers.
    """

    def __init__(self, table: Table, *, repeats: Repeats = Repeats.SEED) -> None:
        self.table = table
        self.repeats = repeats

    @property
    def fingerprint(self) -> str:
        """Contents of the table, and the use made of repeats."""
        return f"table:{self.table.digest[:16]}:{self.repeats}"

    @property
    def profile(self) -> NetworkProfile:
        """The network profile of the table."""
        return self.table.profile

    def evaluate(self, request: EvaluationRequest) -> Outcome:
        """Return what the table says.

        Budgets are left to the caller, who plans networks; only those that are not planned are checked here.

        Raises:
            ConfigurationError: the budget of a network that is not planned limits what the table does not know.
        """
        number = self.table.task_number(request.task.fingerprint)
        if number is None:
            return self.table.missing(f"task {request.task.name!r} ({request.task.fingerprint})")
        task = self.table.tasks[number]
        if request.fidelity != task.fidelity:
            return self.table.missing(f"{request.fidelity} of {task.name!r}, only {task.fidelity}")
        row = self.table.row(request.architecture)
        if row is None:
            return self.table.missing(f"'{request.architecture}'")
        if not request.architecture.skeleton.is_built:
            problem = unplanned_excess(self.table.costs(number, row), request.task.budget)
            if problem is not None:
                return problem
        if self.repeats is Repeats.MEAN:
            return self.table.mean_outcome(number, row)
        if request.seed not in task.seeds:
            return self.table.missing(f"evaluation seed {request.seed} of {task.name!r}, only {task.seeds}")
        return self.table.outcome(number, task.seeds.index(request.seed), row)
