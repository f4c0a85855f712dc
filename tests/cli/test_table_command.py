import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nasgym.cli.table import app
from nasgym.core.errors import TableError

CELLS = "arch,c10_val_12\n" + "".join(
    f"|{op}~0|+|{other}~0|none~1|+|none~0|skip_connect~1|{op}~2|,{40 + number}\n"
    for number, (op, other) in enumerate(
        (op, other)
        for op in ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
        for other in ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
    )
)

runner = CliRunner()


@pytest.fixture
def table(tmp_path: Path) -> Path:
    source, out = tmp_path / "cells.csv", tmp_path / "cells.table"
    source.write_text(CELLS, encoding="utf-8")
    result = runner.invoke(app, ["import", "nas-bench-201", str(source), "--out", str(out)], catch_exceptions=False)
    assert result.exit_code == 0
    assert "networks: 25" in result.stdout
    return out


def test_info_tells_tasks_and_the_best_network(table: Path) -> None:
    result = runner.invoke(app, ["info", str(table)], catch_exceptions=False)
    assert "space: cell201" in result.stdout
    assert "best 0.64000 by skeleton=cell201 avgsame3 avgsame3 none none identity avgsame3" in result.stdout
    facts = json.loads(runner.invoke(app, ["info", str(table), "--json"], catch_exceptions=False).stdout)
    assert facts["networks"] == facts["tasks"][0]["evaluations"] == 25
    assert facts["licence"].startswith("MIT")


def test_fit_reports_how_well_left_out_networks_are_ranked(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "cells.surrogate"
    result = runner.invoke(app, ["fit", str(table), "--out", str(out)], catch_exceptions=False)
    assert "task cifar10: Spearman" in result.stdout
    assert "(from residuals)" in result.stdout
    assert out.is_file()
    facts = json.loads(runner.invoke(app, ["fit", str(table), "--out", str(out), "--json"]).stdout)
    assert set(facts["cifar10"]) == {"spearman", "kendall", "error", "noise", "from_repeats"}


def test_a_file_that_is_no_table_is_an_error(tmp_path: Path) -> None:
    result = runner.invoke(app, ["info", str(tmp_path / "nothing.table")])
    assert isinstance(result.exception, TableError)
    assert "no such file" in str(result.exception)
