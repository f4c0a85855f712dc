"""The statistics of the gate for fidelities, by hand; and that the table and the page that rest on it agree."""

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from benchmarks.fidelity import networks
from benchmarks.fidelity_figures import DRAWS, Estimate, tau, top, verdict
from benchmarks.fidelity_report import all_tables, markdown, renewed, stopped
from benchmarks.fidelity_searches import Pool, halving, mean_regret, plain
from benchmarks.fidelity_table import FULL, Curves, Training, read_table, write_table
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau

from nasgym.architectures import format_architecture
from nasgym.evaluation.stopping import Stopping

vectors = st.integers(3, 12).flatmap(
    lambda n: st.tuples(*[st.lists(st.integers(0, 5), min_size=n, max_size=n) for _ in range(3)])
)
SHORT, LONG = ("search", 1), (FULL, 2)


def training(network: str, seed: int, recipe: str, accuracies: tuple[float, ...]) -> Training:
    losses = tuple(1 - accuracy for accuracy in accuracies)
    return Training("task", network, seed, recipe, len(accuracies), 10, 5, losses, losses, accuracies)


def gate(short: list[dict[str, float]], long: list[dict[str, float]]) -> Curves:
    """Return curves that end at the given accuracies by network, one dictionary a seed."""
    rows = [training(name, seed, "search", (value,)) for seed, by in enumerate(short) for name, value in by.items()]
    rows += [training(name, seed, FULL, (0.0, value)) for seed, by in enumerate(long) for name, value in by.items()]
    return Curves(tuple(rows), {"task": 0.5}, dict.fromkeys(long[0], 2.0), "by hand")


@given(vectors)
def test_tau_is_kendalls_with_ties(drawn: tuple[list[int], list[int], list[int]]) -> None:
    first, second = np.array(drawn[0], float), np.array(drawn[1], float)
    if len(set(drawn[0])) > 1 and len(set(drawn[1])) > 1:
        assert tau(first, second)[0] == pytest.approx(kendalltau(first, second)[0])


@given(vectors)
def test_weights_count_networks_as_often_as_they_are_drawn(drawn: tuple[list[int], list[int], list[int]]) -> None:
    first, second, counts = (np.array(values) for values in drawn)
    copies = np.repeat(np.arange(len(counts)), counts)
    pairs = [(i, j) for i, j in product(copies, copies) if i != j]
    signs = [(np.sign(first[i] - first[j]), np.sign(second[i] - second[j])) for i, j in pairs]
    a, b = (sum(abs(sign[side]) for sign in signs) for side in range(2))
    if a and b:
        expected = sum(x * y for x, y in signs) / np.sqrt(a * b)
        assert tau(first, second, counts[None].astype(float))[0] == pytest.approx(expected)


def test_a_fidelity_that_ranks_as_the_full_recipe_reaches_the_ceiling() -> None:
    long = [{"a": 0.1, "b": 0.5, "c": 0.9, "d": 0.7}, {"a": 0.2, "b": 0.4, "c": 0.8, "d": 0.9}]
    found = verdict(gate(long, long), ["task"], SHORT, LONG)
    assert found.agreement.value == found.ceiling.value == pytest.approx(4 / 6)  # c and d change places
    assert found.shortfall == Estimate(0, 0, 0)
    assert found.accuracy_lost.value == pytest.approx(0)


def test_agreement_is_with_the_other_seeds_only() -> None:
    long = [{"a": 0.1, "b": 0.2, "c": 0.3}, {"a": 0.3, "b": 0.2, "c": 0.1}]
    found = verdict(gate(long, long), ["task"], SHORT, LONG)
    assert found.agreement.value == found.ceiling.value == pytest.approx(-1)


def test_accuracy_lost_is_the_mean_over_networks_and_seeds() -> None:
    long = [{"a": 0.5, "b": 0.7, "c": 0.9}, {"a": 0.5, "b": 0.7, "c": 0.9}]
    short = [{name: value - 0.1 for name, value in long[0].items()}, {"a": 0.2, "b": 0.4, "c": 0.6}]
    found = verdict(gate(short, long), ["task"], SHORT, LONG)
    assert found.accuracy_lost.value == pytest.approx(0.2)
    assert found.accuracy_lost.low == pytest.approx(0.1)
    assert found.accuracy_lost.high == pytest.approx(0.3)


def test_a_fidelity_that_ranks_at_random_falls_short_of_the_ceiling() -> None:
    names = [f"{number:02d}" for number in range(40)]
    generator = np.random.default_rng(0)
    long = [{name: number / 40 for number, name in enumerate(names)}] * 3
    short = [dict(zip(names, generator.permutation(40) / 40, strict=True)) for _ in range(3)]
    found = verdict(gate(short, long), ["task"], SHORT, LONG)
    assert found.ceiling.value == pytest.approx(1)
    assert found.shortfall.low > 0.6
    assert DRAWS >= 1000


def test_a_seed_that_lacks_a_network_takes_no_part() -> None:
    curves = gate([{"a": 0.1, "b": 0.2}], [{"a": 0.1, "b": 0.2}, {"a": 0.3}])
    assert curves.seeds("task", LONG) == (0,)
    assert curves.seeds("task", ("search", 7)) == ()


def test_the_best_half_is_by_the_given_scores() -> None:
    assert top(np.array([0.1, 0.9, 0.3, 0.8]), 0.5).tolist() == [1, 3]


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    curves = gate([{"a": 0.1234, "b": 1.0}], [{"a": 0.1, "b": 0.25}])
    write_table(curves, tmp_path / "table.csv.xz")
    assert read_table(tmp_path / "table.csv.xz") == curves


POOL = Pool(
    accuracies={1: np.array([0.4, 0.3, 0.2, 0.1]), 2: np.array([0.4, 0.5, 0.2, 0.9])},
    seconds=np.ones(4),
    final=np.array([0.5, 0.6, 0.2, 0.9]),
    truth=np.array([0.5, 0.6, 0.2, 0.9]),
)
ORDER = np.array([0, 1, 2, 3])


def test_a_plain_search_trains_as_many_as_the_budget_allows() -> None:
    assert plain(2)(POOL, ORDER, 4.0) == [1, 0]
    assert plain(1)(POOL, ORDER, 4.0) == [0, 1, 2, 3]
    assert plain(2)(POOL, ORDER, 0.5) == [0]


def test_halving_promotes_the_better_half() -> None:
    search = halving(1, 2)
    assert search(POOL, ORDER, 8.0) == [1, 0, 2, 3]  # 4 · 1 epoch, then 0 and 1 for 2 epochs
    assert search(POOL, ORDER, 4.0) == [0, 1]  # of two, one is promoted: 2 · 1 + 1 · 2


def test_regret_is_what_the_chosen_network_lacks() -> None:
    assert POOL.regret([1, 0, 2, 3], promoted=1) == pytest.approx(0.3)
    assert POOL.regret([1, 0, 2, 3], promoted=4) == 0
    assert mean_regret(POOL, plain(2), 4, promoted=1, epochs=2) == 0


def test_a_rule_is_replayed_on_a_stored_curve() -> None:
    flat = training("a", 0, "search", (0.1,) * 8)
    assert stopped(Stopping(0.9, after=3), flat) == 3
    assert stopped(Stopping(0.9, after=5), flat) == 5
    assert stopped(Stopping(0.05), flat) == 8
    assert stopped(Stopping(0.9), replace(flat, accuracies=(0.95,) * 8)) == 8


def test_the_networks_of_the_gate_are_distinct_and_always_the_same() -> None:
    texts = [format_architecture(network) for network in networks(64)]
    assert len(set(texts)) == 64
    assert texts == [format_architecture(network) for network in networks(64)]
    assert all("conv" in text for text in texts)


def test_a_table_of_a_page_is_renewed_and_the_rest_stays() -> None:
    page = "above\n\n| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |\n\nbelow\n"
    table = markdown(("a", "b"), [("5", "6")])
    assert renewed(page, [table]) == "above\n\n| a | b |\n|---|---|\n| 5 | 6 |\n\nbelow\n"
    with pytest.raises(ValueError, match=r"no table with the header '\| c \|'"):
        renewed(page, [markdown(("c",), [])])


@pytest.mark.slow
def test_the_page_shows_what_the_table_says() -> None:
    page = (Path(__file__).parents[2] / "docs" / "fidelity.md").read_text(encoding="utf-8")
    tables, _ = all_tables(read_table())
    assert page == renewed(page, tables)
