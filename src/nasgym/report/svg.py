"""Pictures that can stand together in one page: ids that do not collide, colours from the style sheet."""

import io
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass

from nasgym.report.style import FONT, PALETTE, Chart, style

_SVG = "{http://www.w3.org/2000/svg}"
_LINK = "{http://www.w3.org/1999/xlink}href"
_FONT = re.compile(rf"'{FONT}'(, sans-serif)?")
_COLOURS = {code: name for name, code in PALETTE.items()}
_COLOUR = re.compile("|".join(_COLOURS))


@dataclass(frozen=True, slots=True)
class Embedded:
    """A picture inside a page.

    Attributes:
        text: `<svg>` element.
        width: of its view box, points.
        height: of its view box, points.
    """

    text: str
    width: float
    height: float


def embed_chart(chart: Chart, prefix: str) -> Embedded:
    """Return a chart as an `<svg>` element for a page.

    Points that have a text show it when pointed at; colours become the page's, so that they
    follow its light or dark scheme.

    Args:
        chart: what to draw.
        prefix: put before every id; another one for every picture of the page.
    """
    with style(), io.BytesIO() as file:
        chart.figure.savefig(file, format="svg", metadata={"Date": None})
        root = ElementTree.fromstring(file.getvalue())
    for gid, texts in chart.hover.items():
        _add_hover(root, gid, texts)
    for element in root.iter():
        if text := element.get("style"):
            element.set("style", _COLOUR.sub(_variable, _FONT.sub("var(--sans)", text)))
    return _embed(root, prefix, chart.description)


def standalone_svg(chart: Chart) -> str:
    """Return a chart as an SVG document on a white ground, the same for equal charts."""
    with style(), io.BytesIO() as file:
        chart.figure.savefig(file, format="svg", facecolor=PALETTE["paper"], metadata={"Date": None})
        return _FONT.sub(f"'{FONT}', Verdana, sans-serif", file.getvalue().decode())


def embed_svg(text: str, prefix: str, description: str) -> Embedded:
    """Return the SVG document `text` as an `<svg>` element for a page, its ids starting with `prefix`."""
    return _embed(ElementTree.fromstring(text), prefix, description)


def _variable(match: re.Match[str]) -> str:
    return f"var(--{_COLOURS[match.group()]})"


def _add_hover(root: ElementTree.Element, gid: str, texts: tuple[str, ...]) -> None:
    group = root.find(f".//{_SVG}g[@id='{gid}']")
    if group is not None:
        marks = list(group.iter(f"{_SVG}use"))
        for mark, text in zip(marks, texts, strict=True):
            ElementTree.SubElement(mark, f"{_SVG}title").text = text


def _leave_out(root: ElementTree.Element, *names: str) -> None:
    unwanted = {_SVG + name for name in names}
    for parent in list(root.iter()):
        for child in [child for child in parent if child.tag in unwanted]:
            parent.remove(child)


def _embed(root: ElementTree.Element, prefix: str, description: str) -> Embedded:
    _leave_out(root, "metadata", "style")
    _own_ids(root, prefix)
    for element in root.iter():
        element.tag = element.tag.removeprefix(_SVG)
        if (target := element.attrib.pop(_LINK, None)) is not None:
            element.set("href", target)
    for name in ("width", "height"):
        root.attrib.pop(name, None)
    root.set("style", "stroke-linejoin:round;stroke-linecap:butt")  # what matplotlib's style element said
    root.set("role", "img")
    root.set("aria-label", description)
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    return Embedded(ElementTree.tostring(root, encoding="unicode"), width, height)


def _own_ids(root: ElementTree.Element, prefix: str) -> None:
    """Put `prefix` before ids that something refers to, and drop the others."""
    references = re.compile(r"url\(#([^)]+)\)")
    used = {link.removeprefix("#") for element in root.iter() if (link := element.get(_LINK) or element.get("href"))}
    for element in root.iter():
        for value in element.attrib.values():
            used.update(references.findall(value))
    for element in root.iter():
        for key, value in list(element.attrib.items()):
            if key in (_LINK, "href"):
                element.set(key, "#" + prefix + value.removeprefix("#"))
            elif key == "id":
                if value in used:
                    element.set(key, prefix + value)
                else:
                    del element.attrib[key]
            else:
                element.set(key, references.sub(rf"url(#{prefix}\1)", value))
