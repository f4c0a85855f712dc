"""docs/paper-experiments.md: its example runs, its tables are complete, and the files it names are there."""

import re
import shlex
from pathlib import Path

import pytest
from terminal import Prompt
from test_search_docs import BLOCK, DOCS

from nasgym.experiments.stages.config import ExperimentConfig
from nasgym.experiments.stages.kinds import (
    FinalStage,
    FrozenStage,
    HardnessStage,
    StageSettings,
    SurrogateStage,
    TrainStage,
    WalkStage,
)

PAGE = DOCS / "paper-experiments.md"
KINDS = {
    "train": TrainStage,
    "frozen": FrozenStage,
    "walk": WalkStage,
    "hardness": HardnessStage,
    "final": FinalStage,
    "surrogate": SurrogateStage,
}


def rows(start: str) -> list[list[str]]:
    """Rows of the table of the page that begins with the line `start`."""
    text = PAGE.read_text(encoding="utf-8").partition(start)[2].partition("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.strip().splitlines()][1:]


@pytest.mark.slow
def test_the_example_of_the_page_runs(prompt: Prompt):
    blocks = list(BLOCK.finditer(PAGE.read_text(encoding="utf-8")))
    for block in blocks:
        if block["file"]:
            Path(block["file"]).write_text(block["text"], encoding="utf-8")
    lines = [line for block in blocks if block["language"] == "console" for line in block["text"].splitlines()]
    assert len(lines) == 2
    for line in lines:
        said = prompt.run(*shlex.split(line.removeprefix("$ nasgym ")))
        assert said.code == 0, f"{line}\n{said.err}"
    for name in ("report.html", "report.md", "report.json", "learn/result.json", "search/run.json"):
        assert Path("runs/tiny", name).exists()


def test_every_kind_of_stage_is_there_with_its_own_settings():
    stages = rows("| kind | what is done | its own settings |")
    told = {row[0].strip("`"): set(re.findall(r"`([a-z_]+)`", row[2])) for row in stages}
    assert told.keys() == KINDS.keys()
    for kind, stage in KINDS.items():
        own = stage.model_fields.keys() - StageSettings.model_fields.keys() - {"kind"}
        assert told[kind] == own, kind
    common = PAGE.read_text().partition("All have ")[2].partition("This one takes seconds")[0]
    assert set(re.findall(r"`([a-z_]+)`", common)) - {"dmrl", "dqn", "random"} == StageSettings.model_fields.keys()


def test_every_setting_of_an_experiment_is_there():
    told = [row[0].strip("`").removesuffix(".NAME") for row in rows("| key | default | |")]
    assert told == list(ExperimentConfig.model_fields)


def test_the_files_and_pages_that_it_names_are_there():
    text = PAGE.read_text()
    for name in re.findall(r"nasgym experiment (configs/\S+\.toml)", text):
        assert (DOCS.parent / name).exists(), name
    for folder in ("", "small/", "corrected/"):
        assert f"`configs/paper/{folder}experiment-{{1,2,3}}.toml`" in text
    for link in re.findall(r"\]\(([^)#:]+)", text):
        assert (DOCS / link).exists(), link
