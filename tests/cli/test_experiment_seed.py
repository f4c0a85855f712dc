"""`nasgym experiment --seed`: folders of their own, the policy of the same seed, and one table over all seeds."""

import json
import re
import sys
from pathlib import Path

import pytest
from benchmarks import paper_seeds
from terminal import Prompt
from test_search_docs import BLOCK, DOCS

from nasgym.store import open_store

PAGE = (DOCS / "paper-experiments.md").read_text(encoding="utf-8")
TINY = next(block["text"] for block in BLOCK.finditer(PAGE) if block["file"] == "tiny.toml")
NEXT = TINY.replace('name = "tiny"', 'name = "next"').replace('policy = "learn"', 'policy = "tiny/learn"')
"""Plays with the policy of the experiment beside it."""


def final_seeds(prompt: Prompt) -> list[int]:
    """Seeds of the final trainings in the store."""
    with open_store(prompt.folder / "runs" / "store.sqlite") as store:
        return sorted(one.key.seed for one in store.evaluations() if one.key.epochs == 2)


@pytest.mark.slow
def test_a_seed_has_a_folder_of_its_own_in_which_the_next_experiment_finds_its_policy(
    prompt: Prompt, monkeypatch, capsys
):
    Path("tiny.toml").write_text(TINY, encoding="utf-8")
    Path("next.toml").write_text(NEXT, encoding="utf-8")
    said = prompt.run("experiment", "tiny.toml", "--seed", 1, "--workers", 0, "--json")
    assert said.code == 0, said.err
    assert "Report: runs/seed-1/tiny/report.html" in said.err
    assert json.loads(said.out)["seeds"] == [1]
    assert not Path("runs/tiny").exists()
    assert final_seeds(prompt) == [2, 3]

    follows = ("experiment", "next.toml", "--only", "search", "--workers", 0)
    assert (said := prompt.run(*follows, "--seed", 1)).code == 0, said.err
    assert Path("runs/seed-1/next/search/result.json").exists()
    for words, folder in (((), "runs/tiny"), (("--seed", 2), "runs/seed-2/tiny")):
        said = prompt.run(*follows, *words)
        assert said.code == 2
        assert f"is not finished in {folder}/learn: run experiment 'tiny' first, " in said.err
        assert f"with --out {folder} and the same seed." in said.err

    for stage, key in (("learn", r"run\.seed"), ("final", "seed")):
        said = prompt.run("experiment", "tiny.toml", "--seed", 2, "--out", "runs/seed-1/tiny", "--only", stage)
        assert said.code == 2
        assert re.search(rf"tiny/{stage} holds a run with other settings: {key} \(1, now 2\)", said.err), said.err
        assert json.loads(Path("runs/seed-1/tiny/report.json").read_text())["seeds"] == [1]

    assert (said := prompt.run("experiment", "tiny.toml", "--workers", 0)).code == 0, said.err
    assert final_seeds(prompt) == [0, 1, 2, 3]
    monkeypatch.setattr(sys, "argv", ["paper_seeds", "runs/seed-1/tiny", "runs/tiny"])
    paper_seeds.main()
    entropies = [
        json.loads(Path(folder, "report.json").read_text())["findings"][0]["values"]
        for folder in ("runs/tiny", "runs/seed-1/tiny")
    ]
    zero, one = (f"{values['last'] - values['first']:+.2f}".replace("-", "−") for values in entropies)
    table = capsys.readouterr().out
    assert table.startswith("| tiny | unit | seed 0 | seed 1 | mean over seeds (95 %) | n |\n|---|")
    assert f"last fifth of the updates less first | nats | {zero} | {one} | " in table


def test_a_seed_below_zero_is_refused_by_the_name_of_its_option(prompt: Prompt):
    Path("tiny.toml").write_text(TINY, encoding="utf-8")
    said = prompt.run("experiment", "tiny.toml", "--seed", -1)
    assert said.code == 2
    assert "Invalid value for '--seed': " in said.err
    assert not Path("runs").exists()
