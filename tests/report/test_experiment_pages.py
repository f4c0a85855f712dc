"""Reports of experiments as files: whole with nothing, one or many stages, and no sentence beyond the numbers."""

import json
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import pytest
from experiment_samples import BRANCHED, DQN, FINALS, FROZEN, MANY, META, NOTHING, ONE, RANDOM
from test_report_html import Page

from nasgym.core.errors import ReportError
from nasgym.report.experiment_findings import comparisons, findings, spread
from nasgym.report.experiment_paper import read_paper
from nasgym.report.experiment_report import EpisodeRecord, ExperimentReport, StageKind, StageRecord
from nasgym.report.experiment_tables import hardness, intensive, outcomes, running_times
from nasgym.report.experiment_writing import write_experiment

PAPER = read_paper()
GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("experiments")
    for report in (NOTHING, ONE, MANY, BRANCHED):
        write_experiment(report, folder / report.name)
    return {report.name: folder / report.name for report in (NOTHING, ONE, MANY, BRANCHED)}


def constant(stage: StageRecord, *accuracies: float) -> StageRecord:
    """The stage with one episode of one step for each accuracy."""
    played = tuple(EpisodeRecord((number % 2,), (value,), ("conv3",)) for number, value in enumerate(accuracies))
    return replace(stage, episodes=played, entropies=())


def said(report: ExperimentReport, about: str) -> list[str]:
    return [one.text.replace("\u00a0", " ") for one in findings(report, PAPER) if one.about == about]


def test_a_page_has_a_section_for_whatever_there_is(written):
    sections = {name: Page((folder / "report.html").read_text()).sections for name, folder in written.items()}
    around = ["data", "settings", "reproduce"]
    assert sections["nothing"] == around
    assert sections["one"] == ["stages", "times", "task-omniglot", "actions", "networks", *around]
    assert sections["many"] == [
        *("findings", "scaled", "stages", "times"),
        *("task-omniglot", "task-flowers5", "task-sign-digits", "task-traffic-sign"),
        *("actions", "networks", "intensive", "hardness"),
        *around,
    ]
    assert "Nothing has been played yet." in Page((written["nothing"] / "report.html").read_text()).text


def test_pages_stand_alone_and_hold_no_markup_of_others(written):
    for folder in written.values():
        text = (folder / "report.html").read_text()
        page = Page(text)
        assert not [tag for tag, attributes in page.tags if attributes.get("src") or tag in ("link", "script", "img")]
        assert "<instead>" not in text
        assert "<file>" not in text
        ids = [attributes["id"] for _, attributes in page.tags if attributes.get("id")]
        assert len(ids) == len(set(ids))


def test_every_figure_of_the_paper_is_drawn_and_the_markdown_shows_each(written):
    for name, folder in written.items():
        figures = {path.name for path in (folder / "figures").iterdir()}
        markdown = (folder / "report.md").read_text()
        assert set(re.findall(r"figures/([\w.-]+\.svg)", markdown)) == figures
        for path in (folder / "figures").iterdir():
            assert ElementTree.parse(path).getroot().tag.endswith("svg"), f"{name}: {path.name}"
    of_omniglot = {path.name for path in (written["many"] / "figures").glob("omniglot-*")}
    assert of_omniglot == {
        f"omniglot-{one}.svg" for one in ("best", "accumulated", "length", "entropy", "actions", "network")
    }
    assert (written["many"] / "figures" / "flowers5-within.svg").exists()
    assert (written["many"] / "figures" / "hardness.svg").exists()
    assert (written["branched"] / "figures" / "omniglot-branches.svg").exists()


def test_the_markdown_is_the_golden_one(written):
    assert (written["one"] / "report.md").read_text() == (GOLDEN / "experiment.md").read_text()


def test_the_numbers_are_written_beside_the_page(written):
    numbers = json.loads((written["many"] / "report.json").read_text())
    stage = numbers["stages"][0]
    assert (stage["name"], stage["episodes"], stage["paper"]["hours"]) == ("omniglot-a2c", 300, 273.0)
    assert stage["blocks"]["best"]["size"] == 30
    assert sum(stage["actions"].values()) == pytest.approx(1)
    assert stage["paper_actions"][0] == 0.218625
    assert numbers["intensive"][2]["paper"]["two_sd"] == 0.1082
    assert [one["about"] for one in numbers["findings"]].count("against random") == 2
    assert numbers["command"] == "nasgym experiment 'my <file>.toml'"


def test_tables_put_the_paper_beside_ours():
    times = running_times(MANY, PAPER)
    training = [cell.replace("\u202f", " ").replace("\u00a0", " ") for cell in times.rows[0]]
    assert training[2:] == ["1 093", "260", "210", "50 min", "omniglot, meta-A2C", "8 000", "11 d 9 h", "Table 4"]
    assert times.rows[2][-2:] == ("–", "–")  # the paper has no time for random actions
    assert times.rows[4][6:] == ("aircraft, meta-A2C", "2\u202f000", "2\u00a0d\u00a06\u00a0h", "Table 5")
    table = intensive(MANY, PAPER)
    assert table.rows[0][7] == "80.00 ± 2.83\u00a0%"  # 2 sd of 79 and 81: 2 √2
    assert [row[-1] for row in table.rows] == [
        "aircraft, figure 19a: 49.18 ± 1.20\u00a0%",
        "aircraft, figure 19b: 50.11 ± 1.02\u00a0%",
        "aircraft, VGG19-like: 30.85 ± 10.82\u00a0%",
    ]
    assert hardness(MANY, PAPER).rows[2][3] == "39.5\u00a0%"
    assert hardness(MANY, PAPER).rows[2][-2:] == ("aircraft", "9\u00a0h\u00a049\u00a0min")


def test_an_episode_that_ends_with_no_network_counts_as_impossible():
    played = (
        EpisodeRecord((0, 3), (0.4, 0.0), ("conv1", None)),
        EpisodeRecord((0,), (0.6,), ("conv1",)),
    )
    (row,) = outcomes(replace(ONE, stages=(replace(RANDOM, episodes=played),))).rows
    assert row[3:] == ("2", "1.5", "0.50", "50.0\u00a0%", "50.0\u00a0%", "60.0\u00a0%")


def test_sentences_say_what_rose_and_what_cannot_be_seen():
    rising = replace(ONE, stages=(constant(META, *[0.2] * 13, *[0.5] * 12), constant(RANDOM, *[0.3] * 20)))
    assert said(rising, "trend") == [
        "meta-A2C on omniglot: the best accuracy of an episode is 20.0 % in the first fifth of 25 episodes and "
        "50.0 % in the last: +30.0 points (+30.0 to +30.0)."
    ]
    assert said(rising, "against random") == [
        "meta-A2C on omniglot: episodes reach 50.0 % in the last fifth, those of random 30.0 %: "
        "+20.0 points (+20.0 to +20.0)."
    ]
    level = replace(ONE, stages=(constant(META, *[0.2, 0.6] * 30),))
    (sentence,) = said(level, "trend")
    assert "+0.0 points (−" in sentence
    assert sentence.endswith("which is no difference that these episodes can show.")
    too_few = replace(ONE, stages=(constant(META, *[0.2, 0.9] * 12), constant(RANDOM, *[0.3] * 4)))
    assert said(too_few, "trend") == said(too_few, "against random") == []


def test_later_episodes_of_meta_episodes_are_compared_with_the_first_of_the_same():
    accuracies = (0.2, 0.4, 0.6, 0.8, 0.9, 0.9)
    played = tuple(
        replace(one, place=place, meta_episode=number)
        for number in range(1, 21)
        for place, one in enumerate(constant(META, *accuracies).episodes, start=1)
    )
    stage = replace(META, episodes=played, entropies=())
    assert said(replace(ONE, stages=(stage,)), "within meta-episodes") == [
        "meta-A2C on omniglot: within the meta-episodes of the second half of the stage, the last 2 episodes of 6 "
        "differ from the first by +60.0 points (+60.0 to +60.0)."
    ]
    for other in (replace(stage, kind=StageKind.WALK), replace(stage, episodes=played[: 6 * 8])):
        assert said(replace(ONE, stages=(other,)), "within meta-episodes") == []


@pytest.mark.parametrize(
    ("last", "verb"), [(1.0, "fell, from 2.00 to 1.00"), (2.01, "hardly moved"), (2.05, "rose, from 2.00 to 2.05")]
)
def test_the_entropy_falls_rises_or_hardly_moves(last, verb):
    stage = replace(META, entropies=tuple((number, 2.0 if number < 5 else last) for number in range(10)))
    (sentence,) = said(replace(ONE, stages=(stage,)), "entropy")
    assert f"the entropy of the policy {verb}" in sentence


def test_the_entropy_of_a_stage_with_several_tasks_is_told_once():
    several = replace(MANY, stages=(META, replace(META, task="flowers5"), replace(META, name="other")))
    assert len(said(several, "entropy")) == 2
    assert len(said(several, "trend")) == 3


def test_the_actions_of_two_frozen_stages_of_one_agent_are_compared_and_no_others():
    assert [(one.one.task, one.other.task) for one in comparisons(MANY)] == [("sign_digits", "traffic_sign")]
    (sentence,) = said(MANY, "actions")
    assert "Wilcoxon's signed-rank test on the proportions gives p = " in sentence
    assert "the paper: 0.48" in sentence
    assert sentence.endswith("no difference is seen.")
    same = replace(MANY, stages=(FROZEN[0], replace(FROZEN[1], episodes=FROZEN[0].episodes)))
    assert said(same, "actions") == ["meta-A2C takes all actions equally often on sign_digits and traffic_sign."]
    other_agent = replace(MANY, stages=(FROZEN[0], replace(FROZEN[1], agent="DQN")))
    assert comparisons(other_agent) == ()


def test_a_single_training_has_no_deviation_and_two_have():
    assert spread((0.5,)) == "50.00\u00a0%"
    assert spread((0.4, 0.6)) == "50.00 ± 28.28\u00a0%"
    once = replace(MANY, finals=tuple(replace(one, test=one.test[:1]) for one in FINALS))
    (sentence,) = said(once, "intensive training")
    assert sentence.startswith(
        "sign_digits, trained more intensively: best 79.00 %, second 69.00 %; VGG19-like 50.00 %."
    )


def test_a_stage_without_episodes_and_one_that_was_stopped_have_a_page(tmp_path):
    begun = replace(META, episodes=(), entropies=(), interrupted=True)
    write_experiment(replace(MANY, stages=(begun, DQN)), tmp_path)
    text = Page((tmp_path / "report.html").read_text()).text
    assert "Not finished: omniglot-a2c. The same command goes on." in text


def test_a_place_that_cannot_be_written_is_named_with_what_is_safe(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ReportError, match=r"cannot be written to .*file/here.*safe in their store"):
        write_experiment(ONE, tmp_path / "file" / "here")
