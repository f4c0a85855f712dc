"""The numbers of arXiv 1911.03769, to stand beside ours; source and licence are in `paper_tables.json`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from nasgym.report.experiment_report import PaperAgent, StageKind, StageRecord, TaskRecord


@dataclass(frozen=True, slots=True)
class PaperStage:
    """What the paper says of a stage.

    Attributes:
        dataset: its data set.
        kind: how its episodes came about.
        agent: who acted.
        sigma: share of the accuracy that a pointer shift earns; `None` where there are no pointers.
        steps: number of actions.
        hours: on one Tesla K40m; `None` where the paper tells none.
        table: where the hours stand; empty for none.
    """

    dataset: str
    kind: StageKind
    agent: PaperAgent
    sigma: float | None
    steps: int
    hours: float | None
    table: str


@dataclass(frozen=True, slots=True)
class PaperTraining:
    """A row of Table 6: the more intensive training of a network.

    Attributes:
        dataset: its data set.
        place: 1 for the best network found, 2 for the next, 0 for the one designed by hand.
        label: what the paper calls it.
        mean: accuracy over 5 trainings, in [0, 1].
        two_sd: twice its standard deviation.
    """

    dataset: str
    place: int
    label: str
    mean: float
    two_sd: float


@dataclass(frozen=True, slots=True)
class PaperNetwork:
    """One of the best networks (figures 18 to 21).

    Attributes:
        figure: which drawing of the paper it is: `19a`.
        dataset: where it was found.
        accuracy: after its short training, in [0, 1].
        architecture: its text.
        last_side: side of its last feature map on images of 84 pixels.
    """

    figure: str
    dataset: str
    accuracy: float
    architecture: str
    last_side: int


@dataclass(frozen=True, slots=True)
class Paper:
    """The numbers of the paper.

    Attributes:
        source: where they come from.
        licence: of that.
        stages: of experiments 1 to 3.
        hardness: the short walks of Appendix A.
        hardness_summary: what they showed, in words.
        intensive: rows of Table 6.
        networks: the best ones, in the order of the figures.
        actions: names of the actions of the chain space, by number.
        proportions: of the actions that the meta-A2C agent took, by data set.
        wilcoxon_p: of the signed-rank test on the proportions of the two evaluation sets.
    """

    source: str
    licence: str
    stages: tuple[PaperStage, ...]
    hardness: tuple[PaperStage, ...]
    hardness_summary: str
    intensive: tuple[PaperTraining, ...]
    networks: tuple[PaperNetwork, ...]
    actions: tuple[str, ...]
    proportions: Mapping[str, tuple[float, ...]]
    wilcoxon_p: float

    def stage(self, stage: StageRecord, task: TaskRecord) -> PaperStage | None:
        """Return the stage that `stage` on `task` stands for; `None` for none."""
        asked = (task.stands_for, stage.kind, stage.paper_agent, stage.sigma)
        return next((one for one in self.stages if (one.dataset, one.kind, one.agent, one.sigma) == asked), None)

    def short_walk(self, task: TaskRecord) -> PaperStage | None:
        """Return the walk of Appendix A on the data set that `task` stands for; `None` for none."""
        return next((one for one in self.hardness if one.dataset == task.stands_for), None)

    def training(self, task: TaskRecord, place: int) -> PaperTraining | None:
        """Return the row of Table 6 for the network at `place` on the data set that `task` stands for."""
        asked = (task.stands_for, place)
        return next((one for one in self.intensive if (one.dataset, one.place) == asked), None)

    def proportions_of(self, stage: StageRecord, task: TaskRecord) -> tuple[float, ...] | None:
        """Return the proportions of the actions in the stage that `stage` stands for; `None` for none known."""
        known = self.stage(stage, task)
        if known is None or known.agent is not PaperAgent.META or stage.actions != self.actions:
            return None
        return self.proportions.get(known.dataset)


def read_paper() -> Paper:
    """Return the numbers that come with the package."""
    content = json.loads((files("nasgym.report") / "paper_tables.json").read_text("utf-8"))
    return Paper(
        source=content["source"],
        licence=content["licence"],
        stages=tuple(map(_stage, content["stages"])),
        hardness=tuple(map(_stage, content["hardness"]["stages"])),
        hardness_summary=content["hardness"]["summary"],
        intensive=tuple(PaperTraining(**row) for row in content["intensive"]),
        networks=tuple(
            PaperNetwork(row["figure"], row["dataset"], row["accuracy"], row["architecture"], row["last_side"])
            for row in content["networks"]
        ),
        actions=tuple(content["actions"]),
        proportions={name: tuple(shares) for name, shares in content["proportions"].items()},
        wilcoxon_p=content["wilcoxon_p"],
    )


def _stage(row: dict[str, Any]) -> PaperStage:
    kind, agent = StageKind(row["kind"]), PaperAgent(row["agent"])
    return PaperStage(row["dataset"], kind, agent, row["sigma"], row["steps"], row["hours"], row["table"])
