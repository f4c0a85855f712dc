"""`nasgym data` shows and writes what the library reads."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from nasgym.cli.data import app, cache_directory
from nasgym.core.errors import ConfigurationError, DataError


@pytest.fixture
def pets(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.setenv("NASGYM_CACHE", str(tmp_path / "cache"))
    for place, name in enumerate(("cat", "dog")):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for index in range(10):
            pixels = np.random.default_rng(100 * place + index).integers(0, 256, (16, 16), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pets" / name / f"{index // 2}_{index}.png")
    (tmp_path / "pets" / "cat" / "text.png").write_text("hello")
    return tmp_path / "pets"


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_info_shows_counts_split_and_what_was_left_out(pets):
    text = run("info", pets)
    assert "pets  20 images, 2 classes" in text
    assert "16 × 16 pixels" in text
    assert "32 × 32 pixels, grey" in text
    assert "12 train, 4 validation, 4 test" in text
    assert "cat/text.png: not an image" in text


def test_info_as_json_holds_every_figure(pets):
    facts = json.loads(run("info", pets, "--json", "--size", 16, "--seed", 3))
    assert facts["images"] == 20
    assert facts["classes"] == {"cat": 10, "dog": 10}
    assert facts["split"] == {"train": 12, "validation": 4, "test": 4}
    assert facts["problems"] == [{"where": "cat/text.png", "why": "not an image", "harmless": False}]
    assert facts["original_sizes"] == [[16, 16]] * 3


def test_info_by_groups_says_so(pets):
    (pets / "cat" / "text.png").unlink()
    assert json.loads(run("info", pets, "--json", "--group-pattern", "{group}_*"))["split_kind"] == "grouped"


def test_info_draws_a_contact_sheet(pets, tmp_path):
    assert "Contact sheet: " in run("info", pets, "--contact-sheet", tmp_path / "sheet.png")
    assert Image.open(tmp_path / "sheet.png").width > 300


def test_strict_refuses(pets):
    with pytest.raises(DataError, match=r"`strict` allows none"):
        run("info", pets, "--strict")


def test_labels_replace_the_folders(pets, tmp_path):
    rows = [f"cat/{index // 2}_{index}.png,{'ab'[index % 2]}" for index in range(10)]
    (tmp_path / "labels.csv").write_text("file,label\n" + "\n".join(rows))
    assert json.loads(run("info", pets, "--json", "--labels", tmp_path / "labels.csv"))["classes"] == {"a": 5, "b": 5}


@pytest.mark.parametrize("file_format", ["npz", "csv", "tfrecord"])
def test_what_is_exported_can_be_shown(pets, tmp_path, file_format):
    out = tmp_path / "out" / f"pets.{file_format}"
    text = run("export", pets, "--format", file_format, "--size", 16, "--out", out)
    assert "20 images of 2 classes written" in text
    assert json.loads(run("info", out, "--json", "--size", 16))["images"] == 20


def test_an_unknown_format_is_refused_with_the_nearest(pets, tmp_path):
    with pytest.raises(
        ConfigurationError, match=r"Unknown format 'npy' \(known: npz, csv, tfrecord\)\. Did you mean 'npz'"
    ):
        run("export", pets, "--format", "npy", "--out", tmp_path / "x")


def test_images_are_kept_where_the_option_or_else_the_variable_says(pets, tmp_path, monkeypatch):
    assert cache_directory(tmp_path / "here") == tmp_path / "here"
    assert cache_directory() == tmp_path / "cache"
    monkeypatch.delenv("NASGYM_CACHE")
    assert cache_directory() is None
    run("info", pets, "--cache-dir", tmp_path / "here")
    assert (tmp_path / "here").is_dir()
    assert not (tmp_path / "cache").exists()


def test_every_command_shows_examples():
    for command in ("info", "export"):
        assert f"nasgym data {command} " in run(command, "--help")


def test_importing_the_commands_is_light():
    heavy = ("numpy", "PIL", "sklearn", "torch")
    code = f"import sys, nasgym.cli.data; print(*(name for name in {heavy} if name in sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []
