"""What a report of the paper's experiments is made from: plain values, filled from rows of a store."""

from dataclasses import dataclass
from enum import StrEnum

from nasgym.networks.profiles import NetworkProfile


class StageKind(StrEnum):
    """How the episodes of a stage came about."""

    TRAIN = "train"
    """By an agent that learns."""
    FROZEN = "frozen"
    """By a policy that no longer learns."""
    WALK = "walk"
    """By uniformly drawn actions."""


class PaperAgent(StrEnum):
    """The agents of arXiv 1911.03769, as its tables name them."""

    META = "dmrl"
    """A2C with an LSTM, its policy handed from data set to data set."""
    DQN = "dqn"
    RANDOM = "random"


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """Data that stages play on.

    Attributes:
        name: what stages call it.
        stands_for: data set of the paper in whose place it is; empty for none.
        images: of training, validation and test.
        classes: number of classes.
        input_shape: height, width and channels of one image.
    """

    name: str
    stands_for: str
    images: tuple[int, int, int]
    classes: int
    input_shape: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class EpisodeRecord:
    """One episode, step by step.

    Attributes:
        actions: their numbers.
        rewards: one for each action.
        networks: text of the network after each action; `None` where there is none, since the action was not
            possible or the network cannot exist.
        accuracy: best accuracy of its networks where rewards are something else; `None` where rewards are accuracies.
        place: which episode of its meta-episode it is, from 1.
        task: data it was played on, where its stage has several; empty for that of the stage.
        meta_episode: number of its meta-episode in the stage, from 1; 0 for an episode that is its own.
    """

    actions: tuple[int, ...]
    rewards: tuple[float, ...]
    networks: tuple[str | None, ...]
    accuracy: float | None = None
    place: int = 1
    task: str = ""
    meta_episode: int = 0

    @property
    def length(self) -> int:
        """Number of steps."""
        return len(self.actions)

    @property
    def accumulated(self) -> float:
        """Sum of the rewards."""
        return sum(self.rewards)

    @property
    def best(self) -> float:
        """Best accuracy of its networks: the best reward, where nothing else is known."""
        return max(self.rewards, default=0.0) if self.accuracy is None else self.accuracy

    @property
    def best_network(self) -> str | None:
        """Text of the network with the best reward, the first among equals; `None` where nothing earned any."""
        pairs = zip(self.rewards, self.networks, strict=True)
        known = [(reward, text) for reward, text in pairs if text is not None and reward > 0]
        return max(known, key=lambda pair: pair[0])[1] if known else None


@dataclass(frozen=True, slots=True)
class StageRecord:
    """One agent on one task, from its first step to its last.

    A stage with several tasks makes several records of the same name, with the same entropies.

    Attributes:
        name: of the stage in its file.
        kind: how its episodes came about.
        agent: what figures call the agent: curves of equal names have equal colours.
        paper_agent: which agent of the paper it stands for; `None` for none.
        task: name of a `TaskRecord`.
        actions: names of the actions, by number.
        episodes: in their order.
        entropies: (steps done, entropy of the policy in nats) after each update; empty where nothing is learned.
        init: stage that the policy was taken from; empty for none.
        sigma: share of the accuracy that a pointer shift earns; `None` where there are no pointers.
        seconds: wall-clock time, of all parts of a resumed stage together.
        networks_evaluated: different networks whose accuracy was wanted; 0 where a surrogate answers.
        networks_trained: those of them that no store could answer for.
        interrupted: whether it stopped before its end.
        surrogate: stage whose surrogate predicted the accuracies; empty where networks were trained.
    """

    name: str
    kind: StageKind
    agent: str
    paper_agent: PaperAgent | None
    task: str
    actions: tuple[str, ...]
    episodes: tuple[EpisodeRecord, ...]
    entropies: tuple[tuple[int, float], ...] = ()
    init: str = ""
    sigma: float | None = None
    seconds: float = 0.0
    networks_evaluated: int = 0
    networks_trained: int = 0
    interrupted: bool = False
    surrogate: str = ""

    @property
    def steps(self) -> int:
        """Number of actions taken."""
        return sum(episode.length for episode in self.episodes)


@dataclass(frozen=True, slots=True)
class FinalRecord:
    """The more intensive trainings of one network (§6.1, Experiment 2).

    Attributes:
        task: name of a `TaskRecord`.
        label: what tables call it.
        place: 1 for the best network that was found, 2 for the next; 0 for the one designed by hand.
        architecture: text of the network.
        validation: accuracies of the trainings, in [0, 1].
        test: likewise, of the same trainings.
        parameters: trainable ones.
        seconds: of all its trainings together.
        search_accuracy: what the search saw in it; `None` for one that was not searched, or only predicted.
        profile: how it became a network, for its drawing; `None` draws it without shapes.
        failures: what went wrong with trainings that have no accuracy, a sentence each.
    """

    task: str
    label: str
    place: int
    architecture: str
    validation: tuple[float, ...]
    test: tuple[float, ...]
    parameters: int
    seconds: float
    search_accuracy: float | None = None
    profile: NetworkProfile | None = None
    failures: tuple[str, ...] = ()

    @property
    def reported(self) -> tuple[float, ...]:
        """The accuracies to report: on test images, or on validation images where there are no others."""
        return self.test or self.validation

    @property
    def images(self) -> str:
        """Which images those are of, in words."""
        return "test images" if self.test else "validation images"


@dataclass(frozen=True, slots=True)
class HardnessRecord:
    """The short walk that grades a data set (Appendix A).

    Attributes:
        task: name of a `TaskRecord`.
        accuracies: of the networks, one for each step that had one, in [0, 1].
        seconds: that the trainings of its networks took, each counted once.
    """

    task: str
    accuracies: tuple[float, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class SurrogateRecord:
    """How well a surrogate tells the networks of one task, by cross-validation: on networks that it was not fitted to.

    Attributes:
        stage: that fitted it.
        of: stages that had its networks trained.
        task: name of the task: of one of the subsets, where a task consists of some.
        networks: that it was fitted to.
        failed: further ones, whose training failed.
        spearman: rank correlation ρ of predicted and true accuracy.
        kendall: rank correlation τ, likewise.
        error: standard deviation of prediction minus truth.
    """

    stage: str
    of: tuple[str, ...]
    task: str
    networks: int
    failed: int
    spearman: float
    kendall: float
    error: float


@dataclass(frozen=True, slots=True)
class ExperimentFacts:
    """Around an experiment.

    Attributes:
        command: the command line that repeats it.
        settings: (name, value) pairs worth reading.
        seeds: of its stages.
        store: where its rows are, as a person names it.
        started: as text for people.
        seconds: wall-clock time of all its stages.
        versions: (package, version) pairs.
        hardware: processors in words.
        commit: of the source; empty where unknown.
        fingerprint: of all that its file says but the seed; reports that have the same differ by seed and machine.
    """

    command: str
    settings: tuple[tuple[str, str], ...] = ()
    seeds: tuple[int, ...] = (0,)
    store: str = ""
    started: str = ""
    seconds: float = 0.0
    versions: tuple[tuple[str, str], ...] = ()
    hardware: str = ""
    commit: str = ""
    fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class ExperimentReport:
    """Everything a report of an experiment shows.

    Attributes:
        name: of the experiment's file, without its suffix.
        title: for people.
        facts: around it.
        tasks: that its stages name.
        profile: how architectures became networks in the stages, for the drawings; `None` draws them without shapes.
        scaled: what differs from the paper's experiment, sentence by sentence; empty at full scale.
        stages: in their order.
        finals: likewise.
        hardness: likewise.
        surrogates: likewise.
    """

    name: str
    title: str
    facts: ExperimentFacts
    tasks: tuple[TaskRecord, ...]
    profile: NetworkProfile | None = None
    scaled: tuple[str, ...] = ()
    stages: tuple[StageRecord, ...] = ()
    finals: tuple[FinalRecord, ...] = ()
    hardness: tuple[HardnessRecord, ...] = ()
    surrogates: tuple[SurrogateRecord, ...] = ()

    def task(self, name: str) -> TaskRecord:
        """Return the task of that name; one that a stage names must be there."""
        return next(task for task in self.tasks if task.name == name)
