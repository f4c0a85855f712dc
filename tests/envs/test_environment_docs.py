"""The examples of the documentation run: files are written, Python is compared with what is shown, commands succeed."""

import doctest
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from nasgym.architectures.spaces.loading import load_space
from nasgym.cli.main import app
from nasgym.envs import ENVIRONMENTS

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"^```(?P<language>\w+)(?: (?P<file>\S+))?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


def run_python(text: str, page: str, variables: dict[str, Any]) -> None:
    example = doctest.DocTestParser().get_doctest(text, variables, page, page, 0)
    report: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example, out=report.append, clear_globs=False)
    assert not report, "".join(report)
    variables.update(example.globs)


def run_commands(text: str, page: str) -> None:
    for line in text.splitlines():
        program, *arguments = line.removeprefix("$ ").split()
        assert program == "nasgym", f"{page}: {line}"
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, f"{page}: {line}\n{result.output}\n{result.exception}"


@pytest.mark.slow
@pytest.mark.parametrize("page", ["environments.md", "vector-environments.md", "coming-from-nasgym.md", "tables.md"])
def test_the_examples_of_a_page_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NASGYM_CACHE", str(tmp_path / "cache"))
    blocks = list(BLOCK.finditer((DOCS / page).read_text(encoding="utf-8")))
    for block in blocks:
        if block["file"]:
            Path(block["file"]).write_text(block["text"], encoding="utf-8")
    variables: dict[str, Any] = {}
    for block in blocks:
        if block["language"] == "python":
            run_python(block["text"], page, variables)
        elif block["language"] == "console":
            run_commands(block["text"], page)
    assert {block["language"] for block in blocks} >= {"python"}


@pytest.mark.parametrize(("name", "kind"), ENVIRONMENTS.items())
def test_the_table_of_environments_is_right(name: str, kind: str) -> None:
    space = load_space(kind)
    row = next(line for line in (DOCS / "environments.md").read_text().splitlines() if line.startswith(f"| `{name}`"))
    *_, actions, observation, steps, _ = (cell.strip() for cell in row.split("|"))
    expected = {"d": space.max_layers, "2d": 2 * space.max_layers, "d + 2": space.max_layers + 2}
    assert (int(actions), int(observation)) == (len(space.actions), space.observation_length)
    assert (expected | {"d + 4": space.max_layers + 4})[steps] == space.default_max_steps
