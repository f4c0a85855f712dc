"""One typed configuration of an experiment: tasks, agents, and stages that are done one after the other."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from nasgym.core.errors import ConfigurationError, nearest
from nasgym.experiments.config import Section, explain, merged, read_config
from nasgym.experiments.meta.config import AgentSettings, EnvironmentSettings, TaskSettings, split_agent
from nasgym.experiments.stages.kinds import (
    FinalStage,
    FrozenStage,
    Stage,
    TrainStage,
    WalkStage,
    refuse_wrong_sources,
)

Agent = Annotated[AgentSettings, BeforeValidator(split_agent)]


class ExperimentTask(TaskSettings):
    """One task of an experiment: as of a meta-training, and which data set of the paper it is.

    Attributes:
        paper: data set of arXiv 1911.03769 in whose place it stands; empty for none.
    """

    paper: str = ""


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
        before: dict[str, Stage] = {}
        for name, stage in self.stages.items():
            for task in stage.tasks:
                _known(task, self.tasks, f"stages.{name}.tasks", "task")
            if isinstance(stage, TrainStage):
                _known(stage.agent, self.agents, f"stages.{name}.agent", "agent")
            elif isinstance(stage, FrozenStage | WalkStage | FinalStage) and len(stage.tasks) > 1:
                raise ValueError(f"stages.{name}.tasks: a stage of kind {stage.kind!r} has one task")
            for source in stage.sources:
                if "/" not in source or source not in stage.policies:
                    _known(source, before, f"stages.{name}", "earlier stage")
            refuse_wrong_sources(name, stage, before)
            before[name] = stage
        return self

    @property
    def fingerprint(self) -> str:
        """What decides the results but the seed, in short: equal for two that differ by seed and folder of data only.

        The classes of random subsets depend on what their source is called, its folder included.
        """
        settings = self.model_dump(mode="json", exclude={"seed", "title", "scaled"})
        for task in settings["tasks"].values():
            if task["subsets"] is None:
                task["source"] = Path(task["source"]).name
        return hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:16]

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


def read_experiment(file: Path, data: Path | None = None, seed: int | None = None) -> ExperimentConfig:
    """Return the experiment in a TOML file.

    `extends` names a file beside it, whose settings hold where this one says nothing else. `[defaults.task]` and
    `[defaults.stage]` hold for every task and every stage that says nothing else.

    Args:
        file: of the experiment.
        data: folder that the tasks' sources are in; sources stand for themselves if `None`.
        seed: in place of the file's; at least 0.

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
    if seed is not None:
        settings["seed"] = seed
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
