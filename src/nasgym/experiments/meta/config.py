"""One typed configuration of a meta-training, from a TOML file and the options on top of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from nasgym.core.errors import ConfigurationError
from nasgym.envs.config import Objective, RewardTiming
from nasgym.envs.signals import Signal
from nasgym.evaluation.loading import TRAINING
from nasgym.experiments.config import Count, DataSettings, RayWorkers, Seconds, Section, explain

TABLE_ENVIRONMENTS, LIVE_ENVIRONMENTS = 64, 4
"""Environments side by side unless told otherwise: where a table answers, and where networks are trained."""


def _one_or_more(value: object) -> object:
    return value if isinstance(value, list | tuple) else (value,)


def _settings_of_a_source(value: object) -> object:
    return {"source": value} if isinstance(value, str) else value


Counts = Annotated[tuple[Count, ...], BeforeValidator(_one_or_more), Field(min_length=1)]
"""One number or several; each makes a task of its own."""


class TaskSettings(DataSettings):
    """One task or several alike: images and how they are split, or the name of a task of a table.

    A list in place of a number makes a task for each of its numbers.

    Attributes:
        name: what to call it; told by the source and by what varies unless given.
        subsets: tasks made of so many random subsets of the classes.
        n_classes: classes in each subset.
        samples: training images used; all of them if left out.
        epochs: of each evaluation; the profile's own number if left out.
        max_parameters: a network may have.
        max_flops: operations per image.
        max_memory: bytes of int8 weights and peak activations.
    """

    name: str | None = None
    subsets: Count | None = None
    n_classes: Annotated[int, Field(ge=2)] | None = None
    samples: Counts | None = None
    epochs: Counts | None = None
    max_parameters: Counts | None = None
    max_flops: Counts | None = None
    max_memory: Counts | None = None

    @model_validator(mode="after")
    def _subsets_have_a_size(self) -> Self:
        if (self.subsets is None) != (self.n_classes is None):
            raise ValueError("subsets and n_classes go together: how many subsets, and of how many classes each")
        return self


TaskList = Annotated[
    tuple[Annotated[TaskSettings, BeforeValidator(_settings_of_a_source)], ...], BeforeValidator(_one_or_more)
]


class TasksSettings(Section):
    """What meta-episodes are about.

    Attributes:
        table: file of a table that answers; then the other entries name tasks in it.
        surrogate: file of a surrogate that answers, likewise.
        train: tasks that meta-episodes draw from, all equally often.
        validation: held-out tasks that the policy is judged by while it learns; the best policy is kept.
        test: held-out tasks for `meta-test`; training never touches them.
    """

    table: Path | None = None
    surrogate: Path | None = None
    train: Annotated[TaskList, Field(min_length=1)]
    validation: TaskList = ()
    test: TaskList = ()

    @model_validator(mode="after")
    def _one_source_of_answers(self) -> Self:
        if self.table is not None and self.surrogate is not None:
            raise ValueError("table and surrogate exclude each other: one of them answers")
        return self

    @property
    def are_live(self) -> bool:
        """Whether networks are really trained."""
        return self.table is None and self.surrogate is None


class EnvironmentSettings(Section):
    """How networks are built and rewarded.

    Attributes:
        space: name or YAML file of a search space; that of the table, else `chain`, if left out.
        max_layers: largest number of layers; the space's own if left out.
        max_steps: steps after which an episode is cut; the space's own number if left out.
        profile: how an architecture becomes a trained network; a table has its own.
        estimator: what tells how good a network is where there is no table: `training`, or the name of a plug-in.
        reward_timing: `terminal`: a network is trained where an episode ends; `every_step`: after each step.
        objective: `accuracy`, or `improvement` over the best of the meta-episode so far.
        shift_reward: factor of the reward when a pointer was shifted.
        reward: `accuracy`, or `blockqnn`, which also counts FLOPs and density.
        episodes: K, episodes in a meta-episode.
        signals: what is observed beside the architecture.
        describe_task: whether a description of the images is observed, too.
        masks: whether agents are told which actions lead nowhere; those of the paper are not.
        environments: how many are played side by side; `TABLE_ENVIRONMENTS` or `LIVE_ENVIRONMENTS` if left out, and one
            for `paper` and `dqn`.
    """

    space: str | None = None
    max_layers: Count | None = None
    max_steps: Count | None = None
    profile: str = "default"
    estimator: str = TRAINING
    reward_timing: RewardTiming = RewardTiming.TERMINAL
    objective: Objective = Objective.ACCURACY
    shift_reward: Annotated[float, Field(ge=0, le=1)] = 0.5
    reward: str = "accuracy"
    episodes: Count = 10
    signals: tuple[Signal, ...] = tuple(Signal)
    describe_task: bool = False
    masks: bool = True
    environments: Count | None = None


class WorkerSettings(Section):
    """Who trains networks.

    Attributes:
        workers: processes that train networks; one per core if left out, 0 for the calling process.
        executor: where they are: `processes` on this machine, or `ray`.
        ray: where Ray is, and what a worker takes of it.
    """

    workers: Annotated[int, Field(ge=0)] | None = None
    executor: Literal["processes", "ray"] = "processes"
    ray: RayWorkers = RayWorkers()


class RunSettings(WorkerSettings):
    """How long, how often, where; and who trains networks.

    Attributes:
        steps: of all environments together.
        evaluate_every: steps between two looks at the validation tasks; a twentieth of all if left out.
        evaluation_meta_episodes: meta-episodes on each validation task at each look.
        checkpoint_every: time between two checkpoints; what happened since the last is played again after a kill.
        seed: of everything.
        trace: whether every step of the training is kept in the store; meant for networks that are really trained.
        device: that the agent computes on: `auto`, `cpu` or `cuda`.
        store: file or URL of the store.
        out: folder for the results; `runs/NAME` if left out.
    """

    steps: Count = 1_000_000
    evaluate_every: Count | None = None
    evaluation_meta_episodes: Count = 16
    checkpoint_every: Seconds = 60.0
    seed: Annotated[int, Field(ge=0)] = 0
    trace: bool = False
    device: str = "cpu"
    store: str | None = None
    out: Path | None = None

    @property
    def steps_between_looks(self) -> int:
        """Steps between two looks at the validation tasks."""
        return self.evaluate_every or max(1, self.steps // 20)


class AgentSettings(Section):
    """Which agent learns.

    Attributes:
        name: of a configuration: `rl2`, `paper`, `a2c`, `ppo`, `reinforce`, `dqn`, `masked-ppo`, or a plug-in.
        init: file of a policy whose weights it begins with; new ones if left out.
        settings: what differs from it, section by section.
    """

    name: str = "rl2"
    init: Path | None = None
    settings: dict[str, Any] = Field(default_factory=dict)


class MetaConfig(Section):
    """Every setting of a meta-training.

    Attributes:
        agent: which agent learns.
        environment: how networks are built and rewarded.
        tasks: what meta-episodes are about.
        run: how long, how often, where.
    """

    agent: AgentSettings = AgentSettings()
    environment: EnvironmentSettings = EnvironmentSettings()
    tasks: TasksSettings
    run: RunSettings = RunSettings()

    def environments(self, wish: int | None = None) -> int:
        """Return how many environments are played side by side, if the agent has this `wish`."""
        default = LIVE_ENVIRONMENTS if self.tasks.are_live else TABLE_ENVIRONMENTS
        return self.environment.environments or wish or default


def make_meta_config(settings: Mapping[str, Any], *, source: str = "the settings") -> MetaConfig:
    """Return the validated configuration; `source` says in errors where the settings come from.

    What `[agent]` holds beside `name` and `init` are settings of that agent.

    Raises:
        ConfigurationError: an unknown key (names the nearest one) or a wrong value.
    """
    values = dict(settings)
    if "agent" in values:
        values["agent"] = split_agent(values["agent"])
    try:
        return MetaConfig.model_validate(values)
    except ValidationError as error:
        raise ConfigurationError(explain(error, source, MetaConfig)) from error


def split_agent(agent: Any) -> Any:
    """Return the settings of an agent with those that are not common to all agents under `settings`."""
    if not isinstance(agent, Mapping) or "settings" in agent:
        return agent
    common = {key: value for key, value in agent.items() if key in ("name", "init")}
    return common | {"settings": {key: agent[key] for key in agent if key not in common}}


def make_workers(settings: Mapping[str, Any]) -> WorkerSettings:
    """Return the validated settings of workers.

    Raises:
        ConfigurationError: a wrong value.
    """
    try:
        return WorkerSettings.model_validate(dict(settings))
    except ValidationError as error:
        raise ConfigurationError(explain(error, "the options", WorkerSettings)) from error
