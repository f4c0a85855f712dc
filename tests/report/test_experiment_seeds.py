"""Experiments over seeds: their numbers by hand, what cannot be summed up, and the table that they make."""

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from benchmarks import paper_seeds
from experiment_samples import BRANCHED, FACTS, FINALS, FLOWERS, MANY, META, ONE, RANDOM

from nasgym.core.errors import ReportError
from nasgym.report.experiment_findings import findings
from nasgym.report.experiment_json import numbers
from nasgym.report.experiment_paper import read_paper
from nasgym.report.experiment_report import EpisodeRecord, ExperimentReport, StageRecord
from nasgym.report.experiment_seeds import by_experiment, read_seed_report

PAPER = read_paper()
HEADER = "| one | unit | seed 0 | seed 1 | seed 2 | mean over seeds (95 %) | n |"
RISE = "meta-A2C on omniglot: best accuracy of an episode, last fifth less first"
AGAINST = "meta-A2C on omniglot: best accuracy of an episode of the last fifth, less that of drawn actions"


def content(report: ExperimentReport, seed: int = 0) -> dict[str, Any]:
    """What `report.json` says of an experiment with a seed."""
    report = replace(report, facts=replace(report.facts, seeds=(seed,)))
    return json.loads(json.dumps(numbers(report, findings(report, PAPER), PAPER)))


def written(folder: Path, said: dict[str, Any]) -> Path:
    folder.mkdir(parents=True)
    (folder / "report.json").write_text(json.dumps(said), encoding="utf-8")
    return folder


def constant(stage: StageRecord, accuracies: Sequence[float]) -> StageRecord:
    """The stage with one episode of one step for each accuracy."""
    return replace(stage, episodes=tuple(EpisodeRecord((0,), (one,), ("conv3",)) for one in accuracies), entropies=())


def rising(points: float, *, walks: int = 20) -> ExperimentReport:
    """An agent that begins with 20 % and rises by some points, beside a walk that has 10 %."""
    learned = constant(META, [0.2] * 13 + [0.2 + points / 100] * 12)
    return replace(ONE, tasks=MANY.tasks, stages=(learned, constant(RANDOM, [0.1] * walks)))


@pytest.fixture
def three(tmp_path) -> list[Path]:
    """Folders of seeds 2, 0 and 1, whose agent rises by 3, 1 and 2 points; seed 2 has too few walks to compare with."""
    made = [(2, rising(3, walks=4)), (0, rising(1)), (1, rising(2))]
    return [written(tmp_path / f"seed-{seed}" / "one", content(report, seed)) for seed, report in made]


def table(folders: Sequence[Path]) -> list[str]:
    grouped = by_experiment([read_seed_report(folder) for folder in folders])
    return paper_seeds.table(next(iter(grouped.values()))).splitlines()


def test_a_mean_over_seeds_has_the_interval_of_student(three):
    assert table(three) == [
        HEADER,
        "|---|---|---|---|---|---|---|",
        f"| {RISE} | points | +1.0 | +2.0 | +3.0 | +2.0 (−0.5 to +4.5) | 3 |",  # 2 ± 4.303 · 1 / √3
        f"| {AGAINST} | points | +11.0 | +12.0 | – | +11.5 (+5.1 to +17.9) | 2 |",  # 11.5 ± 12.706 · 0.7071 / √2
    ]


def test_one_seed_has_no_interval(three):
    assert table(three[1:2])[2:] == [
        f"| {RISE} | points | +1.0 | +1.0 | 1 |",
        f"| {AGAINST} | points | +11.0 | +11.0 | 1 |",
    ]


def cells(report: ExperimentReport, folder: Path) -> dict[str, tuple[str, ...]]:
    """Unit, value and mean of every number of an experiment with one seed."""
    lines = [line.strip("| ").split(" | ") for line in table([written(folder / report.name, content(report))])[2:]]
    return {line[0]: tuple(line[1:4]) for line in lines}


def test_every_finding_has_its_numbers_in_words(tmp_path):
    many, branched = cells(MANY, tmp_path), cells(BRANCHED, tmp_path)
    abouts = {one.about for report in (MANY, BRANCHED) for one in findings(report, PAPER)}
    assert len(abouts) == 8
    assert {name: many[name] for name in many if name.startswith("sign_digits: ")} == {
        "sign_digits: test accuracy of best, trained for long": ("%", "80.0", "80.0"),
        "sign_digits: test accuracy of second, trained for long": ("%", "70.0", "70.0"),
        "sign_digits: test accuracy of VGG19-like, trained for long": ("%", "55.0", "55.0"),
        "sign_digits: test accuracy, trained for long, best less VGG19-like": ("points", "+25.0", "+25.0"),
        "sign_digits: median accuracy of a short walk": ("%", "39.5", "39.5"),
    }
    # Entropies fall by a nat in 220 updates: 44 in the first fifth, 44 in the last, 176 / 220 nats apart.
    entropy = "entropy of the policy, last fifth of the updates less first"
    assert many[f"meta-A2C on omniglot: {entropy}"] == ("nats", "−0.80", "−0.80")
    both = "meta-A2C on sign_digits and traffic_sign: "
    assert many[f"{both}share of the actions that differ"][0] == "%"
    for how in ("by permutation", "by the paper's test"):
        unit, _, mean = many[f"{both}whether actions differ, {how}"]
        assert (unit, mean) == ("p", "–")
    within = "best accuracy of an episode, end of a meta-episode less its beginning"
    assert many[f"meta-A2C on flowers5: {within}"][0] == "points"
    of_sigma = "meta-A2C, σ = 0.1 on omniglot: multi-branch networks of an episode, last fifth less first"
    assert branched[of_sigma][0] == "networks"


def test_the_tasks_of_one_stage_and_the_stages_of_one_agent_have_rows_of_their_own(tmp_path):
    several = (META, replace(META, task="flowers5"), replace(META, name="again"))
    found = cells(replace(MANY, stages=several, finals=(), hardness=()), tmp_path)
    rises = [name for name in found if "last fifth less first" in name]
    assert rises == [
        "meta-A2C on omniglot: best accuracy of an episode, last fifth less first (omniglot-a2c)",
        "meta-A2C on flowers5: best accuracy of an episode, last fifth less first",
        "meta-A2C on omniglot: best accuracy of an episode, last fifth less first (again)",
    ]


def test_the_best_that_is_left_is_compared_where_the_best_has_failed(tmp_path):
    failed = replace(FINALS[0], validation=(), test=())
    found = cells(replace(MANY, stages=(), finals=(failed, *FINALS[1:]), hardness=()), tmp_path)
    assert found["sign_digits: test accuracy, trained for long, second less VGG19-like"] == ("points", "+15.0", "+15.0")


def changed(**values: Any) -> dict[str, Any]:
    return content(rising(1)) | values


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ("{", r"report\.json is damaged or of another version \(JSONDecodeError.*makes it anew"),
        ("[]", r"report\.json is damaged .*TypeError"),
        (json.dumps(changed(seeds=[])), r"damaged .*IndexError"),
        (json.dumps({"name": "one"}), r"damaged .*KeyError: 'stages'"),
        (json.dumps(changed(findings=[{"about": "luck", "where": "", "who": "", "values": {}}])), r"'luck' is unknown"),
        (json.dumps(changed(seeds=[0, 7])), r"holds stages with seeds of their own \(0, 7\).*Leave `seed` out"),
        (
            json.dumps(content(replace(ONE, stages=(replace(RANDOM, interrupted=True),)))),
            r"holds stages that are not finished: omniglot-random\. Finish them first",
        ),
    ],
)
def test_a_report_that_says_nothing_sound_is_refused(tmp_path, said, error):
    (tmp_path / "report.json").write_text(said, encoding="utf-8")
    with pytest.raises(ReportError, match=error):
        read_seed_report(tmp_path)


def test_a_folder_without_a_report_is_refused(tmp_path):
    with pytest.raises(ReportError, match=r"tiny holds no report\.json; name folders of experiments, such as runs/N"):
        read_seed_report(tmp_path / "tiny")


@pytest.mark.parametrize(
    ("other", "error"),
    [
        (content(rising(1)), r"a and \S+b both hold experiment 'one' with seed 0; name one folder for each seed"),
        (
            content(replace(rising(1), facts=replace(FACTS, settings=(("space", "edge"),))), 1),
            r"differ in setting space \(chain and edge\), setting steps \(400 and nothing\); seeds can be compared",
        ),
        (
            content(replace(rising(1), stages=rising(1).stages[:1]), 1),
            r"differ in stage omniglot-random on omniglot \(walk, random and nothing\)",
        ),
        (
            content(replace(rising(1), stages=(), finals=FINALS), 1),
            r"final trainings on sign_digits \(nothing and some",
        ),
        (
            content(replace(rising(1), tasks=(replace(MANY.tasks[0], classes=9), *MANY.tasks[1:])), 1),
            r"differ in task omniglot \(242 classes, .* and 9 classes, ",
        ),
        (
            content(replace(rising(1), facts=replace(FACTS, fingerprint="f00d")), 1),
            r"differ in fingerprint of the file \( and f00d\)",
        ),
    ],
)
def test_reports_that_differ_in_more_than_the_seed_are_refused(tmp_path, other, error):
    folders = [written(tmp_path / "a", content(rising(1))), written(tmp_path / "b", other)]
    with pytest.raises(ReportError, match=error):
        by_experiment([read_seed_report(folder) for folder in folders])


def ask(monkeypatch: pytest.MonkeyPatch, *words: object) -> None:
    monkeypatch.setattr(sys, "argv", ["paper_seeds", *map(str, words)])
    paper_seeds.main()


def test_experiments_have_a_table_each_and_a_page_is_renewed(three, tmp_path, monkeypatch, capsys):
    other = written(tmp_path / "seed-1" / "flowers", content(replace(MANY, name="flowers", stages=(FLOWERS,)), 1))
    page = tmp_path / "page.md"
    page.write_text(f"Before.\n\n{HEADER}\n|---|\n| old | 1 |\n\nAfter.\n", encoding="utf-8")
    ask(monkeypatch, *three, "--page", page)
    assert page.read_text(encoding="utf-8") == "Before.\n\n" + "\n".join(table(three)) + "\n\nAfter.\n"
    capsys.readouterr()
    with pytest.raises(SystemExit, match=r"page\.md: The page has no table with the header '\| flowers .*Write that"):
        ask(monkeypatch, *three, other, "--page", page)
    first, second = capsys.readouterr().out.split("\n\n")
    assert first.splitlines() == table(three)
    assert second.startswith("| flowers | unit | seed 1 | mean over seeds (95 %) | n |")
    with pytest.raises(SystemExit, match=r"gone\.md cannot be renewed: No such file"):
        ask(monkeypatch, *three, "--page", tmp_path / "gone.md")


def test_numbers_are_written_as_json(three, tmp_path, monkeypatch):
    ask(monkeypatch, *three, "--json", tmp_path / "seeds.json")
    said = json.loads((tmp_path / "seeds.json").read_text())
    assert said["seeds"] == [0, 1, 2]
    named = {one["name"]: (round(one["value"], 3), one["unit"]) for one in said["figures"]}
    assert named[f"one, {RISE}, seed 2"] == (3.0, "points")
    assert named[f"one, {RISE}, mean over 3 seeds"] == (2.0, "points")
    assert named[f"one, {RISE}, lower end of its 95 % interval"] == (-0.484, "points")
    assert named[f"one, {RISE}, upper end"] == (4.484, "points")
    assert f"one, {AGAINST}, seed 2" not in named


def test_what_is_wrong_is_said_in_a_line(three, tmp_path, monkeypatch, capsys):
    with pytest.raises(SystemExit) as end:
        ask(monkeypatch, three[0], tmp_path / "nowhere")
    assert end.value.code == 2
    assert re.search(r"error: \S+nowhere holds no report\.json", capsys.readouterr().err)
