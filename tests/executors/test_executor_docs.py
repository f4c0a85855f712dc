"""docs/executors.md: its examples run, and what it promises has the tests and the benchmark that it names."""

import doctest
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nasgym.cli.main import app

PAGE = Path(__file__).parents[2] / "docs" / "executors.md"
BLOCK = re.compile(r"^```(?P<language>\w+)(?: (?P<file>\S+))?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_the_examples_of_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NASGYM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    ran = []
    for block in BLOCK.finditer(PAGE.read_text(encoding="utf-8")):
        ran.append(block["language"])
        match block["language"]:
            case "toml":
                Path(block["file"]).write_text(block["text"], encoding="utf-8")
            case "console":
                for line in block["text"].splitlines():
                    said = CliRunner().invoke(app, shlex.split(line.removeprefix("$ nasgym ")))
                    assert said.exit_code == 0, f"{line}\n{said.output}\n{said.exception}"
            case "python":
                example = doctest.DocTestParser().get_doctest(block["text"], {}, PAGE.name, PAGE.name, 0)
                report: list[str] = []
                doctest.DocTestRunner().run(example, out=report.append)
                assert not report, "".join(report)
    assert {"toml", "console", "python"} <= set(ran)
