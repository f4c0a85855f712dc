"""What HTML pages have in common: pictures, tiles, tables, and how a page is written."""

from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from nasgym.core.errors import ReportError
from nasgym.core.files import write_atomically
from nasgym.report import formatting
from nasgym.report.style import Chart
from nasgym.report.svg import embed_chart

_FILTERS = ("percent", "quantity", "integer", "duration", "plural", "sentence_case")


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure on the page.

    Attributes:
        title: heading.
        svg: `<svg>` element.
        note: what to see in it.
    """

    title: str
    svg: Markup
    note: str


@dataclass(frozen=True, slots=True)
class Tile:
    """A number at the head of the page.

    Attributes:
        label: what it is.
        value: the number, for people.
        note: what to know about it.
    """

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Grid:
    """A table.

    Attributes:
        headings: of the columns.
        rows: cells as text; those of the first column are headings, those after `texts` columns numbers.
        texts: columns of text at the left.
    """

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    texts: int = 1


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page.

    Attributes:
        id: anchor.
        title: heading.
        text: what to know before looking.
        pictures: figures.
        grid: table; `None` for none.
        pairs: names and values; empty for none.
        command: what to type; empty for nothing.
    """

    id: str
    title: str
    text: str = ""
    pictures: tuple[Picture, ...] = ()
    grid: Grid | None = None
    pairs: tuple[tuple[str, str], ...] = ()
    command: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """A whole page made of plain parts.

    Attributes:
        kind: what it is a page of.
        name: of what it is about.
        claim: the result in one sentence.
        lead: what stands below it.
        warning: what keeps the result from being one; empty for nothing.
        tiles: numbers at its head.
        sections: in their order.
        created: when it was made, as text for people.
    """

    kind: str
    name: str
    claim: str
    lead: str
    warning: str
    tiles: tuple[Tile, ...]
    sections: tuple[Section, ...]
    created: str


def picture(title: str, chart: Chart, note: str) -> Picture:
    """Return a chart as a figure of a page."""
    prefix = title.lower().replace(" ", "-").replace(",", "") + "-"
    return Picture(title, Markup(embed_chart(chart, prefix).text), note)


def page_environment() -> Environment:
    """Return where templates are found, with the filters that write numbers for people."""
    environment = Environment(
        loader=PackageLoader("nasgym.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in _FILTERS:
        environment.filters[name] = getattr(formatting, name)
    return environment


def render_page(page: Page) -> str:
    """Return a page as HTML text; it needs no other file and no network."""
    return page_environment().get_template("page.html.j2").render(page=page)


def write_page(text: str, path: Path, what_is_safe: str) -> None:
    """Write HTML text to `path`, whole or not at all.

    Args:
        text: of the page.
        path: of the file.
        what_is_safe: for the error: what does not depend on it.

    Raises:
        ReportError: the file cannot be written.
    """
    try:
        write_atomically(path, text.encode())
    except OSError as error:
        raise ReportError(
            f"The report cannot be written to {path}: {error.strerror or error}. "
            f"Choose another place with --out, or make room there; {what_is_safe}."
        ) from error
