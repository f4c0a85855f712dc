"""What a report of a search is made from: plain values, filled from store rows and `result.json`."""

from dataclasses import dataclass, field

from nasgym.evaluation.outcome import Completed, Failed, FailureKind, Outcome
from nasgym.networks.profiles import NetworkProfile
from nasgym.tasks import Budget, Fidelity


@dataclass(frozen=True, slots=True)
class DroppedFile:
    """A file of the data set that could not be used.

    Attributes:
        path: as the user knows it.
        reason: one sentence.
    """

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class TaskSummary:
    """The data a search was for.

    Attributes:
        name: what people call it.
        class_names: in label order.
        train: training images; `validation` and `test` likewise.
        input_shape: height, width and channels of one image.
        dropped: files left out, and why.
        fingerprint: identifies data and split; empty where unknown.
    """

    name: str
    class_names: tuple[str, ...]
    train: int
    validation: int
    test: int
    input_shape: tuple[int, int, int]
    dropped: tuple[DroppedFile, ...] = ()
    fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """How the search was asked for.

    Attributes:
        command: the command line that repeats it.
        strategy: name of the strategy.
        space: name of the search space.
        profile: how architectures became networks.
        fidelity: of each evaluation during the search.
        seed: of the search.
        budget: what a network was allowed to cost.
        evaluations: networks asked for; `None` where only time was limited.
        seconds: time asked for; `None` where only the number of networks was limited.
        final_epochs: passes over the training images for the promoted networks.
    """

    command: str
    strategy: str
    space: str
    profile: NetworkProfile
    fidelity: Fidelity
    seed: int
    budget: Budget = field(default_factory=Budget)
    evaluations: int | None = None
    seconds: float | None = None
    final_epochs: int | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """One network of the search.

    Attributes:
        number: order of proposal, from 1.
        architecture: its text.
        architecture_id: canonical id.
        outcome: what its evaluation gave.
        memory: bytes of weights plus peak activations of one image at int8; 0 where unknown.
        from_store: whether the outcome was known before this search.
    """

    number: int
    architecture: str
    architecture_id: str
    outcome: Outcome
    memory: int = 0
    from_store: bool = False

    @property
    def accuracy(self) -> float | None:
        """Validation accuracy in [0, 1]; `None` where the network failed."""
        return self.outcome.accuracy if isinstance(self.outcome, Completed) else None


@dataclass(frozen=True, slots=True)
class Finalist:
    """A network that was promoted to a longer training.

    Attributes:
        architecture: its text.
        architecture_id: canonical id.
        search_validation_accuracy: what it had in the search.
        outcome: of the longer training.
        memory: bytes of weights plus peak activations of one image at int8; 0 where unknown.
    """

    architecture: str
    architecture_id: str
    search_validation_accuracy: float
    outcome: Outcome
    memory: int = 0

    @property
    def accuracy(self) -> float | None:
        """Validation accuracy in [0, 1] after the longer training; `None` where it failed."""
        return self.outcome.accuracy if isinstance(self.outcome, Completed) else None


@dataclass(frozen=True, slots=True)
class FinalTest:
    """The one look at the test images, taken with the chosen network.

    Attributes:
        architecture_id: which finalist was chosen.
        accuracy: on all test images, in [0, 1].
        confusion: images counted by (true class, predicted class); empty where it was not kept.
        weights: file of the trained weights; empty where they were not kept.
    """

    architecture_id: str
    accuracy: float
    confusion: tuple[tuple[int, ...], ...] = ()
    weights: str = ""


@dataclass(frozen=True, slots=True)
class Baseline:
    """What the chosen network is compared with.

    Attributes:
        name: as people call it: "random network", "linear model".
        validation_accuracy: in [0, 1].
        test_accuracy: in [0, 1]; `None` where it was not measured.
        architecture: text of the network; empty where it is none.
        parameters: trainable parameters; `None` where unknown.
        memory: bytes of weights plus peak activations of one image at int8; 0 where unknown.
    """

    name: str
    validation_accuracy: float
    test_accuracy: float | None = None
    architecture: str = ""
    parameters: int | None = None
    memory: int = 0


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What happened around the search.

    Attributes:
        seconds: from start to end, promotion and baselines included; sums over resumed parts.
        versions: (package, version) pairs.
        hardware: processors and accelerators in words.
        interrupted: whether the search stopped before its end.
        created: when it ended, as text for people.
    """

    seconds: float
    versions: tuple[tuple[str, str], ...] = ()
    hardware: str = ""
    interrupted: bool = False
    created: str = ""


@dataclass(frozen=True, slots=True)
class SearchReport:
    """Everything a report of a search shows.

    Attributes:
        task: the data.
        settings: how the search was asked for.
        run: what happened around it.
        candidates: in order of proposal.
        finalists: promoted networks, best first.
        test: the test of the chosen finalist; `None` where the search did not get that far.
        baselines: what it is compared with.
    """

    task: TaskSummary
    settings: SearchSettings
    run: RunFacts
    candidates: tuple[Candidate, ...] = ()
    finalists: tuple[Finalist, ...] = ()
    test: FinalTest | None = None
    baselines: tuple[Baseline, ...] = ()

    @property
    def chosen(self) -> Finalist | None:
        """The finalist that was tested."""
        if self.test is None:
            return None
        return next((one for one in self.finalists if one.architecture_id == self.test.architecture_id), None)

    @property
    def ranked(self) -> tuple[Candidate, ...]:
        """Networks that were evaluated, highest validation accuracy first; the earlier first among equals."""
        scored = [(candidate.accuracy, candidate) for candidate in self.candidates]
        known = [(accuracy, candidate) for accuracy, candidate in scored if accuracy is not None]
        return tuple(candidate for _, candidate in sorted(known, key=lambda pair: (-pair[0], pair[1].number)))

    @property
    def failures(self) -> dict[FailureKind, dict[str, tuple[Candidate, ...]]]:
        """Failed networks by kind, then by message; the most frequent kind first."""
        groups: dict[FailureKind, dict[str, tuple[Candidate, ...]]] = {}
        for candidate in self.candidates:
            if isinstance(candidate.outcome, Failed):
                messages = groups.setdefault(candidate.outcome.kind, {})
                message = candidate.outcome.message
                messages[message] = (*messages.get(message, ()), candidate)
        return dict(sorted(groups.items(), key=lambda item: (-sum(map(len, item[1].values())), item[0])))
