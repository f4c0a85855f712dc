"""docs/store.md: what it shows runs, on a server of the tests' own."""

import doctest
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
from terminal import Prompt

from nasgym.testing.postgres import Server

PAGE = Path(__file__).parents[2] / "docs" / "store.md"
BLOCK = re.compile(r"^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
SERVER = "postgresql+psycopg://me:secret@server/nas"


def run_python(text: str, variables: dict[str, Any]) -> None:
    example = doctest.DocTestParser().get_doctest(text, variables, PAGE.name, PAGE.name, 0)
    report: list[str] = []
    doctest.DocTestRunner().run(example, out=report.append, clear_globs=False)
    assert not report, "".join(report)
    variables.update(example.globs)


@pytest.mark.slow
def test_the_examples_of_the_page_run(prompt: Prompt, photos: Path, postgres: Server):
    shutil.copytree(photos, "photos")
    url = postgres.new_database()
    variables: dict[str, Any] = {}
    languages = set()
    for block in BLOCK.finditer(PAGE.read_text(encoding="utf-8")):
        languages.add(block["language"])
        if block["language"] == "python":
            run_python(block["text"], variables)
        elif block["language"] == "console":
            for line in block["text"].splitlines():
                said = prompt.run(*shlex.split(line.removeprefix("$ nasgym ").replace(SERVER, url)))
                assert said.code == 0, f"{line}\n{said.err}"
                assert postgres.password not in said.out + said.err
    assert languages == {"console", "python", "sh"}
    assert postgres.password not in Path("runs/photos/report.html").read_text(encoding="utf-8")
