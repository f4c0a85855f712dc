"""A package of its own adds a space, an estimator, a data reader and a store, and every part of nasgym finds them."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from installed import EXAMPLE, run_nasgym, run_python
from scipy.io import savemat

Command = Callable[..., str]

IN_AN_ENVIRONMENT = """
import gymnasium
import nasgym.envs
env = gymnasium.make("nasgym/Chain-v1", task="digits", estimator="random-features", max_layers=2, store="jsonl://a.jsonl")
env.reset(seed=0)
*_, first = env.step(1)
env.reset()
*_, second = env.step(1)
print(first["architecture"], first["accuracy"] > 0.3, first["from_store"], second["from_store"])
"""


def test_plugins_lists_what_is_installed_and_by_which_package(nasgym: Command) -> None:
    listed = json.loads(nasgym("plugins", "--json"))
    assert {(each["group"], each["name"], each["package"], each["problem"]) for each in listed} == {
        ("nasgym.spaces", "vgg-blocks", "nasgym-example 1.0.0", ""),
        ("nasgym.estimators", "random-features", "nasgym-example 1.0.0", ""),
        ("nasgym.datasets", "mat", "nasgym-example 1.0.0", ""),
        ("nasgym.stores", "jsonl", "nasgym-example 1.0.0", ""),
    }


def test_the_space_is_shown_by_name(nasgym: Command) -> None:
    facts = json.loads(nasgym("space", "show", "vgg-blocks", "--json"))
    assert [action["meaning"] for action in facts["actions"]] == [
        "conv3 maxpool2",
        "conv3 conv3 maxpool2",
        "conv3 conv3 conv3 maxpool2",
        "terminal",
    ]
    assert sum(facts["networks_by_depth"]) == 121
    assert "plug-in" in nasgym("space", "list")


def test_the_reader_reads_what_its_name_and_a_path_say(nasgym: Command, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3, 40), dtype=np.uint8)
    savemat(tmp_path / "house_numbers.mat", {"X": pixels, "y": np.arange(40)[:, None] % 4})
    summary = json.loads(nasgym("data", "info", "mat:house_numbers.mat", "--json"))
    assert (summary["name"], summary["images"]) == ("house_numbers", 40)
    assert summary["classes"] == {"0": 10, "1": 10, "2": 10, "3": 10}


@pytest.mark.slow
def test_a_search_takes_space_estimator_and_store_by_name(nasgym: Command, tmp_path: Path) -> None:
    named = ("--space", "vgg-blocks", "--estimator", "random-features", "--store", "jsonl://store.jsonl")
    short = ("--evaluations", "4", "--finalists", "1", "--final-epochs", "1", "--size", "16", "--workers", "0")
    nasgym("search", "digits", *named, *short, "--out", "out")
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert result["evaluations"] == 4
    assert result["architecture"].endswith("maxpool2")
    lines = [json.loads(line) for line in (tmp_path / "store.jsonl").read_text().splitlines()]
    rows = [row for line in lines for row in line.get("evaluations", ())]
    assert sum(row["estimator"].startswith("random-features:1:") for row in rows) == 4
    assert "4" in nasgym("store", "ls", "--store", "jsonl://store.jsonl")


def test_a_search_with_an_unknown_estimator_is_refused_before_anything_is_written(site: Path, tmp_path: Path) -> None:
    command = ("-c", "from nasgym.cli.main import run; run()", "search", "digits", "--estimator", "random-feature")
    ended = run_python(site, tmp_path, *command)
    assert ended.returncode == 2
    assert ended.stderr == (
        "Error: No estimator 'random-feature' (known: training, random-features). Did you mean 'random-features'?\n"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_an_environment_takes_estimator_and_store_by_name(site: Path, tmp_path: Path) -> None:
    ended = run_python(site, tmp_path, "-c", IN_AN_ENVIRONMENT)
    assert ended.stdout.split() == ["conv3", "True", "False", "True"], ended.stderr


@pytest.mark.slow
def test_the_packages_own_tests_find_its_plug_ins_and_their_contracts_kept(site: Path, tmp_path: Path) -> None:
    copy = tmp_path / "package"
    shutil.copytree(EXAMPLE, copy, ignore=shutil.ignore_patterns("src", "__pycache__"))
    ended = run_python(site, copy, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert ended.returncode == 0, ended.stdout
    assert " passed" in ended.stdout


def test_a_plug_in_that_cannot_be_imported_is_listed_with_the_reason(tmp_path: Path) -> None:
    package = tmp_path / "site" / "broken-2.0.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 2.0\n")
    (package / "entry_points.txt").write_text(
        "[nasgym.spaces]\nnowhere = not_there:Space\n[nasgym.stores]\nsomewhere = collections:Counter\n"
    )
    listed = json.loads(run_nasgym(tmp_path / "site", tmp_path, "plugins", "--json"))
    reason = "Plug-in 'nowhere' of 'nasgym.spaces' (not_there:Space) cannot be imported: No module named 'not_there'"
    assert [(each["name"], each["object"], each["package"], each["problem"]) for each in listed] == [
        ("nowhere", "not_there:Space", "broken 2.0", reason),
        ("somewhere", "collections:Counter", "broken 2.0", ""),
    ]
    table = run_nasgym(tmp_path / "site", tmp_path, "plugins")
    assert re.search(r"spaces +│ +nowhere +│ +broken 2.0 +│ +no ", table)
    assert re.search(r"stores +│ +somewhere +│ +broken 2.0 +│ +yes ", table)
    assert reason in " ".join(table.split())


def test_without_plug_ins_the_list_says_so(tmp_path: Path) -> None:
    assert run_nasgym(tmp_path, tmp_path, "plugins") == (
        "No plug-ins are installed; docs/plugins.md says how to write one.\n"
    )
