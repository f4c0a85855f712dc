"""Requests, keys and runs for the checks of stores."""

from nasgym.architectures import LeafMerge, architecture_id, parse_architecture
from nasgym.core.provenance import Provenance
from nasgym.evaluation import EvaluationKey, EvaluationRequest
from nasgym.tasks import Fidelity, Task

MADE_BY = Provenance({"nasgym": "0"}, {"cores": 2}, None)


def request_and_key(
    text: str = "conv3 maxpool2", *, seed: int = 0, task: str = "digits"
) -> tuple[EvaluationRequest, EvaluationKey]:
    """Return a request for the architecture `text` on a task named `task`, and its key for an estimator of no name."""
    wanted = Task(task, f"fingerprint of {task}", (32, 32, 3), 10, fidelity=Fidelity(epochs=3))
    request = EvaluationRequest(parse_architecture(text), wanted, wanted.fidelity, seed)
    name = architecture_id(request.architecture, LeafMerge.TOGETHER)
    return request, EvaluationKey(name, wanted.fingerprint, 3, 32, 0, "estimator", seed)
