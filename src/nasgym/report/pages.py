"""What HTML pages have in common: pictures, tiles, tables, and how a page is written."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from nasgym.core.errors import ReportError
from nasgym.core.files import write_atomically
from nasgym.report import formatting
from nasgym.report.drawings import Drawing
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
class Sketch:
    """A network drawn on the page.

    Attributes:
        title: heading.
        drawing: how it looks.
        note: what to know about it.
    """

    title: str
    drawing: Drawing
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
        codes: which of them are architectures, commands and the like; `None` for all but the first.
    """

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    texts: int = 1
    codes: tuple[int, ...] | None = None

    def is_code(self, column: int) -> bool:
        """Return whether a column of text, the first being 0, is set as code."""
        return column > 0 if self.codes is None else column in self.codes


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page.

    Attributes:
        id: anchor.
        title: heading.
        text: what to know before looking.
        points: sentences of a list.
        pictures: figures.
        sketches: networks.
        grid: table; `None` for none.
        pairs: names and values; empty for none.
        command: what to type; empty for nothing.
    """

    id: str
    title: str
    text: str = ""
    points: tuple[str, ...] = ()
    pictures: tuple[Picture, ...] = ()
    sketches: tuple[Sketch, ...] = ()
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


def picture(title: str, chart: Chart, note: str, name: str = "") -> Picture:
    """Return a chart as a figure of a page; `name` tells it from others with the same title."""
    prefix = (name or title).lower().replace(" ", "-").replace(",", "") + "-"
    return Picture(title, Markup(embed_chart(chart, prefix).text), note)


def ending(settings: Sequence[tuple[str, str]], command: str, pairs: Sequence[tuple[str, str]]) -> tuple[Section, ...]:
    """Return the last sections of a page: settings, and how to do it again.

    Args:
        settings: (name, value) pairs; a long name may be broken at its dots and underscores.
        command: the command line that repeats what the page is about.
        pairs: what to know beside it; those without a value are left out.
    """
    return (
        Section("settings", "Settings", pairs=tuple((_breakable(name), value) for name, value in settings)),
        Section(
            "reproduce", "Do it again", command=command, pairs=tuple((name, value) for name, value in pairs if value)
        ),
    )


def _breakable(name: str) -> str:
    """Return the name of a setting with places where a line may end."""
    return name.replace(".", ".\u200b").replace("_", "_\u200b")


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
