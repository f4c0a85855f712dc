"""docs/plugins.md makes a package; here it is made, installed, and everything on the page is run with it."""

import re
import shlex
from pathlib import Path

import pytest
from installed import install, run_nasgym, run_python

PAGE = Path(__file__).parents[2] / "docs" / "plugins.md"
BLOCK = re.compile(r"^```(?P<language>\w+)(?: (?P<file>\S+))?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_the_package_of_the_page_works_as_the_page_says(tmp_path: Path) -> None:
    package, site = tmp_path / "package", tmp_path / "site"
    blocks = list(BLOCK.finditer(PAGE.read_text(encoding="utf-8")))
    for block in blocks:
        if block["file"]:
            path = package / block["file"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block["text"], encoding="utf-8")
    commands = [line.removeprefix("$ ") for block in blocks if block["language"] == "console"
                for line in block["text"].splitlines()]  # fmt: skip
    assert commands[0] == "pip install ."
    install(package, site)
    for command in commands[1:]:
        program, *arguments = shlex.split(command)
        match program:
            case "nasgym":
                printed = run_nasgym(site, package, *arguments)
                assert printed or arguments[0] == "search", command
            case "python" | "pytest":
                module = ["-m", "pytest", "-q", "-p", "no:cacheprovider"] if program == "pytest" else []
                ended = run_python(site, package, *module, *arguments)
                assert ended.returncode == 0, f"{command}\n{ended.stdout}\n{ended.stderr}"
            case _:
                raise AssertionError(f"docs/plugins.md: {command}")
    assert (package / "runs" / "signs" / "result.json").is_file()
    assert (package / "shared" / "signs.sqlite").is_file()


def test_the_examples_of_the_page_give_what_it_shows(tmp_path: Path) -> None:
    ended = run_python(tmp_path, tmp_path, "-m", "doctest", str(PAGE))
    assert ended.returncode == 0, ended.stdout
