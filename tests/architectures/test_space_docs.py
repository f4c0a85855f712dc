"""The examples of docs/spaces.md run, and its table says what the spaces are."""

import doctest
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nasgym.architectures.operations import Operation
from nasgym.architectures.spaces import BUILT_IN, load_space
from nasgym.architectures.spaces.reader import HEADERS, OPERATIONS
from nasgym.cli.main import app

PAGE = (Path(__file__).parents[2] / "docs" / "spaces.md").read_text(encoding="utf-8")
SIZED = ("chain", "multi-branch", "explicit", "edge", "joint", "edge-mini")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run in a folder in which the file of the page lies."""
    for name, text in re.findall(r"^```yaml (\S+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_python_gives_what_the_page_shows() -> None:
    examples = doctest.DocTestParser().get_doctest(PAGE, {}, "spaces.md", "spaces.md", 0)
    assert len(examples.examples) > 20
    report: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(examples, out=report.append)
    assert not report, "".join(report)


def test_commands_succeed() -> None:
    commands = re.findall(r"^\$ nasgym (.*)$", PAGE, re.MULTILINE)
    assert len(commands) == 4
    for command in commands:
        result = CliRunner().invoke(app, command.split())
        assert result.exit_code == 0, f"{command}\n{result.output}\n{result.exception}"


@pytest.mark.parametrize("name", SIZED)
def test_the_table_says_what_a_space_is(name: str) -> None:
    space = load_space(name)
    row = next(line for line in PAGE.splitlines() if line.startswith(f"| `{name}` |"))
    cells = [int(cell) for cell in row.split("|")[3:-1]]
    sizes = [len(space.actions), space.max_layers, space.n_rows, space.observation_length, space.default_max_steps]
    assert cells == sizes


def test_every_space_every_row_type_and_every_key_is_there() -> None:
    for word in (*BUILT_IN, *OPERATIONS, *HEADERS):
        assert f"`{word}`" in PAGE, word
    for operation in Operation:
        if operation < Operation.ZERO:
            assert re.search(rf"^\| [\d, ]*\b{int(operation)}\b", PAGE, re.MULTILINE), operation
