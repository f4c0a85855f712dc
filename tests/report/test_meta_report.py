"""Reports of agents: numbers worked out by hand, pages that stand alone, rows in and nothing else."""

import re
from dataclasses import replace

import numpy as np
import pytest
from test_report_html import Page

from nasgym.core.errors import ReportError
from nasgym.report.meta_html import render_test, render_training, write_training, yoked_name
from nasgym.report.meta_report import OWN, AgentFacts, MetaTestReport, Proposal, TrainingReport
from nasgym.report.meta_statistics import (
    accuracies_of,
    from_the_third_on,
    incumbents_of,
    mean_intervals,
    rewards_of,
    stretches,
)
from nasgym.store import PlayedMetaEpisode, TrainingUpdate

FACTS = AgentFacts(
    agent="rl2",
    name="rl2",
    command="nasgym meta-train 'my <file>.toml'",
    settings=(("agent.name", "rl2"), ("run.steps", "400")),
    seconds=61.0,
    versions=(("nasgym", "0.1.0"),),
    hardware="2 processors",
    run="20260101-000000-abcdef",
    created="1 May 2026",
)
ACTIONS = ("conv3", "maxpool2", "<b>terminal</b>")


def update(number: int, mean_return: float | None, entropy: float | None = 1.0) -> TrainingUpdate:
    return TrainingUpdate(
        run="r",
        number=number,
        steps=100 * number,
        seconds=0.5,
        meta_episodes=0 if mean_return is None else number,
        mean_return=mean_return,
        entropy=entropy,
        episode_length=2.0 + number,
        rewards=(0.1 * number, 0.2 * number),
        actions=(number, 1, 0),
    )


def played(number: int, accuracies: tuple[float | None, ...], task: str = "sea", after: int = 0) -> PlayedMetaEpisode:
    rewards = tuple(value or 0.0 for value in accuracies)
    texts = tuple(None if value is None else "conv3" for value in accuracies)
    return PlayedMetaEpisode("r", "validation", after, number, task, rewards, accuracies, (2,) * len(rewards), texts)


UPDATES = (update(1, 1.0), update(2, None, None), update(3, 3.0), update(4, 2.0))
LOOKS = (
    played(0, (0.2, 0.4)),
    played(1, (0.4, None)),
    played(0, (0.5, 0.7), after=4),
    played(1, (0.5, 0.9), after=4),
)
TRAINING = TrainingReport(FACTS, ACTIONS, updates=UPDATES, looks=LOOKS, kept_update=4, evaluations=12)


def cells(page: Page) -> str:
    """The words of a page, each separated from the next."""
    return re.sub(r"\s+", " ", " ".join(page.words))


def test_updates_are_summed_up_weighted_by_their_meta_episodes():
    first, second = stretches(UPDATES, points=2)
    assert (first.steps, second.steps) == (200, 400)
    assert (first.mean_return, second.mean_return) == (1.0, pytest.approx((3 * 3.0 + 4 * 2.0) / 7))
    assert (first.entropy, second.entropy) == (1.0, 1.0)
    assert (first.episode_length, second.episode_length) == (3.5, 5.5)
    assert first.rewards == pytest.approx((0.15, 0.3))
    assert first.shares == pytest.approx((3 / 5, 2 / 5, 0.0))
    assert second.shares == pytest.approx((7 / 9, 2 / 9, 0.0))
    assert [part.steps for part in stretches(UPDATES)] == [100, 200, 300, 400]


def test_tables_by_episode_count_a_missing_network_as_nothing():
    np.testing.assert_array_equal(accuracies_of(LOOKS[:2]), [[0.2, 0.4], [0.4, 0.0]])
    np.testing.assert_array_equal(incumbents_of(LOOKS[:2]), [[0.2, 0.4], [0.4, 0.4]])
    np.testing.assert_array_equal(rewards_of(LOOKS[:2]), [[0.2, 0.4], [0.4, 0.0]])


def test_an_interval_counts_tasks_alike_and_is_a_point_where_nothing_varies():
    values = np.array([[0.0], [0.0], [0.0], [1.0]])
    (one,) = mean_intervals(values, ["a", "a", "a", "b"])
    assert (one.estimate, one.low, one.high) == (0.5, 0.5, 0.5)
    (two,) = mean_intervals(np.array([[0.0], [1.0]] * 50), ["a"] * 100)
    assert two.estimate == 0.5
    assert 0.38 < two.low < 0.42  # 0.5 - 1.96 * sqrt(0.25 / 100) = 0.402
    assert 0.58 < two.high < 0.62


def test_the_yoked_difference_counts_from_the_third_network_on():
    own = [played(number, (0.0, 0.0, 0.6, 0.8)) for number in range(5)]
    other = [played(number, (1.0, 1.0, 0.5, 0.5)) for number in range(5)]
    difference = from_the_third_on(own, other)
    assert difference is not None
    assert (difference.estimate, difference.low, difference.high) == pytest.approx((0.2, 0.2, 0.2))
    assert from_the_third_on(LOOKS[:2], LOOKS[2:]) is None


def test_the_page_of_a_training_says_what_was_learned_and_shows_it():
    page = Page(render_training(TRAINING))
    assert page.sections == ["learning", "behaviour", "validation", "settings", "reproduce"]
    assert "On 1 held-out task a meta-episode returns 1.300 (1.200 to 1.400)." in page.text
    assert "Untrained, it returned 0.500 (0.400 to 0.600)." in page.text
    assert "nasgym meta-train 'my <file>.toml'" in page.text
    assert "Drawing all 3 actions alike would be 1.10 nats." in page.text
    labels = [(attributes["aria-label"] or "").replace("\u00a0", " ") for tag, attributes in page.tags if tag == "svg"]
    assert len(labels) == 5
    assert labels[0].startswith("Return against environment steps. At the end: training tasks 2, held-out tasks 1.3.")
    assert any("Share of each action" in label and "conv3 80 %" in label for label in labels)
    assert "sea 1.300 (1.200 to 1.400) 50.0 % 80.0 % 80.0 %" in cells(page)


def test_pages_fetch_nothing_and_hold_no_markup_of_others():
    for text in (render_training(TRAINING), render_test(TEST)):
        page = Page(text)
        assert "<b>terminal</b>" not in text
        assert not [tag for tag, attributes in page.tags if attributes.get("src") or tag in ("link", "script", "img")]


def test_a_training_without_updates_or_looks_has_a_page():
    empty = replace(TRAINING, updates=(), looks=(), kept_update=None, facts=replace(FACTS, interrupted=True))
    text = Page(render_training(empty)).text
    assert "Nothing to draw before the first update." in text
    assert "the same command goes on" in text
    unjudged = Page(render_training(replace(TRAINING, looks=(), kept_update=None)))
    assert "rl2 learned for 400 steps." in unjudged.text
    assert "validation" not in unjudged.sections
    without_entropy = replace(TRAINING, updates=tuple(replace(one, entropy=None) for one in UPDATES))
    assert "Policy entropy" not in Page(render_training(without_entropy)).text


OWN_PLAY = tuple(played(number, (0.2, 0.3, 0.6), task) for task in ("sea", "sky") for number in range(3))
YOKED_PLAY = tuple(played(number, (0.2, 0.3, 0.4), task) for task in ("sea", "sky") for number in range(3))
TEST = MetaTestReport(
    FACTS,
    ("sea", "sky"),
    {OWN: OWN_PLAY, yoked_name("wood"): YOKED_PLAY, "random": YOKED_PLAY},
    (Proposal("sea", "conv3 <i>", 0.6, 0.55, 3),),
    yoked="wood",
    test_meaning="20 epochs",
)


def test_the_page_of_a_test_says_how_good_networks_are_and_whether_rewards_were_used():
    page = Page(render_test(TEST))
    assert page.sections == ["episodes", "tasks", "proposals", "settings", "reproduce"]
    assert "Its first network has 20.0 %, its last 60.0 %; the best of 3 networks has 60.0 %." in page.text
    assert (
        "from the third network on differs by +20.00 points (+20.00 to +20.00): it uses what it is shown" in page.text
    )
    assert "Test: 20 epochs; nothing was chosen by it." in page.text
    assert "sea conv3 <i> 60.00 % 55.00 % 3" in cells(page)
    assert len([tag for tag, _ in page.tags if tag == "svg"]) == 4


def test_a_page_that_cannot_be_written_names_the_file_and_what_is_safe(tmp_path):
    with pytest.raises(ReportError, match=r"nowhere/report\.html.*the training itself is safe in its store"):
        write_training(TRAINING, tmp_path / "nowhere" / "report.html")
