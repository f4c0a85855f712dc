import io
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from hypothesis import given, settings
from network_strategies import architectures
from PIL import Image

from nasgym.architectures import Architecture, parse_architecture
from nasgym.core.errors import ConfigurationError, PlanError
from nasgym.networks.diagram import Kind, diagram
from nasgym.networks.drawing import COLOURS, draw, to_png, to_rgb, to_svg
from nasgym.networks.placement import BOX_HEIGHT, BOX_WIDTH, STRIP_LENGTH, place
from nasgym.networks.plan import plan
from nasgym.networks.profiles import DEFAULT, PAPER, NetworkProfile

GRAPH = "conv3(0) conv5(1) maxpool2(1) add(2,3) add(4,4)"


def ids(svg: str) -> set[str]:
    return {element.attrib["id"] for element in ElementTree.fromstring(svg).iter() if "id" in element.attrib}


def texts(svg: str) -> list[str]:
    return [
        "".join(element.itertext()) for element in ElementTree.fromstring(svg).iter() if element.tag.endswith("}text")
    ]


def drawn(text: str, profile: NetworkProfile = DEFAULT, side: int = 32) -> str:
    architecture = parse_architecture(text)
    return to_svg(architecture, plan(architecture, (side, side, 3), 10, profile))


def test_a_chain_has_every_box_every_edge_and_every_shape() -> None:
    svg = drawn("conv3 maxpool2 conv5")
    assert {"image", "layer-1", "layer-2", "layer-3", "head"} <= ids(svg)
    assert {"edge-image-layer-1", "edge-layer-1-layer-2", "edge-layer-2-layer-3", "edge-layer-3-head"} <= ids(svg)
    shown = texts(svg)
    assert [shown.count(word) for word in ("conv", "max pool", "3×3", "5×5", "2×2")] == [2, 1, 1, 1, 1]
    assert [shown.count(word) for word in ("32×32", "×3", "16×16", "×16", "×32")] == [2, 1, 2, 2, 1]
    assert {"global pool", "10 classes", "1", "2", "3"} <= set(shown)


def test_a_graph_shows_merges_leaves_and_repeated_edges() -> None:
    svg = drawn(GRAPH + " conv1(0)", DEFAULT)
    assert {"edge-layer-2-layer-4", "edge-layer-4-layer-5", "edge-layer-4-layer-5-again"} <= ids(svg)
    assert {"merge-1", "edge-layer-5-merge-1", "edge-layer-6-merge-1", "edge-merge-1-head"} <= ids(svg)
    assert "32×32×32" in texts(svg)


def test_the_paper_s_pairwise_merges_are_drawn_one_by_one() -> None:
    found = ids(drawn("conv1(0) conv1(0) conv1(0)", PAPER))
    assert {"edge-layer-1-merge-1", "edge-layer-2-merge-1", "edge-merge-1-merge-2", "edge-layer-3-merge-2"} <= found


def test_costs_are_written_below() -> None:
    assert "7.39 M parameters · 16.3 M FLOPs · 7.42 MB at int8" in texts(drawn("conv3 maxpool2", PAPER))


def test_the_header_its_stem_and_residuals_are_shown() -> None:
    svg = drawn("stem=2 width=16 augment=quarter-turns dropout=30 conv3+ downconv3")
    assert {"stem", "edge-image-stem", "edge-stem-layer-1", "layer-1-residual"} <= ids(svg)
    assert "stem stride 2 · width 16 · augmentation quarter-turns · dropout 30 %" in texts(svg)


def test_without_a_plan_there_are_no_shapes_and_leaves_meet_at_once() -> None:
    svg = to_svg(parse_architecture("conv3(0) conv3(0) conv3(0)"))
    assert {"edge-layer-1-merge-1", "edge-layer-2-merge-1", "edge-layer-3-merge-1"} <= ids(svg)
    assert set(texts(svg)) == {"image", "conv", "3×3", "concat", "leaves", "head", "1", "2", "3"}


def test_the_hidden_layers_of_a_dense_head_are_named() -> None:
    assert "1024 → 10" in texts(drawn("conv3", PAPER))


def test_equal_drawings_are_equal_texts() -> None:
    assert drawn(GRAPH) == drawn(GRAPH)


def test_text_stays_text_with_fonts_to_fall_back_to() -> None:
    styles = re.findall(r"<text[^>]*font-family: ([^;]*);", drawn(GRAPH))
    assert set(styles) == {"'DejaVu Sans', Verdana, sans-serif"}


def test_every_kind_of_box_has_its_own_colour() -> None:
    assert len({COLOURS[kind] for kind in Kind}) == len(Kind)


@pytest.mark.parametrize("n_layers", [0, 1, 7, 8, 30])
def test_a_chain_is_a_strip_of_rows_that_do_not_overlap(n_layers: int) -> None:
    shown = diagram(parse_architecture(" ".join(["conv3"] * n_layers) or "empty"))
    placed = place(shown)
    rows = {y for _, y in placed.centres}
    assert len(rows) == -(-(n_layers + 2) // STRIP_LENGTH)
    assert len(set(placed.centres)) == n_layers + 2
    assert placed.width <= STRIP_LENGTH * 1.5


@settings(max_examples=40, deadline=None)
@given(architectures())
def test_no_two_boxes_of_any_drawing_overlap_and_all_lie_inside(architecture: Architecture) -> None:
    try:
        planned = plan(architecture, (16, 16, 3), 3, DEFAULT)
    except PlanError:
        planned = None
    placed = place(diagram(architecture, planned))
    for number, (x, y) in enumerate(placed.centres):
        assert BOX_WIDTH / 2 - 1e-6 <= x <= placed.width - BOX_WIDTH / 2 + 1e-6
        assert BOX_HEIGHT / 2 - 1e-6 <= y <= placed.height - BOX_HEIGHT / 2 + 1e-6
        for other_x, other_y in placed.centres[:number]:
            assert abs(x - other_x) > BOX_WIDTH or abs(y - other_y) > BOX_HEIGHT


def test_a_graph_of_thirty_layers_is_drawn() -> None:
    words = ["conv3(0)"] + [
        f"conv3({index - 1})" if index % 3 else f"add({index - 1},{index - 2})" for index in range(2, 31)
    ]
    assert "layer-30" in ids(drawn(" ".join(words)))


def test_a_png_has_the_size_of_the_drawing_and_the_colour_of_its_boxes() -> None:
    picture = Image.open(io.BytesIO(to_png(parse_architecture("conv3 maxpool2"), dpi=100))).convert("RGB")
    width, height = picture.size
    assert width > 3 * height
    fill = list(bytes.fromhex(COLOURS[Kind.CONVOLUTION][0][1:]))
    assert (np.asarray(picture) == fill).all(axis=2).mean() > 0.05


@pytest.mark.parametrize(("width", "height"), [(640, 640), (200, 333), (999, 100)])
def test_an_array_has_just_the_size_that_was_asked_for(width: int, height: int) -> None:
    frame = to_rgb(parse_architecture(GRAPH), width=width, height=height)
    assert (frame.shape, frame.dtype) == ((height, width, 3), np.uint8)
    assert frame.min() < 100
    assert (frame[0] == 255).all()


def test_files_are_written_by_suffix(tmp_path: Path) -> None:
    architecture = parse_architecture("conv3")
    draw(architecture, tmp_path / "a.svg")
    draw(architecture, tmp_path / "a.PNG")
    assert (tmp_path / "a.svg").read_text(encoding="utf-8") == to_svg(architecture)
    assert (tmp_path / "a.PNG").read_bytes().startswith(b"\x89PNG")


def test_another_suffix_is_refused_with_the_ones_that_work(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"must end in \.svg or \.png\. Did you mean '\.svg'\?"):
        draw(parse_architecture("conv3"), tmp_path / "a.svgz")


def test_drawing_neither_loads_pyplot_nor_changes_matplotlib_s_settings() -> None:
    before = dict(matplotlib.rcParams)
    to_svg(parse_architecture(GRAPH))
    assert dict(matplotlib.rcParams) == before
    code = (
        "import sys; from nasgym.networks.drawing import to_svg; from nasgym.architectures import Architecture;"
        "to_svg(Architecture()); print({'matplotlib.pyplot', 'torch'} & set(sys.modules))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "set()"
