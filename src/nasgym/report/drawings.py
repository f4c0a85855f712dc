"""Drawings of networks for a page."""

from dataclasses import dataclass

from markupsafe import Markup

from nasgym.architectures import Architecture, parse_architecture
from nasgym.networks.drawing import to_svg
from nasgym.networks.plan import Plan, plan
from nasgym.report.search_report import SearchReport
from nasgym.report.svg import embed_svg

_WIDE = 1.5


@dataclass(frozen=True, slots=True)
class Drawing:
    """A network drawn for a page.

    Attributes:
        svg: `<svg>` element.
        width: natural width, pixels of the style sheet.
        is_wide: whether it wants a row of its own.
    """

    svg: Markup
    width: float
    is_wide: bool


def draw_network(text: str, report: SearchReport, prefix: str) -> Drawing:
    """Return the architecture `text` drawn as the search built it.

    Args:
        text: of the architecture.
        report: tells image shape, classes and profile.
        prefix: put before every id; another one for every picture of the page.
    """
    architecture = parse_architecture(text)
    network = plan(architecture, report.task.input_shape, len(report.task.class_names), report.settings.profile)
    return embed_network(architecture, network, prefix)


def embed_network(architecture: Architecture, network: Plan | None, prefix: str) -> Drawing:
    """Return an architecture drawn for a page, with shapes and costs where its plan is given."""
    picture = embed_svg(to_svg(architecture, network), prefix, f"Network {architecture}")
    return Drawing(Markup(picture.text), picture.width * 4 / 3, picture.width > _WIDE * picture.height)
