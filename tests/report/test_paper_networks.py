"""How the paper's networks rank, by hand; and that the table, the figure and the page that rest on it agree."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from benchmarks.fidelity_report import renewed
from benchmarks.paper_networks import SETS, candidates, paper_networks, random_networks, smallest_side
from benchmarks.paper_networks_report import (
    RANDOM,
    Row,
    Trainings,
    expected_best,
    figure,
    mean_percentile,
    percentile,
    rank,
    rank_table,
    read_trainings,
    set_table,
    write_trainings,
)
from hypothesis import given
from hypothesis import strategies as st

from nasgym.architectures import LeafMerge, architecture_id, format_architecture, parse_architecture
from nasgym.core.errors import PlanError
from nasgym.networks.plan import plan
from nasgym.networks.profiles import PAPER
from nasgym.report.svg import standalone_svg

DOCS = Path(__file__).parents[2] / "docs"
SIDE = 46


def made(**random: tuple[float, ...]) -> Trainings:
    """Trainings on sets with these accuracies of random networks; figure 18a has 0.5 everywhere, with two seeds."""
    rows = [
        Row(name, RANDOM, f"conv{index}", seed, 1, 1, accuracy + 0.01 * (2 * seed - 1))
        for name, accuracies in random.items()
        for index, accuracy in enumerate(accuracies)
        for seed in range(2)
    ]
    rows += [Row(name, "18a", "conv1", seed, 1, 1, 0.4 + 0.2 * seed) for name in random for seed in range(2)]
    return Trainings(tuple(rows), {"side": SIDE})


def test_the_size_is_the_smallest_at_which_each_of_the_seven_exists():
    networks = [parse_architecture(one.architecture) for one in paper_networks()]
    assert len(networks) == 7
    assert smallest_side(networks) == SIDE
    for one in networks:
        plan(one, (SIDE, SIDE, 3), 10, PAPER)
    with pytest.raises(PlanError):
        plan(networks[0], (SIDE - 1, SIDE - 1, 3), 10, PAPER)  # figure 18a needs the most


def test_the_random_networks_are_distinct_feasible_of_all_depths_and_always_the_same():
    networks = random_networks(50, SIDE)
    assert len({architecture_id(one, LeafMerge.PAIRWISE) for one in networks}) == 50
    assert {one.depth for one in networks} == set(range(1, 11))
    assert networks == random_networks(50, SIDE)
    assert [origin for origin, _ in candidates(2, SIDE)][-3:] == ["20b", RANDOM, RANDOM]


def test_a_percentile_counts_equal_ones_half_and_a_rank_begins_with_one():
    others = np.array([0.1, 0.5, 0.5, 0.9])
    assert percentile(0.5, others) == 0.5
    assert percentile(0.6, others) == 0.75
    assert [rank(value, others) for value in (0.95, 0.9, 0.5, 0.0)] == [1, 1, 2, 5]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=7), st.data())
def test_the_expected_best_is_the_mean_over_all_draws(values, data):
    n = data.draw(st.integers(1, len(values)))
    every = [max(drawn) for drawn in combinations(values, n)]
    assert expected_best(np.array(values), n) == pytest.approx(float(np.mean(every)))


def test_accuracies_are_means_over_seeds_and_percentiles_over_sets():
    trainings = made(omniglot=(0.1, 0.2, 0.6, 0.7), dtd10=(0.6, 0.7, 0.8, 0.9))
    assert trainings.sets == ("omniglot", "dtd10")
    assert trainings.accuracy("omniglot", "18a") == pytest.approx(0.5)
    np.testing.assert_allclose(trainings.random("omniglot"), (0.1, 0.2, 0.6, 0.7))
    found = mean_percentile(trainings, ["18a"], trainings.sets)
    assert found.estimate == pytest.approx((0.5 + 0.0) / 2)
    assert (found.low, found.high) == (0.0, 0.5)  # of four random networks none to four are worse on omniglot


def test_tables_have_the_rank_by_set_and_the_paper_s_own_kind_in_bold():
    trainings = made(omniglot=(0.1, 0.2, 0.6, 0.7), dtd10=(0.6, 0.7, 0.8, 0.9))
    assert rank_table(trainings).splitlines() == [
        "| rank among the random ones | 18a |",
        "|---|---|",
        "| omniglot | **3** (50.0) |",
        "| dtd10 | 5 (50.0) |",
        "| mean percentile | 25 (0 to 50) |",
    ]
    lines = set_table(trainings).splitlines()
    assert lines[2].startswith("| omniglot | 4 | 10.0 | 40.0 | 70.0 | 18a: 50.0 | 50 (15 to 85) | 40.0 |")
    assert lines[-1] == "| all sets |  |  |  |  |  |  |  | 25 (0 to 50) |"


def test_a_table_is_read_as_it_was_written(tmp_path):
    trainings = made(omniglot=(0.1, 0.2))
    write_trainings(trainings, tmp_path / "table.csv")
    assert read_trainings(tmp_path / "table.csv") == trainings


def test_the_table_holds_the_same_networks_on_every_set_the_random_ones_in_the_order_of_their_draws():
    trainings = read_trainings()
    n = len(trainings.random(trainings.sets[0]))
    networks = sorted(format_architecture(one) for _, one in candidates(n, SIDE))
    assert trainings.about["side"] == SIDE
    assert set(trainings.sets) <= SETS.keys()
    for name in trainings.sets:
        for seed in trainings.seeds:
            assert sorted(row.network for row in trainings.rows if (row.set, row.seed) == (name, seed)) == networks


def test_the_page_shows_what_the_table_says():
    trainings = read_trainings()
    page = (DOCS / "paper-networks.md").read_text(encoding="utf-8")
    assert renewed(page, (rank_table(trainings), set_table(trainings))) == page
    drawn = (DOCS / "images" / "paper-networks.svg").read_text(encoding="utf-8")
    assert drawn == standalone_svg(figure(trainings))
    for one in paper_networks():
        assert f"| {one.figure} | {one.dataset} | `{one.architecture}` | {100 * one.accuracy:.2f} % |" in page
