"""An experiment's report as files: a page, figures, Markdown for documentation, and numbers."""

import json
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from nasgym.core.errors import ReportError
from nasgym.core.files import write_atomically
from nasgym.networks.drawing import to_svg
from nasgym.report.drawings import embed_network
from nasgym.report.experiment_findings import Finding, findings
from nasgym.report.experiment_json import numbers
from nasgym.report.experiment_paper import Paper, read_paper
from nasgym.report.experiment_parts import NetworkPlate, Part, Plate, parts
from nasgym.report.experiment_report import ExperimentReport
from nasgym.report.formatting import duration, integer, plural, quantity
from nasgym.report.pages import Grid, Page, Section, Sketch, Tile, ending, picture, render_page
from nasgym.report.svg import standalone_svg

FIGURES = "figures"
"""Folder of the figures, beside the Markdown that shows them."""
_WIDTH = 360
"""Pixels of a figure in Markdown; a row holds as many as fit."""


def write_experiment(report: ExperimentReport, folder: Path) -> None:
    """Write `report.html`, `report.md`, `figures/*.svg` and `report.json` into `folder`, which is made.

    The page needs no other file. The Markdown has no heading of its own above its sections' (`###`) and refers to
    the figures by relative paths, so that it can be put into a page of documentation.

    Raises:
        ReportError: a file cannot be written.
    """
    paper = read_paper()
    found = findings(report, paper)
    shown = tuple(parts(report, found, paper))
    files = {
        "report.html": render_page(_page(report, found, shown, paper)),
        "report.md": "\n\n".join(_markdown(report, shown, paper)) + "\n",
        "report.json": json.dumps(numbers(report, found, paper), indent=1, ensure_ascii=False) + "\n",
        **{f"{FIGURES}/{one.name}.svg": standalone_svg(one.chart) for part in shown for one in part.plates},
        **{f"{FIGURES}/{one.name}.svg": to_svg(one.architecture, one.plan) for part in shown for one in part.networks},
    }
    try:
        (folder / FIGURES).mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            write_atomically(folder / name, text.encode())
    except OSError as error:
        raise ReportError(
            f"The report cannot be written to {folder}: {error.strerror or error}. "
            "Choose another place with --out, or make room there; the rows that it shows are safe in their store."
        ) from error


def _page(report: ExperimentReport, found: Sequence[Finding], shown: Sequence[Part], paper: Paper) -> Page:
    facts = report.facts
    steps, networks = (sum(getattr(one, name) for one in report.stages) for name in ("steps", "networks_trained"))
    open_stages = [one.name for one in report.stages if one.interrupted]
    tiles = (
        Tile("Stages", integer(len(report.stages)), f"on {plural(len(report.tasks), 'data set')}"),
        Tile("Steps", quantity(steps), f"in {plural(sum(len(one.episodes) for one in report.stages), 'episode')}"),
        Tile("Networks trained", integer(networks), "each once; the store answers what it knows"),
        Tile("Time", duration(facts.seconds), facts.hardware),
    )
    versions = ", ".join(f"{name} {version}" for name, version in facts.versions)
    pairs = (
        ("Seeds", ", ".join(map(str, facts.seeds))),
        ("Store", facts.store),
        ("Started", facts.started),
        ("Hardware", facts.hardware),
        ("Versions", versions),
        ("Commit", facts.commit),
        ("The paper's numbers", f"{paper.source}; {paper.licence}"),
    )
    return Page(
        kind="experiment",
        name=report.name,
        claim=report.title,
        lead=_lead(found),
        warning=f"Not finished: {', '.join(open_stages)}. The same command goes on." if open_stages else "",
        tiles=tiles,
        sections=(*map(_section, shown), *ending(facts.settings, facts.command, pairs)),
        created=facts.started,
    )


def _lead(found: Sequence[Finding]) -> str:
    """Return the finding that says most: against random actions, else the first."""
    compared = [one for one in found if one.about == "against random"]
    return (compared or list(found))[0].text if found else "Nothing has been played yet."


def _section(part: Part) -> Section:
    return Section(
        part.id,
        part.title,
        part.text,
        part.points,
        tuple(picture(one.title, one.chart, one.note, one.name) for one in part.plates),
        tuple(_sketch(one) for one in part.networks),
        part.grid,
    )


def _sketch(one: NetworkPlate) -> Sketch:
    return Sketch(one.title, embed_network(one.architecture, one.plan, f"{one.name}-"), one.note)


def _markdown(report: ExperimentReport, shown: Sequence[Part], paper: Paper) -> Iterator[str]:
    """Yield the blocks of the Markdown."""
    yield f"```text\n{report.facts.command}\n```"
    for part in shown:
        yield f"### {part.title}"
        if part.text:
            yield _text(part.text)
        if part.points:
            yield "\n".join(f"- {_text(point)}" for point in part.points)
        if part.plates:
            yield "\n".join(_image(one) for one in part.plates)
        for one in part.networks:
            yield f"{one.title}. {one.note}\n\n![{one.architecture}]({FIGURES}/{one.name}.svg)"
        if part.grid is not None and part.grid.rows:
            yield _table(part.grid)
    facts = report.facts
    around = (facts.hardware, *(f"{name} {version}" for name, version in facts.versions), facts.started)
    yield _text(f"Seeds {', '.join(map(str, facts.seeds))}; {', '.join(one for one in around if one)}.")
    yield _text(f"The paper's numbers: {paper.source}.")


def _image(one: Plate) -> str:
    description = escape(f"{one.title}. {one.chart.description}", quote=True)
    return f'<img src="{FIGURES}/{one.name}.svg" width="{_WIDTH}" alt="{description}">'


def _table(grid: Grid) -> str:
    rules = ("---",) * grid.texts + ("---:",) * (len(grid.headings) - grid.texts)
    rows = [[_text(cell).replace("|", "\\|") for cell in row] for row in (grid.headings, *grid.rows)]
    return "\n".join("| " + " | ".join(row) + " |" for row in (rows[0], rules, *rows[1:]))


def _text(text: str) -> str:
    """Return a text that is no markup, with plain spaces."""
    return escape(text, quote=False).replace("\u00a0", " ").replace("\u202f", " ")
