"""The page on the ablation: its examples run, and its numbers are those of the runs kept beside the benchmark."""

import doctest
import re
from pathlib import Path

import pytest
from benchmarks.ablation import agents, gathered, page_table
from benchmarks.ablation_runs import STEPS, VARIANTS

PAGE = Path(__file__).parents[2] / "docs" / "ablation.md"


def test_the_examples_of_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    example = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, PAGE.name, PAGE.name, 0)
    report: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example, out=report.append)
    assert not report, "".join(report)
    assert len(example.examples) >= 10


def test_the_pictures_of_the_page_are_there() -> None:
    pictures = re.findall(r"\]\((images/[\w.-]+)\)", PAGE.read_text(encoding="utf-8"))
    assert len(pictures) >= 2
    assert all((PAGE.parent / picture).is_file() for picture in pictures)


def test_the_runs_are_alike_in_everything_but_the_variant_and_the_seed() -> None:
    runs = gathered()
    assert {run["steps"] for run in runs} == {STEPS}
    assert {run["variant"] for run in runs} <= set(VARIANTS)
    assert len({(run["variant"], run["seed"]) for run in runs}) == len(runs)


@pytest.mark.slow
def test_the_table_of_the_page_says_what_the_runs_say() -> None:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    measured = agents("test")
    for name in ("rl2", "memory-reset"):
        row = page_table({name: measured[name]}).splitlines()[-1]
        assert row in lines, f"python -m benchmarks.ablation prints another row for {name}:\n{row}"
