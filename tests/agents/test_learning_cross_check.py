"""Without memory and with one episode a meta-episode, our agents learn as those of Stable-Baselines3 do."""

from pathlib import Path

import pytest
import torch
from benchmarks.cross_check import LEARNING_RATES, curves

from nasgym.evaluation.tables.published import import_table

SEEDS, STEPS = 4, 12_000
CLOSE = 0.025
"""What four short trainings can tell; `python -m benchmarks.cross_check` says it with ten long ones."""


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", LEARNING_RATES)
def test_short_learning_curves_agree_with_those_of_sb3(algorithm: str, shared_data: Path, tmp_path: Path) -> None:
    table = import_table("nas-bench-201", shared_data / "nas_tables" / "nasbench201.csv.xz", tmp_path / "cells.table")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    both = curves(table, algorithm, SEEDS, STEPS)
    torch.set_num_threads(threads)
    ours, theirs = both["ours"], both["sb3"]
    assert ours.shape == theirs.shape == (SEEDS, -(-STEPS // 384))
    assert abs(float(ours.mean() - theirs.mean())) < CLOSE
    for learned in (ours, theirs):
        assert learned[:, -5:].mean() > learned[:, :5].mean() + 0.03
