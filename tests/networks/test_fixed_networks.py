"""The networks of NAS-Bench-201 and NAS-Bench-Macro: costs as published, and what their cells compute."""

import csv
import io
import json
import lzma
from pathlib import Path

import pytest
import torch
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from nasgym.architectures import Architecture, Skeleton, parse_architecture
from nasgym.architectures.nasbench201 import parse_cell
from nasgym.architectures.spaces import FixedSpace
from nasgym.core.errors import PlanError
from nasgym.core.randomness import stream
from nasgym.evaluation.tables import TableTask
from nasgym.evaluation.tables.published import FixedCosts
from nasgym.networks.build import PlannedNetwork, build
from nasgym.networks.diagram import diagram
from nasgym.networks.drawing import to_svg
from nasgym.networks.plan import Trunk, plan
from nasgym.networks.profiles import DEFAULT, PAPER
from nasgym.tasks import Fidelity

SHAPE = (32, 32, 3)
CELL = "|avg_pool_3x3~0|+|nor_conv_1x1~0|nor_conv_3x3~1|+|skip_connect~0|none~1|nor_conv_1x1~2|"
BEST_MACRO = "skeleton=macro mbconv5 mbconv5 mbconv5 mbconv3 mbconv5 mbconv5 mbconv5 identity"


def cell(word: str) -> Architecture:
    return parse_architecture(f"skeleton=cell201{f' {word}' * 6}")


def built(text: str, shape: tuple[int, int, int] = SHAPE, n_classes: int = 10) -> PlannedNetwork:
    return build(plan(parse_architecture(text), shape, n_classes, DEFAULT), torch.Generator().manual_seed(0)).eval()


def random_networks(skeleton: Skeleton, count: int) -> list[Architecture]:
    space, generator = FixedSpace(skeleton), stream(0, "fixed networks", skeleton.token)
    return [
        space.filled(tuple(slot.choices[generator.integers(len(slot.choices))] for slot in space.slots))
        for _ in range(count)
    ]


@pytest.mark.parametrize(
    ("architecture", "parameters", "mega_flops"),
    [
        (cell("none"), 73_306, 7.78),  # stem 464, reductions 14,464 and 57,600, head 128 + 650
        (cell("conv3"), 1_531_546, 220.12),  # and 30 convolutions: 5 · 6 · (2,336 + 9,280 + 36,992)
        (parse_architecture(BEST_MACRO), 1_985_514, 85.164544),
    ],
)
def test_costs_are_the_published_ones(architecture: Architecture, parameters: int, mega_flops: float) -> None:
    planned = plan(architecture, SHAPE, 10, DEFAULT)
    assert planned.parameters == parameters
    assert planned.flops / 2e6 == pytest.approx(mega_flops, abs=0.005)  # the benchmarks count a multiply-add once


@pytest.mark.parametrize(
    "architecture", random_networks(Skeleton.CELL201, 4) + random_networks(Skeleton.MACRO, 4), ids=str
)
@pytest.mark.parametrize("side", [32, 15])
def test_what_is_planned_is_what_runs_and_costs_what_torch_counts(architecture: Architecture, side: int) -> None:
    planned = plan(architecture, (side, side, 1), 7, DEFAULT)
    network = build(planned, torch.Generator().manual_seed(0)).eval()
    image = torch.zeros(1, 1, side, side)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        scores = network(image)
    assert scores.shape == (1, 7)
    assert counter.get_total_flops() == planned.flops
    assert sum(parameter.numel() for parameter in network.parameters()) == planned.parameters
    with torch.no_grad():
        assert [tuple(out.shape[1:]) for out in network.feature_maps(image)] == [node.shape for node in planned.nodes]


def test_the_first_cell_computes_what_its_string_says() -> None:
    network = built(CELL)
    layers = dict(network.layers.items())

    def unit(number: int, features: torch.Tensor) -> torch.Tensor:
        module = layers[str(number)]
        padding = module.conv.kernel_size[0] // 2
        return module.norm(functional.conv2d(functional.relu(features), module.conv.weight, padding=padding))

    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        maps = network.feature_maps(images)
        start = network.stem.norm(functional.conv2d(images, network.stem.conv.weight, padding=1))
        first = functional.avg_pool2d(start, 3, stride=1, padding=1, count_include_pad=False)
        second = unit(2, start) + unit(3, first)
        third = start + 0 * first + unit(8, second)
    assert torch.allclose(maps[0], start, atol=1e-6)
    assert torch.allclose(maps[9], third, atol=1e-5)


def test_a_reduction_adds_two_convolutions_to_a_pooled_shortcut() -> None:
    network = built("skeleton=cell201 none none none identity none none")
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        maps = network.feature_maps(images)
        first, second, _, shortcut, _ = (network.layers[str(number)] for number in range(46, 51))
        source = maps[45]
        down = first.norm(functional.conv2d(functional.relu(source), first.conv.weight, stride=2, padding=1))
        deep = second.norm(functional.conv2d(functional.relu(down), second.conv.weight, padding=1))
        wanted = deep + functional.conv2d(functional.avg_pool2d(source, 2), shortcut.conv.weight)
    assert torch.allclose(maps[50], wanted, atol=1e-5)
    assert maps[50].shape[1:] == (32, 16, 16)


def test_an_inverted_residual_block_expands_convolves_each_channel_and_projects() -> None:
    network = built("skeleton=macro identity mbconv5" + " identity" * 6)
    block = network.layers["2"]
    features = torch.randn(2, 64, 16, 16, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        wide = functional.relu(block.expand.norm(functional.conv2d(features, block.expand.conv.weight)))
        deep = functional.conv2d(wide, block.depthwise.conv.weight, padding=2, groups=384)
        deep = functional.relu(block.depthwise.norm(deep))
        wanted = features + block.project.norm(functional.conv2d(deep, block.project.conv.weight))
        assert torch.allclose(block(features), wanted, atol=1e-5)


def test_a_network_of_each_skeleton_learns() -> None:
    images = torch.randn(8, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    labels = torch.arange(8) % 2
    for text in (CELL, "skeleton=macro" + " mbconv3" * 8):
        network = built(text, (16, 16, 3), 2).train()
        optimizer = torch.optim.SGD(network.parameters(), lr=0.05)
        losses = []
        for _ in range(8):
            loss = functional.cross_entropy(network(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize("text", [CELL, BEST_MACRO])
def test_the_profile_decides_nothing_but_the_cap(text: str) -> None:
    default, paper = (plan(parse_architecture(text), SHAPE, 10, profile) for profile in (DEFAULT, PAPER))
    assert (default.nodes, default.head) == (paper.nodes, paper.head)


@pytest.mark.parametrize("text", [CELL, BEST_MACRO])
def test_layers_of_a_plan_are_the_choices(text: str) -> None:
    architecture = parse_architecture(text)
    planned = plan(architecture, SHAPE, 10, DEFAULT)
    kinds = [type(node.computes).__name__ for node in planned.layers]
    wanted = {"avgsame3": "Pooling", "identity": "Identity", "none": "Zero"}
    assert len(planned.layers) == len(architecture)
    assert kinds == [wanted.get(layer.token, "Convolutions") for layer in architecture.layers]
    assert planned.leaf_merges == ()
    assert planned.memory > 0
    assert planned.density > 0


def test_a_trunk_of_a_whole_network_finishes_as_its_plan() -> None:
    architecture = parse_architecture(CELL)
    assert Trunk.whole(architecture, SHAPE, DEFAULT).finish(10) == plan(architecture, SHAPE, 10, DEFAULT)


def test_networks_that_cannot_be_planned_say_why() -> None:
    space = FixedSpace(Skeleton.MULTI_RESOLUTION)
    code = space.filled(tuple(slot.choices[0] for slot in space.slots))
    with pytest.raises(PlanError, match="'multi-resolution' are looked up or predicted, not planned or built"):
        plan(code, SHAPE, 10, DEFAULT)
    with pytest.raises(PlanError, match="An image of 0×32 pixels with 3 channels and 10 classes cannot be planned for"):
        plan(parse_architecture(CELL), (0, 32, 3), 10, DEFAULT)


def test_a_drawing_shows_one_cell_and_a_chain_of_blocks() -> None:
    drawn = diagram(parse_cell(CELL))
    assert [box.title for box in drawn.boxes] == [
        "cell input",
        "avg pool",
        "conv",
        "conv",
        "add",
        "identity",
        "none",
        "conv",
        "add",
        "cell output",
    ]
    assert drawn.edges == (
        (0, 1),
        (0, 2),
        (1, 3),
        (2, 4),
        (3, 4),
        (0, 5),
        (1, 6),
        (4, 7),
        (5, 8),
        (6, 8),
        (7, 8),
        (8, 9),
    )
    for text in (CELL, BEST_MACRO):
        architecture = parse_architecture(text)
        assert "FLOPs" in to_svg(architecture, plan(architecture, SHAPE, 10, DEFAULT))


def test_all_real_macro_chains_cost_what_was_published(shared_data: Path) -> None:
    with lzma.open(shared_data / "nas_tables" / "nas-bench-macro_cifar10.json.xz") as file:
        published = json.load(file)
    task = TableTask("cifar10", "x", SHAPE, 10, Fidelity(1))
    space, costs = FixedSpace(Skeleton.MACRO), FixedCosts(Skeleton.MACRO, task)
    for digits, entry in published.items():
        told = costs.metrics(space.filled(tuple(space.slots[0].choices[int(digit)] for digit in digits)))
        assert (told.parameters, told.flops // 2) == (entry["params"], entry["flops"])


def test_real_cells_cost_what_was_published_or_what_an_equal_cell_does(shared_data: Path) -> None:
    """The file's costs are for 100 classes; 150 of its cells carry those of another cell that computes the same."""
    with lzma.open(shared_data / "nas_tables" / "nasbench201.csv.xz") as file:
        rows = list(csv.DictReader(io.TextIOWrapper(file, "utf-8")))
    costs = FixedCosts(Skeleton.CELL201, TableTask("cifar100", "x", SHAPE, 100, Fidelity(1)))
    told, equal = [], {}
    for row in rows:
        metrics = costs.metrics(parse_cell(row["arch"]))
        told.append((metrics.parameters / 1e6, metrics.flops / 2e6))
        equal.setdefault(row["unique_string"], []).append(told[-1])

    def agree(found: tuple[float, float], row: dict[str, str]) -> bool:
        return abs(found[0] - float(row["params_M"])) < 0.000501 and abs(found[1] - float(row["flops_M"])) < 0.00501

    others = [row for row, found in zip(rows, told, strict=True) if not agree(found, row)]
    assert len(others) == 150
    assert all(any(agree(found, row) for found in equal[row["unique_string"]]) for row in others)
