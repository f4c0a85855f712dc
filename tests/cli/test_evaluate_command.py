"""`nasgym evaluate`: one network, as often as asked for."""

import json
from pathlib import Path

import pytest
from terminal import Prompt

from nasgym.store import open_store


def test_repeats_are_trained_with_seeds_of_their_own_and_kept(prompt: Prompt, photos: Path):
    words = ("evaluate", photos, "-a", "conv3 maxpool2 conv3", "--size", 16, "--epochs", 2, "--seed", 5, "--workers", 0)
    rows = json.loads(prompt.run(*words, "--repeats", 2, "--json").out)
    assert [row["seed"] for row in rows] == [5, 6]
    assert [row["epochs"] for row in rows] == [2, 2]
    assert all(0 <= row["accuracy"] <= 1 and len(row["validation_accuracies"]) == 2 for row in rows)
    with open_store("runs/store.sqlite", create=False) as store:
        assert len(list(store.evaluations())) == 2
    more = json.loads(prompt.run(*words, "--repeats", 3, "--json").out)
    assert [row["accuracy"] for row in more[:2]] == [row["accuracy"] for row in rows]
    assert len(more) == 3


def test_a_person_sees_a_table_with_the_mean(prompt: Prompt, photos: Path):
    said = prompt.run("evaluate", photos, "-a", "conv3", "--size", 8, "--epochs", 1, "--repeats", 2, "--workers", 0)
    assert said.code == 0, said.err
    assert "conv3 on photos, 1 epochs" in said.out
    assert "mean ± 2 sd of 2:" in said.out


@pytest.mark.slow
def test_two_processes_give_the_same_as_one(prompt: Prompt, photos: Path):
    words = ("evaluate", photos, "-a", "conv3 maxpool2 conv3", "--size", 16, "--epochs", 2, "--repeats", 2, "--json")
    one, two = (
        json.loads(prompt.run(*words, "--workers", workers, "--store", f"{workers}.sqlite").out) for workers in (0, 2)
    )
    assert [row["validation_losses"] for row in one] == [row["validation_losses"] for row in two]


@pytest.mark.parametrize(
    ("words", "parameters"),
    [
        (["-a", "conv3 maxpool2", "--profile", "paper"], None),
        (["-a", "vgg19-like"], (64 * 28 + 64 * 577 + 128 * 577 + 128 * 1153) + (512 + 1 + 4096 + 1) * 4096 + 4097 * 3),
    ],
    ids=["paper", "vgg19-like"],
)
def test_profiles_and_named_networks_are_trained(prompt: Prompt, photos: Path, words, parameters):
    said = prompt.run("evaluate", photos, *words, "--size", 8, "--epochs", 1, "--json")
    assert said.code == 0, said.err
    (row,) = json.loads(said.out)
    assert row["failure"] is None
    assert row["estimator"].startswith(f"training:{words[-1]}:")
    if parameters is not None:
        assert row["parameters"] == parameters


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--estimator", "trainin"], "No estimator 'trainin' (known: training). Did you mean 'training'?"),
        (["--device", "cuda:7"], "Device 'cuda:7' is not here: torch sees"),
        (["--device", "tpu"], "Device 'tpu' is"),
    ],
)
def test_an_estimator_or_a_device_that_is_not_there_is_named_before_anything_is_read(prompt: Prompt, words, message):
    said = prompt.run("evaluate", "no-such-folder", "-a", "conv3", *words)
    assert said.code == 2
    assert said.err.startswith("Error: ")
    assert message in said.err
