"""The single-file example learns, and its command runs."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from nasgym.evaluation.tables import TabularBenchmark

FILE = Path(__file__).parents[2] / "examples" / "ppo_single_file.py"


@pytest.fixture(scope="module")
def example() -> Any:
    spec = importlib.util.spec_from_file_location("ppo_single_file", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_example_beats_random_actions(example: Any, tmp_path: Path) -> None:
    table = example.made_up_table(tmp_path)
    envs = gymnasium.make_vec(
        "nasgym/Chain-v1",
        num_envs=example.NUM_ENVS,
        autoreset_mode="SameStep",
        task=table.tasks[0].task,
        estimator=TabularBenchmark(table),
        max_layers=example.DEPTH,
        reward_timing="terminal",
    )
    baseline = example.random_return(envs, np.random.default_rng(0))
    (*_, (_, learned)) = example.train(envs, 60_000, seed=0)
    assert learned > baseline + 0.3


def test_the_command_of_the_example_runs() -> None:
    command = [sys.executable, str(FILE), "--steps", "41000"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert printed.startswith("random legal actions: 0.")
    assert "40,960 steps: return " in printed
