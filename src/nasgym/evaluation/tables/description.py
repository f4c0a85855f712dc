"""What a table says about itself, as frozen values, and as JSON both ways."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from nasgym.architectures.skeletons import SKELETONS, Skeleton
from nasgym.core.errors import TableError
from nasgym.tasks import Fidelity, Task


@dataclass(frozen=True, slots=True)
class TableTask:
    """One task of a table, with the fidelity of its evaluations.

    Attributes:
        name: what people call it.
        fingerprint: identifies the data; requests are matched by it.
        input_shape: height, width and channels of one image.
        n_classes: number of classes.
        fidelity: of every evaluation of the task in this table.
        seeds: evaluation seeds of the repeats, in order: seed `seeds[k]` sees repeat `k`.
        metric: what the accuracies are, where they are not validation accuracies in the plain sense.
        test: what the scores for reporting are; empty where there are none.
    """

    name: str
    fingerprint: str
    input_shape: tuple[int, int, int]
    n_classes: int
    fidelity: Fidelity
    seeds: tuple[int, ...] = (0,)
    metric: str = "validation accuracy"
    test: str = ""

    @property
    def task(self) -> Task:
        """The same as a task: what an environment or a search is given."""
        return Task(
            self.name,
            self.fingerprint,
            self.input_shape,
            self.n_classes,
            fidelity=self.fidelity,
            evaluation_seed=self.seeds[0],
        )


@dataclass(frozen=True, slots=True)
class TableDescription:
    """What a table is about.

    Attributes:
        name: what people call it.
        tasks: in the order of the arrays.
        profile: name of the network profile: ids and costs follow from it.
        estimator: fingerprint of what found the accuracies.
        source: where they come from.
        licence: under which they may be used.
        space: name of the search space, or the text of its YAML file; empty where any network may be in it.
        skeleton: of every architecture in it.
    """

    name: str
    tasks: tuple[TableTask, ...]
    profile: str
    estimator: str
    source: str = ""
    licence: str = ""
    space: str = ""
    skeleton: Skeleton = Skeleton.LAYERED

    def __post_init__(self) -> None:
        if not self.tasks:
            raise TableError(f"Table {self.name!r} has no task; it needs at least one.")
        for task in self.tasks:
            if not task.seeds or len(set(task.seeds)) != len(task.seeds):
                raise TableError(f"Task {task.name!r} of table {self.name!r} needs distinct seeds, got {task.seeds}.")
        fingerprints = [task.fingerprint for task in self.tasks]
        if len(set(fingerprints)) != len(fingerprints):
            raise TableError(f"Two tasks of table {self.name!r} have the same data; a table has one fidelity for each.")

    @property
    def n_repeats(self) -> int:
        """The largest number of repeats of a task."""
        return max(len(task.seeds) for task in self.tasks)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "name": self.name,
            "profile": self.profile,
            "estimator": self.estimator,
            "source": self.source,
            "licence": self.licence,
            "space": self.space,
            "skeleton": self.skeleton.token,
            "tasks": [_task_to_json(task) for task in self.tasks],
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return the description that `to_json` gave.

        Raises:
            TableError: something is missing or unknown.
        """
        try:
            token = values["skeleton"]
            return cls(
                name=values["name"],
                tasks=tuple(_task_from_json(task) for task in values["tasks"]),
                profile=values["profile"],
                estimator=values["estimator"],
                source=values["source"],
                licence=values["licence"],
                space=values["space"],
                skeleton=Skeleton.LAYERED if token == Skeleton.LAYERED.token else SKELETONS[token],
            )
        except KeyError as error:
            raise TableError(f"The description of the table lacks, or does not know, {error}.") from error


def _task_to_json(task: TableTask) -> dict[str, Any]:
    fidelity = task.fidelity
    return {
        "name": task.name,
        "fingerprint": task.fingerprint,
        "input_shape": list(task.input_shape),
        "n_classes": task.n_classes,
        "epochs": fidelity.epochs,
        "resolution": fidelity.resolution,
        "samples": fidelity.samples,
        "seeds": list(task.seeds),
        "metric": task.metric,
        "test": task.test,
    }


def _task_from_json(values: Mapping[str, Any]) -> TableTask:
    height, width, channels = values["input_shape"]
    return TableTask(
        name=values["name"],
        fingerprint=values["fingerprint"],
        input_shape=(height, width, channels),
        n_classes=values["n_classes"],
        fidelity=Fidelity(values["epochs"], values["resolution"], values["samples"]),
        seeds=tuple(values["seeds"]),
        metric=values["metric"],
        test=values["test"],
    )
