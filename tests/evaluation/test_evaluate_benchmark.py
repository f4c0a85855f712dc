"""The networks of `benchmarks.evaluate`, and the baseline that it races against."""

import hashlib
import json
import math

import pytest
import torch
from benchmarks import baseline_pytorch
from benchmarks.evaluate import NETWORKS_SHA256, Side, figures
from benchmarks.evaluate_networks import FILE, flops

from nasgym.architectures import parse_architecture
from nasgym.evaluation.recipes import Adam, OneCycle, training_profile
from nasgym.networks.build import build
from nasgym.networks.plan import plan
from nasgym.networks.profiles import DEFAULT

ROWS = json.loads(FILE.read_text(encoding="utf-8"))


def test_the_list_is_frozen_and_half_drawn_half_evolved_from_cheap_to_dear() -> None:
    assert hashlib.sha256(FILE.read_bytes()).hexdigest() == NETWORKS_SHA256
    assert [row["from"] for row in ROWS].count("drawn") == [row["from"] for row in ROWS].count("evolved") == 32
    assert len({row["architecture"] for row in ROWS}) > 60
    assert [row["flops"] for row in ROWS] == sorted(flops(parse_architecture(row["architecture"])) for row in ROWS)


@pytest.mark.parametrize("row", ROWS[::9], ids=lambda row: str(row["flops"]))
def test_the_baseline_trains_the_same_networks(row: dict[str, str]) -> None:
    planned = plan(parse_architecture(row["architecture"]), (32, 32, 3), 10, DEFAULT)
    ours, theirs = build(planned, torch.Generator().manual_seed(0)).eval(), baseline_pytorch.Network(planned).eval()
    with torch.no_grad():
        for parameter, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            other.copy_(parameter)
        images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))
        torch.testing.assert_close(theirs(images), ours(images))


def test_the_baseline_s_recipe_is_the_default_one() -> None:
    recipe = training_profile("default").search
    assert (recipe.batch_size, recipe.learning_rate) == (baseline_pytorch.BATCH, baseline_pytorch.RATE)
    assert recipe.schedule == OneCycle(baseline_pytorch.WARM_UP)
    assert recipe.optimizer == Adam(weight_decay=baseline_pytorch.DECAY)
    assert recipe.label_smoothing == 0


def test_figures_are_those_of_the_sides() -> None:
    def side(seconds: float, processor: float, accuracy: float) -> Side:
        single = {"a": seconds / 4, "b": seconds / 2}
        return Side(seconds, processor, {"a": accuracy, "b": accuracy}, single, single)

    ours, b1, b2 = side(2.0, 4.0, 0.5), side(12.0, 20.0, 0.502), side(4.0, 8.0, 0.51)
    by_clock = {figure.name: figure for figure in figures(ours, b1, b2, ["a", "b"], by_processor=False)}
    assert by_clock["sum, against B1"].value == 3600
    assert math.isclose(by_clock["sum, against B1"].ratio or 0, 6)
    assert by_clock["sum, against B1"].met
    assert by_clock["median of single networks, against B2"].value == 2
    assert by_clock["difference of accuracy to B1"].met
    assert not by_clock["difference of accuracy to B2"].met
    by_processor = {figure.name: figure for figure in figures(ours, b1, b2, ["a", "b"], by_processor=True)}
    assert math.isclose(by_processor["sum, against B1"].ratio or 0, 5)
    assert not by_processor["sum, against B1"].met
