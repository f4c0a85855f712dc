"""The kinds of stages of an experiment, and the settings of each."""

from collections.abc import Collection, Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from nasgym.experiments.config import Count, Section
from nasgym.report.experiment_report import PaperAgent

Names = Annotated[
    tuple[str, ...], BeforeValidator(lambda value: (value,) if isinstance(value, str) else value), Field(min_length=1)
]
"""One name or several."""


class StageSettings(Section):
    """What all stages have.

    Attributes:
        tasks: names of tasks of the experiment.
        environment: settings that differ from those of the experiment.
        seed: of everything in it; that of the experiment if left out.
        paper: agent of arXiv 1911.03769 whose place it takes: `dmrl`, `dqn` or `random`; none if left out.
        label: what figures call the agent; its name if left out.
    """

    tasks: Names
    environment: dict[str, Any] = Field(default_factory=dict)
    seed: Annotated[int, Field(ge=0)] | None = None
    paper: PaperAgent | None = None
    label: str | None = None

    @property
    def policies(self) -> tuple[str, ...]:
        """The stages, of this experiment or `EXPERIMENT/STAGE` of one beside it, whose policies are taken."""
        return ()

    @property
    def sources(self) -> tuple[str, ...]:
        """The stages that must be finished before: beside those with policies, some of this experiment."""
        return self.policies


class TrainStage(StageSettings):
    """An agent learns.

    Attributes:
        kind: `train`.
        agent: name of an agent of the experiment.
        steps: of all environments together.
        init: stage whose policy it begins with; new weights if left out.
        surrogate: stage whose surrogate answers; networks are really trained if left out.
    """

    kind: Literal["train"]
    agent: str
    steps: Count
    init: str | None = None
    surrogate: str | None = None

    @property
    def policies(self) -> tuple[str, ...]:
        """The stage whose policy it begins with."""
        return () if self.init is None else (self.init,)

    @property
    def sources(self) -> tuple[str, ...]:
        """That stage, and the one whose surrogate answers."""
        return self.policies if self.surrogate is None else (*self.policies, self.surrogate)


class FrozenStage(StageSettings):
    """A policy plays and learns nothing.

    Attributes:
        kind: `frozen`.
        policy: stage in which it was trained.
        steps: of all environments together.
        greedy: whether it takes its most probable action, instead of drawing one.
    """

    kind: Literal["frozen"]
    policy: str
    steps: Count
    greedy: bool = False

    @property
    def policies(self) -> tuple[str, ...]:
        """The stage in which the policy was trained."""
        return (self.policy,)


class WalkStage(StageSettings):
    """Actions are drawn, all alike: of those that lead somewhere where the environment has masks, else of all.

    Attributes:
        kind: `walk`.
        steps: of all environments together.
    """

    kind: Literal["walk"]
    steps: Count


class HardnessStage(StageSettings):
    """A short walk on each of its tasks, to see how hard they are (arXiv 1911.03769, appendix A).

    Attributes:
        kind: `hardness`.
        steps: on each task.
    """

    kind: Literal["hardness"]
    steps: Count


class FinalStage(StageSettings):
    """The best networks of another stage are trained for long, several times.

    Attributes:
        kind: `final`.
        best_of: stage that found them.
        networks: how many.
        trainings: of each, with as many seeds.
        profile: whose final recipe is followed.
        epochs: the profile's own number if left out.
        beside: networks that have a name, trained as often in their own profile.
    """

    kind: Literal["final"]
    best_of: str
    networks: Count = 2
    trainings: Count = 5
    profile: str = "paper-intensive"
    epochs: Count | None = None
    beside: tuple[str, ...] = ()

    @property
    def sources(self) -> tuple[str, ...]:
        """The stage that found the networks."""
        return (self.best_of,)


class SurrogateStage(StageSettings):
    """A surrogate is fitted to the networks that other stages had trained.

    Attributes:
        kind: `surrogate`.
        of: stages whose networks they are; each of its tasks is one of theirs.
    """

    kind: Literal["surrogate"]
    of: Names

    @property
    def sources(self) -> tuple[str, ...]:
        """The stages whose networks it is fitted to."""
        return self.of


Stage = TrainStage | FrozenStage | WalkStage | HardnessStage | FinalStage | SurrogateStage


def refuse_wrong_sources(name: str, stage: Stage, before: Mapping[str, Stage]) -> None:
    """Do nothing, unless a stage builds on one that has not what it needs.

    Args:
        name: of the stage.
        stage: its settings; the stages of this experiment that it names are known.
        before: the stages before it.

    Raises:
        ValueError: a surrogate is made of, or asked from, a stage of another kind, or one that does not cover the
            tasks.
    """
    for source in stage.sources if not isinstance(stage, TrainStage) else stage.policies:
        if isinstance(before.get(source), SurrogateStage):
            raise ValueError(f"stages.{name}: stage {source!r} is a surrogate, which has neither a policy nor networks")
    match stage:
        case SurrogateStage():
            for source in stage.of:
                _refuse_untrained(f"stages.{name}.of", source, before[source])
            played = [task for source in stage.of for task in before[source].tasks]
            _refuse_uncovered(f"stages.{name}.tasks", stage.tasks, played, f"stages {', '.join(stage.of)}")
        case TrainStage(surrogate=str(answering)):
            if not isinstance(before[answering], SurrogateStage):
                kind = before[answering].kind
                raise ValueError(f"stages.{name}.surrogate: stage {answering!r} is of kind {kind!r}, not a surrogate")
            covered = before[answering].tasks
            _refuse_uncovered(f"stages.{name}.tasks", stage.tasks, covered, f"surrogate {answering!r}")


def _refuse_untrained(where: str, name: str, stage: Stage) -> None:
    """Do nothing, unless a stage has trained no networks that a surrogate could be fitted to."""
    if isinstance(stage, TrainStage) and stage.surrogate is not None:
        raise ValueError(f"{where}: stage {name!r} has trained no network, since surrogate {stage.surrogate!r} answers")
    if not isinstance(stage, TrainStage | FrozenStage | WalkStage):
        raise ValueError(f"{where}: stage {name!r} is of kind {stage.kind!r}; name some of kind train, frozen or walk")


def _refuse_uncovered(where: str, tasks: Iterable[str], covered: Collection[str], by: str) -> None:
    """Do nothing, unless one of `tasks` is not among those that are `covered`."""
    for task in tasks:
        if task not in covered:
            listed = ", ".join(dict.fromkeys(covered))
            raise ValueError(f"{where}: task {task!r} is not covered by {by} ({listed})")
