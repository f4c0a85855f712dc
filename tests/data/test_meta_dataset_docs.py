"""docs/meta-dataset.md: its commands run on records as meta-dataset writes them, and it says what the reader does."""

import doctest
import io
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from data_samples import pictures, write_folder
from PIL import Image
from typer.testing import CliRunner

from nasgym.cli.main import app
from nasgym.core.errors import DataError
from nasgym.data import load_dataset
from nasgym.data.tfrecord import tfrecord_bytes

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "meta-dataset.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
COUNTS = {
    "ilsvrc_2012": "1,280,764 / 1,000",
    "omniglot": "32,460 / 1,623",
    "aircraft": "10,000 / 100",
    "cu_birds": "11,788 / 200",
    "dtd": "5,640 / 47",
    "quickdraw": "50,426,266 / 345",
    "fungi": "89,760 / 1,394",
    "vgg_flower": "8,189 / 102",
    "traffic_sign": "39,209 / 43",
    "mscoco": "330,000 / 80",
}
"""Images and classes of each set as the paper has them."""


def ink(seed: int) -> bytes:
    """A JPEG as the converter makes it of a character: RGB, though grey, 105 pixels, white on black."""
    drawn = np.zeros((105, 105), np.uint8)
    generator = np.random.default_rng(seed)
    row, column = generator.integers(5, 80, 2)
    drawn[row : row + 20, column : column + 20] = 255
    content = io.BytesIO()
    Image.fromarray(drawn).convert("RGB").save(content, "JPEG")
    return content.getvalue()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with converted records of three classes, and a folder of images."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NASGYM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "records" / "omniglot"
    folder.mkdir(parents=True)
    for label in range(3):
        content = b"".join(tfrecord_bytes(ink(100 * label + number), label) for number in range(8))
        (folder / f"{label}.tfrecords").write_bytes(content)
    specification = {"name": "omniglot", "class_names": {"0": "a", "1": "b", "2": "c"}}
    (folder / "dataset_spec.json").write_text(json.dumps(specification))
    write_folder(tmp_path / "photos", pictures(("cat", "dog")))
    return tmp_path


def typed(line: str) -> str:
    said = CliRunner().invoke(app, shlex.split(line.removeprefix("$ nasgym ")))
    assert said.exit_code == 0, f"{line}\n{said.output}\n{said.exception}"
    return said.output


def test_the_commands_and_examples_of_the_page_run(here: Path):
    ran = []
    for block in BLOCK.finditer(TEXT):
        if block["language"] == "console":
            ran += [typed(line) for line in block["text"].splitlines()]
        elif block["language"] == "python":
            example = doctest.DocTestParser().get_doctest(block["text"], {}, "page", "page", 0)
            report: list[str] = []
            doctest.DocTestRunner().run(example, out=report.append)
            assert not report, "".join(report)
    assert len(ran) == 4
    summary = json.loads(ran[1])
    assert (summary["images"], summary["classes"]) == (24, {"0": 8, "1": 8, "2": 8})
    assert (here / "records/photos/0.tfrecords.classes.txt").read_text().split() == ["cat", "dog"]


def test_records_are_grey_where_every_pixel_is_and_their_description_is_no_loss(here: Path):
    dataset = load_dataset("records/omniglot", size=84, strict=True)
    assert dataset.shape == (84, 84, 1)
    assert [problem.where for problem in dataset.problems] == ["dataset_spec.json"]


def test_damaged_records_are_refused_with_file_and_place(here: Path):
    file = here / "records" / "omniglot" / "1.tfrecords"
    whole = file.read_bytes()
    file.write_bytes(whole[:-3])
    with pytest.raises(DataError, match=r"1\.tfrecords: cut off at byte \d+\. Copy or convert it again"):
        load_dataset("records/omniglot", size=84)
    file.write_bytes(whole[:200] + bytes([whole[200] ^ 1]) + whole[201:])
    with pytest.raises(DataError, match=r"1\.tfrecords: damaged at byte 0 \(checksum\)"):
        load_dataset("records/omniglot", size=84)


def test_every_set_has_its_row_its_counts_and_its_command():
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in TEXT.splitlines() if line.startswith("| ")
    ]
    by_name = {row[0]: row for row in rows}
    assert {name: row[1] for name, row in by_name.items() if name != "set"} == COUNTS
    assert re.findall(r"^convert (\w+) ", TEXT, re.MULTILINE) == list(COUNTS)
    for name in COUNTS:
        folder = re.search(rf"^convert {name} (\S+)$", TEXT, re.MULTILINE)
        assert folder is not None
        assert by_name[name][3].startswith(f"`{folder[1]}/")
