"""docs/meta-learning.md: its examples run, its tables are right, and the configurations it names are read."""

import re
import shlex
from pathlib import Path

import pytest
from terminal import Prompt
from test_search_docs import BLOCK, DOCS, fields, in_words

from nasgym.experiments.config import DataSettings, read_config
from nasgym.experiments.meta.agents import NATIVE, SB3, agent_named
from nasgym.experiments.meta.config import MetaConfig, TaskSettings, make_meta_config

PAGE = DOCS / "meta-learning.md"


def table(start: str) -> list[list[str]]:
    """Rows of the table of the page that begins with the line `start`."""
    text = PAGE.read_text(encoding="utf-8").partition(start)[2].partition("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.strip().splitlines()][1:]


@pytest.mark.slow
def test_the_examples_of_the_page_run(prompt: Prompt):
    blocks = list(BLOCK.finditer(PAGE.read_text(encoding="utf-8")))
    for block in blocks:
        if block["file"]:
            Path(block["file"]).write_text(block["text"], encoding="utf-8")
    lines = [line for block in blocks if block["language"] == "console" for line in block["text"].splitlines()]
    assert len(lines) == 2
    for line in lines:
        said = prompt.run(*shlex.split(line.removeprefix("$ nasgym ")))
        assert said.code == 0, f"{line}\n{said.err}"
    written = {row[0].strip("`") for row in table("| in the folder of the run | |")}
    assert written - {"checkpoint.safetensors"} <= {path.name for path in Path("runs/tiny").iterdir()}
    assert Path("runs/tiny/meta-test/report.html").exists()


def test_the_table_of_settings_is_complete_and_right():
    rows = {row[0].strip("`"): row[1] for row in table("| key | default | |")}
    settings = {name: default for name, default in fields(MetaConfig).items() if name != "agent.settings"}
    listed = ("tasks.train", "tasks.validation", "tasks.test")
    assert rows == {name: "" if name in listed else in_words(default) for name, default in settings.items()}


def test_every_setting_of_a_task_is_named():
    rows = [row[0] for row in table("| of a task | default | |")]
    own = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert own - {"source"} == TaskSettings.model_fields.keys() - DataSettings.model_fields.keys()
    behind = PAGE.read_text().partition("has under `data`:")[2].partition("A\nheld-out")[0]
    assert set(re.findall(r"`(\w+)`", behind)) == DataSettings.model_fields.keys() - {"source"}


def test_the_table_of_agents_names_each_of_them():
    rows = table("| name | what | environments |")
    assert {name for row in rows for name in re.findall(r"`([\w-]+)`", row[0])} == {*NATIVE, *SB3}
    assert [agent_named(name).environments for name in ("rl2", "paper", "dqn")] == [None, 1, 1]


@pytest.mark.parametrize("file", sorted((DOCS.parent / "configs" / "meta").glob("*.toml")), ids=lambda file: file.stem)
def test_the_configurations_of_the_page_are_read(file: Path):
    assert f"(../configs/meta/{file.name})" in PAGE.read_text()
    config = make_meta_config(read_config(file), source=file.name)
    agent_named(config.agent.name).check(config.agent.settings)
