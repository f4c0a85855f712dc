"""Numbers of the paper's experiments: worked out by hand, or the paper's own."""

import json
from importlib.resources import files

import numpy as np
import pytest
from experiment_samples import BRANCHES, META, TASKS, walk
from hypothesis import given
from hypothesis import strategies as st

from nasgym.architectures import parse_architecture
from nasgym.networks.plan import plan
from nasgym.networks.profiles import PAPER
from nasgym.report.experiment_paper import read_paper
from nasgym.report.experiment_report import EpisodeRecord, PaperAgent, StageKind
from nasgym.report.experiment_statistics import (
    Sample,
    block_size,
    blocks,
    by_place,
    ends,
    groups,
    mean_difference,
    multi_branch_count,
    paired_difference,
    share_distance,
    shares,
    signed_rank,
    two_deviations,
)

PAPER_NUMBERS = read_paper()


def episode(*actions: int, rewards: tuple[float, ...] = (), networks: tuple[str | None, ...] = (), **others: int):
    n = len(actions)
    return EpisodeRecord(actions, rewards or (0.0,) * n, networks or (None,) * n, **others)


def test_a_block_is_fifty_episodes_unless_that_leaves_fewer_than_ten():
    assert [block_size(n) for n in (0, 1, 9, 10, 99, 499, 500, 20_000)] == [1, 1, 1, 1, 9, 49, 50, 50]


def test_blocks_are_means_with_sample_deviations_and_a_short_rest_joins_the_last():
    known = blocks([1.0, 3.0, 5.0, 5.0, 2.0], 2)  # the rest is half a block: a block of its own
    assert known.means == (2.0, 5.0, 2.0)
    assert known.deviations == pytest.approx((np.sqrt(2), 0.0, 0.0))
    assert known.centres == (1.5, 3.5, 5.0)
    joined = blocks([1.0, 1.0, 1.0, 4.0, 4.0, 4.0, 8.0], 3)
    assert joined.means == (1.0, 5.0)
    assert joined.centres == (2.0, 5.5)
    assert blocks([], 50).means == ()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=300), st.integers(1, 60))
def test_blocks_hold_every_episode_once(values, size):
    known = blocks(values, size)
    starts = [centre - 0.5 - (size / 2) for centre in known.centres[:-1]]
    assert starts == [size * index for index in range(len(known.means) - 1)]
    last = len(values) - size * (len(known.means) - 1)
    assert len(known.means) == 1 or size / 2 <= last < 1.5 * size
    assert size * sum(known.means[:-1]) + last * known.means[-1] == pytest.approx(sum(values))


def test_shares_count_actions_and_not_episodes():
    assert shares([episode(0, 0, 1), episode(2)], 4) == (0.5, 0.25, 0.25, 0.0)
    assert shares([], 2) == (0.0, 0.0)


def test_the_p_of_the_paper_comes_out_of_its_own_proportions():
    tested = signed_rank(PAPER_NUMBERS.proportions["aircraft"], PAPER_NUMBERS.proportions["cu_birds"])
    assert tested is not None
    assert (tested.statistic, tested.pairs) == (13.0, 8)
    assert round(tested.normal, 2) == PAPER_NUMBERS.wilcoxon_p == 0.48
    assert tested.exact == 0.546875  # 140 of 256 sign patterns


def test_the_signed_ranks_of_three_pairs_by_hand():
    # differences 0.1, -0.2, 0.3: ranks 1, 2, 3, sums 4 and 2; 6 of 8 sign patterns are as far from 3 or further
    tested = signed_rank((0.5, 0.2, 0.6), (0.4, 0.4, 0.3))
    assert tested is not None
    assert (tested.statistic, tested.pairs, tested.exact) == (2.0, 3, 0.75)
    assert signed_rank((0.5, 0.5), (0.5, 0.5)) is None


def test_a_permutation_tells_policies_apart_where_the_signed_ranks_cannot():
    left, right = [episode(0, 0, 1)] * 30, [episode(1, 1, 0)] * 30
    distance, p = share_distance(left, right, 2)
    assert distance == pytest.approx(1 / 3)
    assert p == pytest.approx(1 / 2001)
    tested = signed_rank(shares(left, 2), shares(right, 2))
    assert tested is not None
    assert tested.exact == 1.0
    chances = [share_distance(walk(20, seed=seed), walk(20, seed=seed + 50), 8)[1] for seed in range(12)]
    assert 0.3 < np.mean(chances) < 0.7  # of the same policy: uniform


def sample(*values: float, groups: tuple[int, ...] = ()) -> Sample:
    return Sample(values, groups or tuple(range(len(values))))


def test_a_difference_of_means_has_an_interval_that_narrows_with_episodes():
    difference = mean_difference(sample(*[1.0] * 5), sample(*[0.25] * 5))
    assert (difference.estimate, difference.low, difference.high) == (0.75, 0.75, 0.75)
    few, many = (mean_difference(sample(*[0.0, 1.0] * n), sample(*[0.0, 1.0] * n)) for n in (5, 500))
    assert few.low < many.low < 0 < many.high < few.high
    assert many.high == pytest.approx(1.96 * np.sqrt(2 * 0.25 / 1000), rel=0.15)


def test_episodes_of_one_meta_episode_count_as_one():
    values = [0.0] * 10 + [1.0] * 10
    apart = mean_difference(sample(*values * 5), sample(*values * 5))
    together = mean_difference(*[sample(*values * 5, groups=tuple(number // 10 for number in range(100)))] * 2)
    assert together.estimate == apart.estimate == 0.0
    assert together.high == pytest.approx(1.96 * np.sqrt(2 * 0.25 / 10), rel=0.15)  # ten meta-episodes
    assert apart.high == pytest.approx(1.96 * np.sqrt(2 * 0.25 / 100), rel=0.15)


def test_what_meta_episodes_have_in_common_leaves_a_paired_difference():
    easy_and_hard = tuple(float(number % 2) for number in range(20))
    first, last = sample(*easy_and_hard), sample(*[value + 0.1 for value in easy_and_hard])
    paired, apart = paired_difference(last, first), mean_difference(last, first)
    assert (paired.estimate, paired.low, paired.high) == pytest.approx((0.1, 0.1, 0.1))
    assert apart.low < 0 < apart.high
    longer = sample(*[value + 0.1 for value in easy_and_hard], 99.0)  # a meta-episode that the other side lacks
    assert paired_difference(longer, first).estimate == pytest.approx(0.1)


def test_meta_episodes_are_the_groups_and_other_episodes_are_their_own():
    assert groups([episode(0, meta_episode=3), episode(1), episode(1, meta_episode=3), episode(0)]) == (3, -2, 3, -4)
    copied = [episode(0, 0, 1, meta_episode=number // 10) for number in range(10, 30)]
    others = [episode(1, 1, 0, meta_episode=number // 10) for number in range(10, 30)]
    distance, p = share_distance(copied, others, 2)
    assert distance == pytest.approx(1 / 3)
    assert p == pytest.approx(1 / 3, abs=0.05)  # of the six divisions of four meta-episodes, two are as far apart


def test_the_ends_are_fifths_and_places_are_those_in_meta_episodes():
    episodes = [episode(0, rewards=(float(n),), place=1 + n % 2) for n in range(11)]
    first, last = ends(episodes)
    assert [one.best for one in first] == [0.0, 1.0]
    assert [one.best for one in last] == [9.0, 10.0]
    assert by_place(episodes[:5], lambda one: one.best) == [[0.0, 2.0, 4.0], [1.0, 3.0]]


def test_a_pointer_shift_makes_no_second_multi_branch_network():
    texts = ("conv3", "conv3(0) conv5(0)", "conv3(0) conv5(0)", "conv3(0) conv5(0) add(1,2)", None)
    assert multi_branch_count(episode(0, 1, 12, 8, 13, networks=texts), {}) == 2
    assert sum(multi_branch_count(one, {}) for one in BRANCHES[0].episodes) > 0
    assert sum(multi_branch_count(one, {}) for one in META.episodes) == 0


def test_two_deviations_are_those_of_a_sample():
    assert two_deviations((0.4, 0.6)) == pytest.approx(2 * np.sqrt(0.02))
    assert two_deviations((0.4,)) is None


def test_an_episode_knows_its_best_network_and_an_accuracy_replaces_rewards_that_are_something_else():
    played = EpisodeRecord((0, 1, 2), (0.2, 0.5, 0.5), ("conv1", "conv1 conv3", "conv1 conv3 conv5"))
    assert (played.length, played.best, played.best_network) == (3, 0.5, "conv1 conv3")
    assert played.accumulated == pytest.approx(1.2)
    improved = EpisodeRecord((0,), (0.01,), ("conv1",), accuracy=0.7)
    assert (improved.best, improved.best_network) == (0.7, "conv1")
    assert episode(7).best_network is None


def test_the_networks_of_the_paper_end_with_the_sides_it_gives():
    assert " ".join(one.figure for one in PAPER_NUMBERS.networks) == "18a 18b 18c 19a 19b 20a 20b 21a 21b"
    for one in PAPER_NUMBERS.networks:
        planned = plan(parse_architecture(one.architecture), (84, 84, 3), 100, PAPER)
        side = (planned.leaf_merges or planned.layers)[-1].shape[1]
        assert side == one.last_side, one.figure


def test_stages_of_the_paper_are_found_by_data_set_kind_agent_and_sigma():
    task = TASKS[0]
    known = PAPER_NUMBERS.stage(META, task)
    assert known is not None
    assert (known.steps, known.hours, known.table) == (8000, 24 * 11 + 9, "Table 4")
    assert PAPER_NUMBERS.stage(META, TASKS[2]) is None  # the paper does not train on aircraft
    branch = PAPER_NUMBERS.stage(BRANCHES[1], task)
    assert branch is not None
    assert (branch.steps, branch.hours, branch.table) == (20_000, 24 * 15 + 14, "Table 7")
    assert PAPER_NUMBERS.proportions_of(BRANCHES[1], task) is None
    assert PAPER_NUMBERS.proportions_of(META, task) == PAPER_NUMBERS.proportions["omniglot"]
    walk_of_paper = PAPER_NUMBERS.short_walk(TASKS[3])
    assert walk_of_paper is not None
    assert walk_of_paper.hours == pytest.approx(16 + 1 / 3, abs=0.01)
    assert {(one.kind, one.agent) for one in PAPER_NUMBERS.hardness} == {(StageKind.WALK, PaperAgent.RANDOM)}


def test_the_numbers_of_the_paper_name_source_and_licence_and_proportions_sum_to_one():
    content = json.loads((files("nasgym.report") / "paper_tables.json").read_text("utf-8"))
    assert "1911.03769" in content["source"]
    assert "MIT" in content["licence"]
    for shares_of in PAPER_NUMBERS.proportions.values():
        assert len(shares_of) == len(PAPER_NUMBERS.actions) == 8
        assert sum(shares_of) == pytest.approx(1.0, abs=1e-6)
    aircraft = [(row.mean, row.two_sd) for row in PAPER_NUMBERS.intensive if row.dataset == "aircraft"]
    assert aircraft == [(0.4918, 0.012), (0.5011, 0.0102), (0.3085, 0.1082)]
