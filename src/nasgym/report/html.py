"""The HTML page of a search: one file, nothing fetched from anywhere."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import ascii_uppercase

from nasgym.evaluation.outcome import FailureKind, Outcome
from nasgym.report import figures, formatting
from nasgym.report.drawings import Drawing, draw_network
from nasgym.report.figures import Curve, Level, Point
from nasgym.report.headline import headline
from nasgym.report.pages import Picture, page_environment, picture, write_page
from nasgym.report.search_report import Candidate, SearchReport
from nasgym.report.statistics import ClassResult, class_results, incumbents, mistakes, proportion_interval

_DRAWN_WITHOUT_FINALISTS = 3
_CLASSES_IN_MATRIX = 20
_CLASSES_SHOWN = 12
_MISTAKES_SHOWN = 10
_FAILURES_SHOWN = 3
_FAILURES = {
    FailureKind.INVALID: "Cannot exist on these images",
    FailureKind.OVER_BUDGET: "Over the budget",
    FailureKind.OUT_OF_MEMORY: "Out of memory",
    FailureKind.DIVERGED: "Training diverged",
    FailureKind.TIMED_OUT: "Took too long",
    FailureKind.WORKER_LOST: "Its process died",
    FailureKind.MISSING: "Not in the table",
}


@dataclass(frozen=True, slots=True)
class Card:
    """One of the best networks, as the page shows it.

    Attributes:
        letter: its name in the figures.
        architecture: its text.
        drawing: how it looks.
        chosen: whether its weights were kept and tested.
        search_accuracy: validation accuracy in the search.
        accuracy: validation accuracy after the longer training; `None` where there was none.
        outcome: where its costs are read from.
        memory: bytes at int8; 0 where unknown.
    """

    letter: str
    architecture: str
    drawing: Drawing
    chosen: bool
    search_accuracy: float
    accuracy: float | None
    outcome: Outcome
    memory: int


def render(report: SearchReport) -> str:
    """Return the page of a search as HTML text; it needs no other file and no network."""
    environment = page_environment()
    environment.filters["failure"] = _FAILURES.__getitem__
    environment.filters["quote"] = shlex.quote
    environment.filters["sparkline"] = _sparkline
    confusion = report.test.confusion if report.test else ()
    ranked_classes = _hardest_first(class_results(confusion))
    return environment.get_template("search.html.j2").render(
        report=report,
        headline=headline(report),
        cards=_cards(report),
        search_pictures=_search_pictures(report),
        network_pictures=_network_pictures(report),
        interval=proportion_interval(report.test.accuracy, report.task.test)
        if report.test and report.task.test
        else None,
        classes=ranked_classes,
        classes_shown=_CLASSES_SHOWN,
        confusion=confusion if len(confusion) <= _CLASSES_IN_MATRIX else (),
        mistakes=mistakes(confusion, _MISTAKES_SHOWN),
        failures_shown=_FAILURES_SHOWN,
        any_from_store=any(candidate.from_store for candidate in report.candidates),
    )


def write(report: SearchReport, path: Path) -> None:
    """Write the page of a search to `path`, whole or not at all.

    Raises:
        ReportError: the file cannot be written.
    """
    write_page(render(report), path, "the search itself is safe in its store")


def _cards(report: SearchReport) -> tuple[Card, ...]:
    """Return the finalists, or the best networks of the search where there are none."""
    if report.finalists:
        return tuple(
            Card(
                letter=_letter(index),
                architecture=one.architecture,
                drawing=draw_network(one.architecture, report, f"network-{index}-"),
                chosen=report.chosen is one,
                search_accuracy=one.search_validation_accuracy,
                accuracy=one.accuracy,
                outcome=one.outcome,
                memory=one.memory,
            )
            for index, one in enumerate(report.finalists)
        )
    return tuple(
        Card(
            letter=_letter(index),
            architecture=one.architecture,
            drawing=draw_network(one.architecture, report, f"network-{index}-"),
            chosen=False,
            search_accuracy=accuracy,
            accuracy=None,
            outcome=one.outcome,
            memory=one.memory,
        )
        for index, one in enumerate(report.ranked[:_DRAWN_WITHOUT_FINALISTS])
        if (accuracy := one.accuracy) is not None
    )


def _letter(index: int) -> str:
    """Return A … Z, then 27, 28, …"""
    return ascii_uppercase[index] if index < len(ascii_uppercase) else str(index + 1)


def _search_pictures(report: SearchReport) -> tuple[Picture, ...]:
    """Return the anytime curves: against networks, and against training time where any was spent."""
    if not report.candidates:
        return ()
    scores = [candidate.accuracy for candidate in report.candidates]
    names = [_hover(candidate) for candidate in report.candidates]
    levels = [Level(baseline.name, baseline.validation_accuracy) for baseline in report.baselines]
    numbers = [float(candidate.number) for candidate in report.candidates]
    pictures = [
        picture(
            "Best so far, by networks evaluated",
            figures.anytime_curve(numbers, scores, names, levels, unit="networks evaluated"),
            _when_found(scores),
        )
    ]
    spent = _cumulative_seconds(report.candidates)
    if spent[-1] > 0:
        scale, unit = _time_scale(spent[-1])
        chart = figures.anytime_curve([at / scale for at in spent], scores, names, levels, unit=unit)
        note = "Training time, summed over all processes; networks answered by the store cost nothing."
        pictures.append(picture("Best so far, by time spent training", chart, note))
    return tuple(pictures)


def _network_pictures(report: SearchReport) -> tuple[Picture, ...]:
    """Return accuracy against parameters, and the learning curves of the finalists."""
    pictures = []
    points = [
        Point(_hover(candidate), candidate.outcome.metrics.parameters, accuracy)
        for candidate in report.candidates
        if (accuracy := candidate.accuracy) is not None and candidate.outcome.metrics.parameters
    ]
    letters = [(_letter(index), one) for index, one in enumerate(report.finalists)]
    if points:
        promoted = [
            Point(
                f"{letter}: {one.architecture} – {formatting.percent(accuracy)} after longer training",
                one.outcome.metrics.parameters,
                accuracy,
                label=letter,
                before=one.search_validation_accuracy,
            )
            for letter, one in letters
            if (accuracy := one.accuracy) is not None and one.outcome.metrics.parameters
        ]
        compared = [
            Point(
                f"{baseline.name} – {formatting.percent(baseline.validation_accuracy)}",
                baseline.parameters,
                baseline.validation_accuracy,
            )
            for baseline in report.baselines
            if baseline.parameters
        ]
        levels = [
            Level(baseline.name, baseline.validation_accuracy)
            for baseline in report.baselines
            if not baseline.parameters
        ]
        chart = figures.accuracy_against_cost(points, promoted, compared, levels, unit="parameters")
        note = "Up and to the left is better. No network of the search beats those on the line at their size."
        pictures.append(picture("Accuracy against parameters", chart, note))
    curves = [
        Curve(letter, history) for letter, one in letters if (history := one.outcome.metrics.validation_accuracies)
    ]
    if curves:
        note = "A curve still rising at its end would gain from more epochs."
        pictures.append(picture("Longer training of the finalists", figures.learning_curves(curves), note))
    return tuple(pictures)


def _hover(candidate: Candidate) -> str:
    accuracy = candidate.accuracy
    result = "failed" if accuracy is None else formatting.percent(accuracy)
    return f"#{candidate.number} {candidate.architecture} – {result}"


def _when_found(scores: Sequence[float | None]) -> str:
    best = incumbents(scores)
    if best[-1] is None:
        return "Every network failed; the reasons are listed below."
    return f"The best network was number {best.index(best[-1]) + 1} of {formatting.integer(len(scores))}."


def _cumulative_seconds(candidates: Sequence[Candidate]) -> list[float]:
    spent, total = [], 0.0
    for candidate in candidates:
        total += 0.0 if candidate.from_store else candidate.outcome.metrics.seconds
        spent.append(total)
    return spent


def _time_scale(seconds: float) -> tuple[float, str]:
    if seconds < 180:
        return 1.0, "seconds of training"
    return (60.0, "minutes of training") if seconds < 3 * 3600 else (3600.0, "hours of training")


def _hardest_first(results: Sequence[ClassResult]) -> tuple[ClassResult, ...]:
    tested = [(accuracy, result) for result in results if (accuracy := result.accuracy) is not None]
    return tuple(result for _, result in sorted(tested, key=lambda pair: (pair[0], pair[1].label)))


def _sparkline(accuracies: Sequence[float]) -> str:
    """Return the `points` of a polyline in a box of 60 by 16; 0 is at the bottom, 1 at the top."""
    step = 58 / max(1, len(accuracies) - 1)
    return " ".join(f"{1 + index * step:.1f},{15 - 14 * value:.1f}" for index, value in enumerate(accuracies))
