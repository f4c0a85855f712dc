"""What reports of agents are made from: rows of a store, and a few words about the run."""

from dataclasses import dataclass

from nasgym.store import PlayedMetaEpisode, TrainingUpdate

OWN = ""
"""Name of the play of the policy itself, as against a baseline or a control."""


@dataclass(frozen=True, slots=True)
class AgentFacts:
    """Around a run of an agent.

    Attributes:
        agent: its name.
        name: of the run or policy, for people.
        command: the command line that repeats it.
        settings: (name, value) pairs, every setting.
        seconds: wall-clock time, of all parts of a resumed run together.
        versions: (package, version) pairs.
        hardware: processors in words.
        commit: of the source; empty where unknown.
        run: id in the store.
        created: when it ended, as text for people.
        interrupted: whether it stopped before its end.
    """

    agent: str
    name: str
    command: str
    settings: tuple[tuple[str, str], ...]
    seconds: float
    versions: tuple[tuple[str, str], ...] = ()
    hardware: str = ""
    commit: str = ""
    run: str = ""
    created: str = ""
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """Everything a report of a meta-training shows.

    Attributes:
        facts: around it.
        actions: names of the actions, by number.
        updates: of the weights, in their order.
        looks: meta-episodes on the validation tasks while it learned, in their order.
        kept_update: after which the kept policy was judged; `None` for none yet.
        evaluations: networks that were really trained; 0 where a table answers.
    """

    facts: AgentFacts
    actions: tuple[str, ...]
    updates: tuple[TrainingUpdate, ...] = ()
    looks: tuple[PlayedMetaEpisode, ...] = ()
    kept_update: int | None = None
    evaluations: int = 0

    def looked(self, update: int) -> tuple[PlayedMetaEpisode, ...]:
        """Return the meta-episodes on validation tasks after an update."""
        return tuple(one for one in self.looks if one.after_update == update)

    @property
    def steps_of_looks(self) -> dict[int, int]:
        """Steps done at each look, by its update."""
        steps = {0: 0} | {update.number: update.steps for update in self.updates}
        return {number: steps[number] for number in dict.fromkeys(one.after_update for one in self.looks)}


@dataclass(frozen=True, slots=True)
class Proposal:
    """A network that a policy came upon.

    Attributes:
        task: name of the task.
        architecture: its text.
        accuracy: validation accuracy, in [0, 1].
        test: score for reporting, in [0, 1]; `None` where there is none.
        times: in how many meta-episodes it was the best.
    """

    task: str
    architecture: str
    accuracy: float
    test: float | None
    times: int


@dataclass(frozen=True, slots=True)
class MetaTestReport:
    """Everything a report of a meta-test shows.

    Attributes:
        facts: around it.
        tasks: names of the tasks, in their order.
        plays: meta-episodes by who played: `OWN` is the policy itself, others are baselines and controls.
        proposals: networks that were the best of their meta-episode, by the policy itself.
        greedy: whether the policy took its most probable action instead of drawing one.
        yoked: name of the task whose rewards were shown in the control; empty for none.
        test_meaning: what the scores for reporting are; empty where there are none.
    """

    facts: AgentFacts
    tasks: tuple[str, ...]
    plays: dict[str, tuple[PlayedMetaEpisode, ...]]
    proposals: tuple[Proposal, ...] = ()
    greedy: bool = False
    yoked: str = ""
    test_meaning: str = ""
