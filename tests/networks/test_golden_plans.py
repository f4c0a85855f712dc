"""Plans must not drift: stored outcomes are keyed by profiles whose rules these files pin down.

After a deliberate change of the rules, `python tests/networks/test_golden_plans.py` writes the file again.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from nasgym.architectures import parse_architecture
from nasgym.networks.plan import plan
from nasgym.networks.profiles import profile

GOLDEN = Path(__file__).parent / "golden" / "plans.json"
CASES = [
    ("empty", "paper", (32, 32, 3), 10),
    ("empty", "default", (32, 32, 3), 10),
    ("conv5 maxpool3 conv1 conv5 conv1 conv5 conv1 maxpool2 avgpool3", "paper", (84, 84, 3), 50),
    ("conv3 maxpool2 conv5 avgpool2 conv3", "default", (32, 32, 1), 10),
    ("conv3 conv3 maxpool2 conv3", "paper-intensive", (84, 84, 3), 100),
    ("conv3 conv3 maxpool2 conv3 conv3 maxpool2", "vgg19-like", (84, 84, 3), 100),
    ("conv3(0) conv5(1) maxpool2(1) add(2,3) conv3(4) concat(3,5) avgpool3(1)", "paper", (40, 36, 3), 7),
    ("conv3(0) conv5(1) maxpool2(1) add(2,3) conv3(4) concat(3,5) avgpool3(1)", "default", (40, 36, 3), 7),
    ("stem=4 width=16 sepconv3+ downconv3 sepconv5+ maxpool2 conv3 conv3+", "default", (64, 64, 3), 12),
    ("stem=2 width=8 augment=shift dropout=30 conv3+ downconv5 conv2", "default", (33, 31, 1), 12),
]


def described(text: str, name: str, shape: tuple[int, int, int], n_classes: int) -> dict[str, Any]:
    result = plan(parse_architecture(text), shape, n_classes, profile(name))
    return {
        "architecture": text,
        "profile": name,
        "input_shape": list(shape),
        "n_classes": n_classes,
        "nodes": [
            [type(node.computes).__name__, list(node.inputs), list(node.shape), node.parameters, node.flops]
            for node in result.nodes
        ],
        "zeros": {str(node.index): [list(z) for z in getattr(node.computes, "zeros", ())] for node in result.nodes[1:]},
        "head": [[dense.inputs, dense.outputs, dense.dropout, dense.relu] for dense in result.head.layers],
        "parameters": result.parameters,
        "flops": result.flops,
        "density": round(result.density, 9),
        "peak_activations": result.peak_activations,
        "weight_memory_int8": result.weight_memory_int8,
        "memory": result.memory,
    }


@pytest.mark.parametrize("number", range(len(CASES)))
def test_plans_do_not_drift(number: int) -> None:
    assert described(*CASES[number]) == json.loads(GOLDEN.read_text())[number]


if __name__ == "__main__":
    GOLDEN.write_text("[\n" + ",\n".join(json.dumps(described(*case)) for case in CASES) + "\n]\n")
