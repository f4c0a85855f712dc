"""An episode as text and as a picture."""

import numpy as np
from numpy.typing import NDArray

from nasgym.architectures.nsc import COLUMNS
from nasgym.architectures.operations import EMPTY_ROW, Operation
from nasgym.envs.positions import Position, Stop
from nasgym.tasks import Task

IMAGE_SIDE = 640
"""Height and width of a drawing, pixels."""


def as_text(position: Position, step: int, reward: float, stop: Stop | None) -> str:
    """Return the NSC rows as a table, the architecture as text, and the last reward."""
    lines = [
        " ".join(f"{name:>6}" for name in COLUMNS) + "  operation",
        *(_row(row) for row in position.nsc.tolist()),
        f"architecture: {position.text or 'its header is not complete'}",
        f"pointers: {position.draft.pointers[0]} {position.draft.pointers[1]}",
        f"step {step}: reward {reward:.4f}" + (f", ended: {stop.value}" if stop else ""),
    ]
    return "\n".join(lines)


def as_image(position: Position, task: Task) -> NDArray[np.uint8]:
    """Return the drawing of the architecture, `IMAGE_SIDE` × `IMAGE_SIDE` × 3, uint8; white while there is none."""
    if position.architecture is None:
        return np.full((IMAGE_SIDE, IMAGE_SIDE, 3), 255, dtype=np.uint8)
    from nasgym.networks.drawing import to_rgb  # matplotlib takes longer to import than all the rest

    planned = None if position.trunk is None else position.trunk.finish(task.n_classes)
    return to_rgb(position.architecture, planned, width=IMAGE_SIDE, height=IMAGE_SIDE)


def _row(row: list[int]) -> str:
    code = row[COLUMNS.index("type")]
    name = "" if code == EMPTY_ROW else Operation(code).token
    return (" ".join(f"{value:>6}" for value in row) + f"  {name}").rstrip()
