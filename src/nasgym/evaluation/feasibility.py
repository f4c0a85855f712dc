"""What can exist on a task and what its budget allows, told from plans alone: nothing is trained. No torch."""

from functools import lru_cache

from nasgym.architectures import Architecture
from nasgym.core.errors import PlanError
from nasgym.evaluation.outcome import Failed, FailureKind
from nasgym.networks.plan import Plan, plan
from nasgym.networks.profiles import NetworkProfile
from nasgym.tasks import Budget, Task


class Feasibility:
    """Answers, for one task and profile, whether a network exists and is within budget.

    Args:
        task: gives the input shape, the number of classes and the budget.
        profile: how architectures become networks.
        cache_size: number of plans remembered.
    """

    def __init__(self, task: Task, profile: NetworkProfile, *, cache_size: int = 65536) -> None:
        self._task = task
        self._profile = profile
        self._check = lru_cache(maxsize=cache_size)(self._plan)

    def problem(self, architecture: Architecture) -> Failed | None:
        """Return why `architecture` would not be trained, or `None` if it would.

        Nothing is known of a skeleton that is not built: its tables and surrogates tell.
        """
        if not architecture.skeleton.is_built:
            return None
        planned = self._check(architecture)
        return planned if isinstance(planned, Failed) else excess(planned, self._task.budget)

    def exists(self, architecture: Architecture) -> bool:
        """Return whether `architecture` is a network on this task's images, whatever it costs."""
        return not architecture.skeleton.is_built or not isinstance(self._check(architecture), Failed)

    def _plan(self, architecture: Architecture) -> Plan | Failed:
        try:
            return plan(architecture, self._task.input_shape, self._task.n_classes, self._profile)
        except PlanError as error:
            return Failed(FailureKind.INVALID, str(error))


def excess(planned: Plan, budget: Budget) -> Failed | None:
    """Return by what `planned` is over `budget` or its profile's safety cap; `None` if it is not."""
    for name, attribute, limit in (
        ("parameters", "parameters", budget.parameters),
        ("FLOPs", "flops", budget.flops),
        ("bytes of int8 memory", "memory", budget.memory),
    ):
        if limit is not None and (cost := getattr(planned, attribute)) > limit:
            return Failed(FailureKind.OVER_BUDGET, f"{cost:,} {name}; the budget is {limit:,}.")
    return beyond_cap(planned)


def beyond_cap(planned: Plan) -> Failed | None:
    """Return by what `planned` is over its profile's safety cap; `None` if it is not."""
    if planned.exceeds_cap:
        return Failed(
            FailureKind.OUT_OF_MEMORY,
            f"{planned.parameters:,} parameters; profile {planned.profile.name!r} builds at most "
            f"{planned.profile.max_parameters:,}.",
        )
    return None
