"""What tells whether two experiments differ by more than their seed."""

from pathlib import Path

import pytest
from tiny_experiment import TINY, write

from nasgym.experiments.stages.config import ExperimentConfig, read_experiment


def read(folder: Path, text: str = TINY, data: str = "", seed: int | None = None) -> ExperimentConfig:
    (folder / data / "digits").mkdir(parents=True, exist_ok=True)
    return read_experiment(write(text, folder / "tiny.toml"), folder / data if data else None, seed)


def test_another_seed_is_of_every_stage_that_has_none_of_its_own(tmp_path):
    own = TINY.replace("steps = 24", "steps = 24\nseed = 7")
    config = read(tmp_path, "seed = 3\n" + own, seed=5)
    assert config.seed == 5
    assert {stage.seed for stage in config.stages.values()} == {None, 7}
    assert read(tmp_path, "seed = 3\n" + own).seed == 3


def test_seeds_titles_and_folders_of_data_make_no_difference(tmp_path):
    known = read(tmp_path).fingerprint
    assert read(tmp_path, seed=5).fingerprint == known
    assert read(tmp_path, data="here").fingerprint == read(tmp_path, data="there").fingerprint == known
    assert read(tmp_path, TINY.replace("A tiny experiment", "Another title")).fingerprint == known


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("steps = 24", "steps = 25"),
        ("trainings = 2", "trainings = 3"),
        ("samples = 50", "samples = 51"),
        ("hidden = [8]", "hidden = [9]"),
        ("max_layers = 3", "max_layers = 4"),
        ('source = "digits"', 'source = "letters"'),
        ("steps = 24", "steps = 24\nseed = 0"),
    ],
)
def test_every_other_setting_makes_one(tmp_path, before, after):
    assert before in TINY
    assert read(tmp_path, TINY.replace(before, after)).fingerprint != read(tmp_path).fingerprint


def test_random_subsets_depend_on_the_folder_of_their_data(tmp_path):
    subsets = TINY.replace('classes = ["0", "1", "2"]', "subsets = 2\nn_classes = 3")
    here, there = (read(tmp_path, subsets, data) for data in ("here", "there"))
    assert here.fingerprint != there.fingerprint
