"""The numbers of an experiment as JSON: what its figures and tables show, and what the paper says."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from nasgym.report.experiment_findings import Finding
from nasgym.report.experiment_paper import Paper
from nasgym.report.experiment_report import ExperimentReport, StageRecord
from nasgym.report.experiment_statistics import block_size, blocks, multi_branch_count, shares
from nasgym.report.experiment_tables import best_of


def numbers(report: ExperimentReport, found: Sequence[Finding], paper: Paper) -> dict[str, Any]:
    """Return everything that is shown, as JSON knows it; accuracies and shares in [0, 1], times in seconds."""
    return {
        "name": report.name,
        "title": report.title,
        **asdict(report.facts),
        "scaled": list(report.scaled),
        "tasks": [asdict(task) for task in report.tasks],
        "stages": [_stage(report, stage, paper) for stage in report.stages],
        "intensive": [
            {name: value for name, value in asdict(one).items() if name != "profile"}
            | {"paper": _or_none(paper.training(report.task(one.task), one.place))}
            for one in report.finals
        ],
        "hardness": [
            asdict(one) | {"paper": _or_none(paper.short_walk(report.task(one.task)))} for one in report.hardness
        ],
        "surrogates": [asdict(one) for one in report.surrogates],
        "findings": [asdict(one) for one in found],
        "paper": {"source": paper.source, "licence": paper.licence},
    }


def _stage(report: ExperimentReport, stage: StageRecord, paper: Paper) -> dict[str, Any]:
    task = report.task(stage.task)
    size = block_size(len(stage.episodes))
    known: dict[str, bool] = {}
    quantities = {
        "best": [one.best for one in stage.episodes],
        "accumulated": [one.accumulated for one in stage.episodes],
        "length": [float(one.length) for one in stage.episodes],
        "multi_branch": [float(multi_branch_count(one, known)) for one in stage.episodes],
    }
    best = best_of(stage)
    return {
        "name": stage.name,
        "kind": stage.kind.value,
        "agent": stage.agent,
        "task": stage.task,
        "init": stage.init,
        "surrogate": stage.surrogate,
        "sigma": stage.sigma,
        "interrupted": stage.interrupted,
        "steps": stage.steps,
        "episodes": len(stage.episodes),
        "seconds": stage.seconds,
        "networks_evaluated": stage.networks_evaluated,
        "networks_trained": stage.networks_trained,
        "best": None
        if best is None
        else {"episode": best[0], "architecture": best[1].best_network, "accuracy": best[1].best},
        "blocks": {name: asdict(blocks(values, size)) for name, values in quantities.items()},
        "entropies": [list(pair) for pair in stage.entropies],
        "actions": dict(zip(stage.actions, shares(stage.episodes, len(stage.actions)), strict=True)),
        "paper": _or_none(paper.stage(stage, task)),
        "paper_actions": paper.proportions_of(stage, task),
    }


def _or_none(value: Any) -> dict[str, Any] | None:
    return None if value is None else asdict(value)
