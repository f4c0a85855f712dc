"""docs/search.md and docs/configuration.md: examples run, and tables say what is the case."""

import doctest
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
import typer
from pydantic import BaseModel
from terminal import Prompt

from nasgym.cli.main import app
from nasgym.experiments.config import SearchConfig

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"^```(?P<language>\w+)(?: (?P<file>\S+))?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
WITHOUT_VALUE = object()


def run_python(text: str, variables: dict[str, Any]) -> None:
    example = doctest.DocTestParser().get_doctest(text, variables, "search.md", "search.md", 0)
    report: list[str] = []
    doctest.DocTestRunner().run(example, out=report.append, clear_globs=False)
    assert not report, "".join(report)
    variables.update(example.globs)


@pytest.mark.slow
def test_the_examples_of_the_page_run(prompt: Prompt, photos: Path):
    shutil.copytree(photos, "photos")
    blocks = list(BLOCK.finditer((DOCS / "search.md").read_text(encoding="utf-8")))
    for block in blocks:
        if block["file"]:
            Path(block["file"]).write_text(block["text"], encoding="utf-8")
    variables: dict[str, Any] = {}
    for block in blocks:
        if block["language"] == "python":
            run_python(block["text"], variables)
        elif block["language"] == "console":
            for line in block["text"].splitlines():
                said = prompt.run(*shlex.split(line.removeprefix("$ nasgym ")))
                assert said.code == 0, f"{line}\n{said.err}"
    assert {"console", "python", "toml"} <= {block["language"] for block in blocks}
    for name in ("result.json", "best.pt", "report.html", "finalists", "run.json"):
        assert Path("runs/photos", name).exists()


def fields(model: type[BaseModel], prefix: str = "") -> dict[str, Any]:
    """Every setting with its default."""
    found: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found |= fields(kind, f"{prefix}{name}.")
        else:
            found[prefix + name] = WITHOUT_VALUE if field.is_required() else field.default
    return found


def in_words(default: Any) -> str:
    match default:
        case None:
            return "none"
        case bool():
            return str(default).lower()
        case tuple():
            return ", ".join(map(str, default))
        case _:
            return "" if default is WITHOUT_VALUE else str(default)


def table(page: str, start: str) -> list[list[str]]:
    """Rows of the table of a page that comes behind the line `start`."""
    lines = (DOCS / page).read_text(encoding="utf-8").partition(start)[2].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return rows[1:]


def test_the_table_of_settings_is_complete_and_right():
    rows = {row[0].strip("`"): row for row in table("search.md", "| key | option | default | |")}
    assert {name: row[2] for name, row in rows.items()} == {
        name: in_words(default) for name, default in fields(SearchConfig).items()
    }
    (search,) = (command for name, command in typer.main.get_command(app).commands.items() if name == "search")
    options = {option for parameter in search.params for option in parameter.opts if option.startswith("--")}
    named = {row[1].strip("`") for row in rows.values() if row[1].startswith("`--")}
    assert named == options - {"--config", "--resume", "--json", "--verbose", "--log-file", "--cache"}


KEYS = {
    "DEFAULT": "LogPath LoggerLevel LoggerName",
    "bash": "Algorithm Environment Network FinalModelName NTasks NSteps NumTimesteps ExpTimesteps NTrials "
    "GPUMonitorSec SleepTimeSec LogInterval Gamma Lr LrScheduler LrSchedulerOffset "
    "QEpsilon BufferSize RandomSeedGlobal",
    "nasenv.default": "ConfigFile MaxSteps DbFile DatasetHandler ActionSpaceType TrainerType PointersRewardDiscount",
    "trainer.default": "BatchSize NEpochs OptimizerLearningRate OptimizerBeta1 OptimizerBeta2 OptimizerEpsilon "
    "FCLUnits DropoutLayerRate",
    "trainer.tensorflow": "EnableDistributed EnableLogDevicePlacement AllowMemoryGrowth",
    "trainer.earlystop": "MuWeight RhoWeight",
    "metadataset": "TFRecordsRootDir DatasetID TrainTestSplitProp RandomSeed",
}
"""The keys of NASGym's config.ini and of all files of nas-dmrl."""


def test_every_key_of_the_old_files_has_its_row_and_every_new_one_exists():
    rows = table("configuration.md", "| section | key | here |")
    mapped = {(row[0].strip("`"), key) for row in rows for key in re.findall(r"`(\w+)`", row[1])}
    assert mapped == {(section, key) for section, keys in KEYS.items() for key in keys.split()}
    sections = {name.split(".")[0] for name in fields(SearchConfig) if "." in name}
    named = {word for row in rows for word in re.findall(r"`(\w+\.\w+)", row[2]) if word.split(".")[0] in sections}
    assert named <= fields(SearchConfig).keys()
