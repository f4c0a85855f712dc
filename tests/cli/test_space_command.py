import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nasgym.architectures.spaces import BUILT_IN
from nasgym.cli.space import app
from nasgym.core.errors import ConfigurationError

runner = CliRunner()


def test_show_prints_actions_sizes_and_counts() -> None:
    result = runner.invoke(app, ["show", "chain"])
    assert result.exit_code == 0
    for word in ("chain", "maxpool3", "terminal", "250 numbers", "10 × 5", "282,475,249"):
        assert word in result.stdout


def test_show_says_where_counting_ends() -> None:
    result = runner.invoke(app, ["show", "multi-branch"])
    assert "4 … 10" in result.stdout
    assert "too many to count" in result.stdout


def test_show_as_json_holds_the_same_facts() -> None:
    result = runner.invoke(app, ["show", "multi-branch", "--kind", "explicit", "--max-layers", "2", "--json"])
    facts = json.loads(result.stdout)
    assert facts["kind"] == facts["name"] == "explicit"
    assert (facts["max_layers"], facts["rows"], facts["default_max_steps"]) == (2, 2, 2)
    assert facts["observation_length"] == 2 * (4 + 5 + 11)
    assert [action["id"] for action in facts["actions"]] == list(range(2 * 7 + 1 + 2))
    assert facts["actions"][15] == {"id": 15, "meaning": "add(1,0)"}
    assert facts["networks_by_depth"] == [1, 7, 98]


def test_show_reads_a_file_and_names_what_is_wrong_in_it(tmp_path: Path) -> None:
    file = tmp_path / "space.yml"
    file.write_text("nasenv: {name: x, max_nlayer: 3, encoding: NSC, layers: []}", encoding="utf-8")
    result = runner.invoke(app, ["show", str(file)])
    assert isinstance(result.exception, ConfigurationError)
    assert f"{file}: nasenv: unknown key 'max_nlayer'" in str(result.exception)
    assert "Did you mean 'max_nlayers'?" in str(result.exception)


def test_list_names_every_space() -> None:
    result = runner.invoke(app, ["list"])
    assert result.exit_code == 0
    for name in BUILT_IN:
        assert name in result.stdout


@pytest.mark.parametrize("command", ["show", "list"])
def test_help_has_an_example(command: str) -> None:
    assert f"nasgym space {command}" in runner.invoke(app, [command, "--help"]).stdout
