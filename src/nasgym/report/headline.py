"""The first sentences of a report: what was found, in words a practitioner understands."""

from dataclasses import dataclass

from nasgym.report.formatting import article, enumeration, integer, percent, plural
from nasgym.report.search_report import Baseline, SearchReport


@dataclass(frozen=True, slots=True)
class Headline:
    """What a report says first.

    Attributes:
        claim: one sentence.
        detail: what to compare it with, or what to do next.
        warning: a reason not to use the result; empty where there is none.
        command: the command line that `detail` speaks of; empty where it speaks of none.
    """

    claim: str
    detail: str
    warning: str = ""
    command: str = ""


def headline(report: SearchReport) -> Headline:
    """Return the headline of a finished, interrupted or fruitless search."""
    if report.test is not None:
        return _tested(report, report.test.accuracy)
    if report.ranked:
        return _untested(report)
    if report.candidates:
        kind = next(iter(report.failures))
        return Headline(
            f"None of {plural(len(report.candidates), 'network')} could be evaluated.",
            f"Most failed for the same reason ({kind.value.replace('_', ' ')}): see the failures below.",
        )
    return Headline("No network has been evaluated yet.", "Go on with:", command=continuation(report))


def continuation(report: SearchReport) -> str:
    """Return the command that goes on with an interrupted search."""
    command = report.settings.command
    return command if "--resume" in command.split() else f"{command} --resume"


def _tested(report: SearchReport, accuracy: float) -> Headline:
    claim = f"The best network recognises {percent(accuracy)} of images it has never seen."
    compared = [(baseline, tested) for baseline in report.baselines if (tested := baseline.test_accuracy) is not None]
    detail = f"The network was chosen from {plural(len(report.candidates), 'network')} by validation accuracy."
    if compared:
        named = [f"{article(baseline.name)} {percent(tested)}" for baseline, tested in compared]
        named[0] = named[0].replace(compared[0][0].name, f"{compared[0][0].name} recognises", 1)
        detail = f"Of the same images, {enumeration(named)}. {detail}"
    return Headline(claim, detail, _warning([baseline for baseline, tested in compared if tested >= accuracy]))


def _warning(better: list[Baseline]) -> str:
    if not better:
        return ""
    names = enumeration([article(baseline.name) for baseline in better])
    return (
        f"On the test images {names} {'is' if len(better) == 1 else 'are'} at least as good. "
        "Give the search more time or more images, or use the simpler model."
    )


def _untested(report: SearchReport) -> Headline:
    best = percent(report.ranked[0].accuracy)
    count = len(report.candidates)
    if not report.run.interrupted:
        return Headline(
            f"The best of {plural(count, 'network')} recognises {best} of the validation images.",
            "No network was trained longer, so none has been tested.",
        )
    asked = report.settings.evaluations
    progress = plural(count, "network") if asked is None else f"{integer(count)} of {plural(asked, 'network')}"
    return Headline(
        f"Stopped after {progress}: the best so far recognises {best} of the validation images.",
        "Nothing is lost. Go on with:",
        command=continuation(report),
    )
