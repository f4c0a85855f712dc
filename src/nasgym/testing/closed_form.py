"""A deterministic estimator that needs no data and no time, for tests and examples."""

import hashlib
from dataclasses import dataclass, field

from nasgym.architectures import canonical, format_architecture
from nasgym.core.errors import PlanError
from nasgym.evaluation import Completed, EvaluationRequest, Failed, FailureKind, Metrics, Outcome
from nasgym.networks.plan import plan
from nasgym.networks.profiles import DEFAULT, NetworkProfile


@dataclass(frozen=True, slots=True)
class ClosedFormEstimator:
    """Accuracy from a hash: between 0.1 and 1, the same in every process, different for nearly all networks.

    The networks themselves are planned for real: parameters, FLOPs and density are theirs, and one that cannot
    exist on the task's images is `Failed(invalid)`.

    Attributes:
        profile: how architectures become networks.
    """

    profile: NetworkProfile = field(default=DEFAULT)

    @property
    def fingerprint(self) -> str:
        """`closed-form` and the profile's fingerprint."""
        return f"closed-form-1-{self.profile.fingerprint}"

    def evaluate(self, request: EvaluationRequest) -> Outcome:
        """Return the closed form for the request's canonical network, data, fidelity and seed."""
        network = canonical(request.architecture, self.profile.leaves)
        try:
            planned = plan(network, request.task.input_shape, request.task.n_classes, self.profile)
        except PlanError as error:
            return Failed(FailureKind.INVALID, str(error))
        named = f"{format_architecture(network)}|{request.task.fingerprint}|{request.fidelity}|{request.seed}"
        digest = int.from_bytes(hashlib.sha256(named.encode()).digest()[:8], "big")
        metrics = Metrics(parameters=planned.parameters, flops=planned.flops, density=planned.density)
        return Completed(0.1 + 0.9 * digest / 2**64, metrics)
