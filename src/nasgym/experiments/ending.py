"""A run at its end, as everything that writes about it sees it."""

from dataclasses import dataclass

from nasgym.architectures import parse_architecture
from nasgym.evaluation import Completed, Outcome
from nasgym.evaluation.recipes import Profile, training_profile
from nasgym.experiments.config import SearchConfig
from nasgym.experiments.final_training import FINALISTS
from nasgym.experiments.workspace import Workspace
from nasgym.networks.plan import Plan, plan
from nasgym.store import SEARCH_PHASE, Step, Store
from nasgym.tasks import ImageTask


@dataclass(frozen=True)
class Ending:
    """A run at its end, or where it was interrupted.

    Attributes:
        config: every setting.
        task: what was searched for.
        store: holds the steps of the run.
        run: its id.
        workspace: where everything is written.
        command: what repeats the search.
        seconds: wall-clock time of all parts of the run together.
    """

    config: SearchConfig
    task: ImageTask
    store: Store
    run: str
    workspace: Workspace
    command: str
    seconds: float

    @property
    def profile(self) -> Profile:
        """How architectures became trained networks."""
        return training_profile(self.config.evaluation.profile)

    def steps(self, phase: str = SEARCH_PHASE) -> list[Step]:
        """Return the steps of a phase of the run, by number."""
        return list(self.store.steps(self.run, phase=phase))

    def plan(self, architecture: str) -> Plan:
        """Return the plan of a network of the search."""
        parsed = parse_architecture(architecture)
        return plan(parsed, self.task.input_shape, self.task.n_classes, self.profile.network)

    def ranked_finalists(self) -> list[Step]:
        """Return the finalists, the best after final training first; equals by what they had in the search."""
        steps = self.steps(FINALISTS)
        return sorted(steps, key=lambda step: (-accuracy_of(step.outcome), -self.search_accuracy(step), step.number))

    def search_accuracy(self, finalist: Step) -> float:
        """Return the validation accuracy that a finalist had in the search."""
        steps = self.steps()
        return next(accuracy_of(step.outcome) for step in steps if step.architecture == finalist.architecture)


def accuracy_of(outcome: Outcome) -> float:
    """Return the validation accuracy; 0 for a failure."""
    return outcome.accuracy if isinstance(outcome, Completed) else 0.0
