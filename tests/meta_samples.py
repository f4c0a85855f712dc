"""A small table with three tasks that disagree about what is good, and configurations of quick trainings on it."""

import json
from itertools import product
from pathlib import Path
from typing import Any

from nasgym.architectures import Architecture, Layer, Operation
from nasgym.architectures.spaces import load_space
from nasgym.evaluation import Completed
from nasgym.evaluation.tables import Table, TableBuilder, TableDescription, TableTask
from nasgym.tasks import Fidelity

DEPTH = 2
TASKS = tuple(
    TableTask(name, f"data-{name}", (32, 32, 3), 10, Fidelity(1), test="made up") for name in ("sea", "wood", "sky")
)
LIKED = {"sea": Operation.CONVOLUTION, "wood": Operation.MAX_POOLING, "sky": Operation.AVERAGE_POOLING}
"""The operation that each task likes."""


def accuracy(task: str, layers: tuple[Layer, ...]) -> float:
    """Return 0.2, and 0.3 more for each layer that the task likes, and a little for large kernels."""
    return 0.2 + sum(0.3 * (layer.operation is LIKED[task]) + 0.01 * layer.kernel for layer in layers)


def small_table(file: Path) -> Table:
    """Write the table of all chains of up to two layers; their test scores are 0.05 below."""
    space = load_space("chain", max_layers=DEPTH)
    builder = TableBuilder(TableDescription("small", TASKS, "default", "made up", space="chain"))
    for depth in range(DEPTH + 1):
        for words in product(space.actions[:-1], repeat=depth):
            layers = tuple(Layer(word.operation, word.kernel, (place,)) for place, word in enumerate(words))
            for task in TASKS:
                value = accuracy(task.name, layers)
                builder.add(Architecture(layers), task.fingerprint, 0, Completed(value))
                builder.add_test(Architecture(layers), task.fingerprint, value - 0.05)
    return builder.write(file)


def settings(table: Path, **run: Any) -> dict[str, Any]:
    """Return the settings of a training of a few seconds."""
    return {
        "agent": {"name": "rl2", "memory": {"kind": "lstm", "size": 16}, "rollout": {"steps": 16}},
        "environment": {"space": "chain", "max_layers": DEPTH, "episodes": 3, "environments": 8},
        "tasks": {"table": str(table), "train": ["sea", "wood"], "validation": ["sky"]},
        "run": {"steps": 800, "evaluate_every": 300, "evaluation_meta_episodes": 6} | run,
    }


def toml(values: dict[str, Any]) -> str:
    """Return settings as TOML text: sections of JSON-like values."""
    lines = []
    for section, entries in values.items():
        lines.append(f"[{section}]")
        lines += [f"{name} = {_toml(value)}" for name, value in entries.items()]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {_toml(one)}" for name, one in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value)
