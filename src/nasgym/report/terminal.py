"""What a terminal shows of a search when it ends."""

from rich.table import Table
from rich.text import Text

from nasgym.report.formatting import percent, quantity, sentence_case
from nasgym.report.headline import headline
from nasgym.report.search_report import SearchReport


def summary_table(report: SearchReport) -> Table:
    """Return the headline, and below it the best network beside the baselines."""
    words = headline(report)
    table = Table(title=Text(words.claim, style="bold"), title_justify="left")
    table.add_column("model", overflow="fold")
    for name in ("validation", "test", "parameters", "int8 memory"):
        table.add_column(name, justify="right", no_wrap=True)
    chosen = report.chosen
    if chosen is not None and report.test is not None:
        table.add_row(
            _model("Best network", chosen.architecture),
            percent(chosen.accuracy),
            percent(report.test.accuracy),
            quantity(chosen.outcome.metrics.parameters),
            quantity(chosen.memory, "B"),
            style="green",
        )
    elif report.ranked:
        best = report.ranked[0]
        table.add_row(
            _model("Best network so far", best.architecture),
            percent(best.accuracy),
            percent(None),
            quantity(best.outcome.metrics.parameters),
            quantity(best.memory, "B"),
            style="green",
        )
    for baseline in report.baselines:
        table.add_row(
            _model(sentence_case(baseline.name), baseline.architecture),
            percent(baseline.validation_accuracy),
            percent(baseline.test_accuracy),
            quantity(baseline.parameters),
            quantity(baseline.memory, "B"),
        )
    table.caption = Text(" ".join(text for text in (words.detail, words.command, words.warning) if text))
    table.caption_justify = "left"
    return table


def _model(name: str, architecture: str) -> Text:
    return Text(f"{name}\n{architecture}" if architecture else name)
