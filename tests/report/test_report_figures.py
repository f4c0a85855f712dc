import re
import xml.etree.ElementTree as ElementTree

import matplotlib as mpl
import pytest

from nasgym.report import figures
from nasgym.report.figures import Curve, Level, Point
from nasgym.report.svg import embed_chart, embed_svg


def anytime(n: int = 6):
    scores = [None, *[0.1 * index for index in range(1, n)]]
    names = [f"network <{index}>" for index in range(n)]
    return figures.anytime_curve(
        range(1, n + 1), scores, names, [Level("linear model", 0.2)], unit="networks evaluated"
    )


def test_an_embedded_chart_is_xml_with_a_description_and_a_text_for_every_point():
    root = ElementTree.fromstring(embed_chart(anytime(), "a-").text)
    assert root.tag == "svg"
    assert root.get("aria-label") == (
        "Best validation accuracy so far against networks evaluated, over 6 networks. It ends at 50.0\u00a0%."
    )
    assert {title.text for title in root.iter("title")} == {f"network <{index}>" for index in range(6)}


def test_ids_of_two_pictures_never_collide_and_every_reference_has_its_target():
    texts = [embed_chart(anytime(), "first-").text, embed_chart(anytime(), "second-").text]
    identities = [set(re.findall(r'\bid="([^"]+)"', text)) for text in texts]
    assert identities[0]
    assert not identities[0] & identities[1]
    for text, known in zip(texts, identities, strict=True):
        assert set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', text)) <= {(one, "") for one in known} | {
            ("", one) for one in known
        }


def test_colours_and_letters_of_a_chart_are_those_of_the_page():
    text = embed_chart(anytime(), "a-").text
    assert "var(--blue)" in text
    assert "var(--sans)" in text
    assert not re.search(r"#[0-9a-f]{6}\b", text)
    assert "<style" not in text
    assert "<metadata" not in text


def test_the_same_numbers_give_the_same_chart():
    assert embed_chart(anytime(), "a-") == embed_chart(anytime(), "a-")


def test_drawing_leaves_the_settings_of_matplotlib_alone():
    before = dict(mpl.rcParams)
    embed_chart(anytime(), "a-")
    assert dict(mpl.rcParams) == before


def test_dollar_signs_in_names_are_not_taken_for_formulas():
    chart = figures.learning_curves([Curve("$\\frac{1}$", (0.1, 0.2))])
    assert "$\\frac{1}$" in embed_chart(chart, "a-").text


@pytest.mark.parametrize("scores", [[0.5], [None], [0.0, 0.0], [1.0, 1.0]])
def test_curves_of_one_network_of_failures_and_of_equal_scores_can_be_drawn(scores):
    names = ["one"] * len(scores)
    text = embed_chart(figures.anytime_curve(range(1, len(scores) + 1), scores, names, unit="networks"), "a-").text
    assert text.count("<title>one</title>") == len(scores)


def test_one_network_alone_makes_a_figure_of_accuracy_against_cost():
    chart = figures.accuracy_against_cost([Point("one", 1, 0.5)], unit="parameters")
    assert chart.description.endswith("1 are the best for their size. The most accurate reaches 50.0\u00a0% with 1.")
    assert "<title>one</title>" in embed_chart(chart, "a-").text


def test_points_on_the_front_are_told_apart_and_the_promoted_have_letters():
    points = [Point("cheap", 100, 0.5), Point("beaten", 200, 0.4), Point("good", 300, 0.7)]
    chart = figures.accuracy_against_cost(
        points, [Point("good again", 300, 0.8, label="A", before=0.7)], [Point("random", 150, 0.45)], unit="parameters"
    )
    assert chart.hover == {
        "networks": ("beaten",),
        "front": ("cheap", "good"),
        "promoted": ("good again",),
        "compared": ("random",),
    }
    assert ">A</text>" in embed_chart(chart, "a-").text


def test_letters_of_networks_at_one_place_are_written_apart():
    promoted = [Point(letter, 1000, 0.8, label=letter) for letter in "ABCD"]
    chart = figures.accuracy_against_cost([Point("x", 100, 0.2), Point("y", 10_000, 0.9)], promoted, unit="parameters")
    places = [tuple(text.xyann) for text in chart.figure.axes[0].texts]
    assert len(set(places)) == 4


@pytest.mark.parametrize(
    ("costs", "ticks"),
    [
        ((100, 900), ["100", "200", "500", "1k"]),
        ((40, 1_200_000), ["100", "1k", "10k", "100k", "1M"]),
        ((2000, 2100), ["2k"]),
        ((3170,), ["3.17k"]),
    ],
)
def test_costs_have_round_ticks(costs, ticks):
    chart = figures.accuracy_against_cost([Point("x", cost, 0.5) for cost in costs], unit="parameters")
    axis = chart.figure.axes[0].xaxis
    assert [axis.get_major_formatter()(value) for value in axis.get_major_locator()()] == ticks


def test_a_foreign_svg_keeps_its_looks_and_loses_its_names():
    text = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 20 10">'
        '<defs><path id="mark" d="M0 0"/></defs><g id="unused" fill="url(#mark)"><use xlink:href="#mark"/></g></svg>'
    )
    picture = embed_svg(text, "p-", "a mark")
    assert (picture.width, picture.height) == (20.0, 10.0)
    assert '<path id="p-mark"' in picture.text
    assert '<use href="#p-mark"' in picture.text
    assert 'fill="url(#p-mark)"' in picture.text
    assert "unused" not in picture.text
