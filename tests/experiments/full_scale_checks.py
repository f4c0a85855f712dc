"""What full-scale experiments must leave behind: every evaluation once, and every figure and table of the paper."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from nasgym.evaluation import Completed, Outcome
from nasgym.store import open_store

FINAL = "final:"
"""Estimators of final trainings begin so."""
TRAINED = re.compile(r" nasgym\.experiments\.\S+: (?:Trained|Final training of) ")
"""A line of the log that tells of a network that was trained."""
PLATES = ("best", "accumulated", "length", "actions", "network")
"""Figures of every task, by the ends of their files' names."""
FIGURES = {
    1: tuple(f"{task}-{what}" for task in ("omniglot", "vgg-flower", "dtd") for what in (*PLATES, "entropy")),
    2: (
        *(f"{task}-{what}" for task in ("aircraft", "cu-birds") for what in PLATES),
        *(f"aircraft-final-{number}" for number in (1, 2, 3)),
        *(f"cu-birds-final-{number}" for number in (4, 5, 6)),
    ),
    3: tuple(f"omniglot-{what}" for what in (*PLATES, "entropy", "branches")),
}
PARTS = {
    1: ("Running times", "Proportions of the actions", "Best networks", "How hard the data sets are", "Data"),
    2: ("Running times", "Proportions of the actions", "Best networks", "More intensive training", "Data"),
    3: ("Running times", "Proportions of the actions", "Best networks", "Data"),
}
"""Headings of the tables of section 6.1 and of appendix A."""
COUNTS = {1: (9, 0, 6), 2: (2, 6, 0), 3: (2, 0, 0)}
"""Stages with episodes, networks trained for long, sets whose hardness is told."""


class Problem(Exception):  # noqa: N818 - it ends the script with a sentence
    """Something is not as it must be."""


@dataclass(frozen=True)
class Kept:
    """The evaluations of a store.

    Attributes:
        outcomes: when it was kept, whose estimator answered, and what came out, by id.
    """

    outcomes: dict[str, tuple[str, str, Outcome]]

    @classmethod
    def of(cls, store: Path) -> "Kept":
        """Read them; there are none where there is no store yet."""
        if not store.exists():
            return cls({})
        with open_store(store, create=False) as opened:
            return cls({one.id: (str(one.created_at), one.key.estimator, one.outcome) for one in opened.evaluations()})

    def holds(self, earlier: "Kept") -> bool:
        """Return whether all of `earlier` are still there, as they were."""
        return self.outcomes.items() >= earlier.outcomes.items()

    def count(self, before: "Kept") -> int:
        """Return how many have been added."""
        return len(self.outcomes) - len(before.outcomes)


def check_trained_once(log: Path, before: Kept, after: Kept) -> int:
    """Compare what a log tells of with what a store has gained; return how many evaluations those are.

    A kill may fall between what is kept and what is told: one line may be missing for each.
    """
    told, added = len(TRAINED.findall(log.read_text(encoding="utf-8"))), after.count(before)
    if not added - 1 <= told <= added:
        raise Problem(f"{log.name} tells of {told} trainings, and the store has gained {added} evaluations")
    return added


def check_report(folder: Path, number: int) -> int:
    """Look for every figure, table and stage of an experiment in its report; return how many figures it has."""
    numbers = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    counted = tuple(len(numbers[name]) for name in ("stages", "intensive", "hardness"))
    if counted != COUNTS[number]:
        raise Problem(f"report {number} has {counted} stages, final trainings and walks, not {COUNTS[number]}")
    stopped = [stage["name"] for stage in numbers["stages"] if stage["interrupted"] or not stage["episodes"]]
    if stopped:
        raise Problem(f"report {number}: nothing of stages {', '.join(stopped)}")
    page, text = ((folder / f"report.{kind}").read_text(encoding="utf-8") for kind in ("html", "md"))
    shown = set(re.findall(r"figures/([\w-]+)\.svg", text))
    missing = [name for name in (*FIGURES[number], *(["hardness"] if number == 1 else [])) if name not in shown]
    missing += [name for name in shown if not (folder / "figures" / f"{name}.svg").exists()]
    missing += [title for title in PARTS[number] if f"### {title}" not in text or title not in page]
    if missing:
        raise Problem(f"report {number} lacks {', '.join(missing)}")
    if page.count("<svg") < len(shown):
        raise Problem(f"report {number}: the page has {page.count('<svg')} figures of {len(shown)}")
    if number == 2 and not any("wilcoxon p" in one["values"] for one in numbers["findings"]):
        raise Problem("report 2 has no signed-rank test of the actions")
    return len(shown)


def check_same_outcomes(some: Kept, all_of_them: Kept) -> int:
    """Compare outcomes of the same networks, times and memory aside; return how many those are."""
    if not some.outcomes:
        raise Problem("nothing was trained on Ray")
    for name, (_, _, outcome) in some.outcomes.items():
        if name not in all_of_them.outcomes:
            raise Problem(f"evaluation {name} was done on Ray only")
        if _timeless(outcome) != _timeless(all_of_them.outcomes[name][2]):
            raise Problem(f"evaluation {name} has another outcome on Ray")
    return len(some.outcomes)


def _timeless(outcome: Outcome) -> object:
    metrics = outcome.metrics
    curves = (metrics.train_losses, metrics.validation_losses, metrics.validation_accuracies, metrics.parameters)
    return (outcome.accuracy, *curves) if isinstance(outcome, Completed) else (outcome.kind, *curves)
