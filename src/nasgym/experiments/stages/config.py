"""One typed configuration of an experiment: tasks, agents, and stages that are done one after the other."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from nasgym.core.errors import ConfigurationError, nearest
from nasgym.experiments.config import Count, Section, explain, merged, read_config
from nasgym.experiments.meta.config import AgentSettings, EnvironmentSettings, TaskSettings, split_agent
from nasgym.report.experiment_report import PaperAgent

Names = Annotated[
    tuple[str, ...], BeforeValidator(lambda value: (value,) if isinstance(value, str) else value), Field(min_length=1)
]
"""One name or several."""
Agent = Annotated[AgentSettings, BeforeValidator(split_agent)]


class ExperimentTask(TaskSettings):
    """One task of an experiment: as of a meta-training, and which data set of the paper it is.

    Attributes:
        paper: data set of arXiv 1911.03769 in whose place it stands; empty for none.
    """

    paper: str = ""


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
    def sources(self) -> tuple[str, ...]:
        """The stages, of this experiment or `EXPERIMENT/STAGE` of one beside it, that must be finished before."""
        return ()


class TrainStage(StageSettings):
    """An agent learns.

    Attributes:
        kind: `train`.
        agent: name of an agent of the experiment.
        steps: of all environments together.
        init: stage whose policy it begins with; new weights if left out.
    """

    kind: Literal["train"]
    agent: str
    steps: Count
    init: str | None = None

    @property
    def sources(self) -> tuple[str, ...]:
        """The stage whose policy it begins with."""
        return () if self.init is None else (self.init,)


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
    def sources(self) -> tuple[str, ...]:
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


Stage = TrainStage | FrozenStage | WalkStage | HardnessStage | FinalStage


class ExperimentConfig(Section):
    """Every setting of an experiment.

    Attributes:
        name: of the folder of its results, under `runs` unless told otherwise.
        title: of its report.
        paper: number of the experiment of arXiv 1911.03769 that it repeats; none if left out.
        scaled: what differs from the paper's experiment, sentence by sentence.
        environment: how networks are built and rewarded, where a stage says nothing else.
        agents: the agents by the name that stages call them.
        tasks: likewise.
        stages: by name, in the order in which they are done.
        seed: of every stage that has none of its own.
    """

    name: Annotated[str, Field(pattern=r"^[\w.-]+$")]
    title: str
    paper: Annotated[int, Field(ge=1, le=3)] | None = None
    scaled: tuple[str, ...] = ()
    environment: EnvironmentSettings = EnvironmentSettings()
    agents: dict[str, Agent] = Field(default_factory=dict)
    tasks: dict[str, ExperimentTask]
    stages: Annotated[
        dict[Annotated[str, Field(pattern=r"^[\w.-]+$")], Annotated[Stage, Field(discriminator="kind")]],
        Field(min_length=1),
    ]
    seed: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        before: list[str] = []
        for name, stage in self.stages.items():
            for task in stage.tasks:
                _known(task, self.tasks, f"stages.{name}.tasks", "task")
            if isinstance(stage, TrainStage):
                _known(stage.agent, self.agents, f"stages.{name}.agent", "agent")
            elif not isinstance(stage, HardnessStage) and len(stage.tasks) > 1:
                raise ValueError(f"stages.{name}.tasks: a stage of kind {stage.kind!r} has one task")
            for source in stage.sources:
                if "/" not in source or isinstance(stage, FinalStage):
                    _known(source, before, f"stages.{name}", "earlier stage")
            before.append(name)
        return self

    def environment_of(self, stage: str) -> EnvironmentSettings:
        """Return how networks are built and rewarded in a stage.

        Raises:
            ConfigurationError: an unknown key or a wrong value; names the stage.
        """
        settings = merged(self.environment.model_dump(mode="json"), self.stages[stage].environment)
        try:
            return EnvironmentSettings.model_validate(settings)
        except ValidationError as error:
            raise ConfigurationError(explain(error, f"stages.{stage}.environment", EnvironmentSettings)) from error


@dataclass(frozen=True, slots=True)
class _Defaults:
    """Tables that hold what entries of another table have in common.

    Attributes:
        name: of the table.
        entries: of the table whose entries have it.
    """

    name: str
    entries: str


_DEFAULTS = (_Defaults("task", "tasks"), _Defaults("stage", "stages"))


def read_experiment(file: Path, data: Path | None = None) -> ExperimentConfig:
    """Return the experiment in a TOML file.

    `extends` names a file beside it, whose settings hold where this one says nothing else. `[defaults.task]` and
    `[defaults.stage]` hold for every task and every stage that says nothing else.

    Args:
        file: of the experiment.
        data: folder that the tasks' sources are in; sources stand for themselves if `None`.

    Raises:
        ConfigurationError: a file cannot be read, extends itself, or has an unknown key or a wrong value.
    """
    settings = _extended(file, ())
    defaults = settings.pop("defaults", {})
    for default in _DEFAULTS:
        common, entries = defaults.pop(default.name, {}), settings.get(default.entries)
        if isinstance(entries, Mapping):
            settings[default.entries] = {
                name: merged(common, entry) if isinstance(entry, Mapping) else entry for name, entry in entries.items()
            }
    if defaults:
        known = [default.name for default in _DEFAULTS]
        unknown = next(iter(defaults))
        raise ConfigurationError(f"In {file}: unknown key 'defaults.{unknown}'.{nearest(unknown, known)}")
    if data is not None:
        settings["tasks"] = {name: _placed(task, data) for name, task in settings.get("tasks", {}).items()}
    try:
        return ExperimentConfig.model_validate(settings)
    except ValidationError as error:
        raise ConfigurationError(explain(error, str(file), ExperimentConfig)) from error


def _extended(file: Path, before: tuple[Path, ...]) -> dict[str, Any]:
    """Return the settings of a file on top of those that it extends."""
    if file.resolve() in before:
        raise ConfigurationError(f"{file} extends itself; leave one `extends` out.")
    settings = read_config(file)
    base = settings.pop("extends", None)
    if base is None:
        return settings
    if not isinstance(base, str):
        raise ConfigurationError(f"In {file}: 'extends' is {base!r}: it names one file.")
    return merged(_extended(file.parent / base, (*before, file.resolve())), settings)


def _placed(task: Any, data: Path) -> Any:
    """Return the settings of a task whose source is in the folder `data`."""
    if not isinstance(task, Mapping) or not isinstance(task.get("source"), str):
        return task
    inside = data / task["source"]
    return {**task, "source": str(inside)} if inside.exists() or not data.is_dir() else task


def _known(name: str, names: Any, where: str, what: str) -> None:
    if name not in names:
        listed = ", ".join(names) or "none"
        raise ValueError(f"{where} names an unknown {what}, {name!r} (known: {listed}).{nearest(name, list(names))}")
