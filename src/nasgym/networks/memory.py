"""How much memory a network needs while it runs: liveness of its tensors in execution order, on integers.

Counted are the tensors that must exist at once for one image: while a step runs, what it reads, what it writes,
and everything that a later step still reads. ReLU, BatchNorm, zero-padding, flattening, identities and
the addition of a residual happen in place or inside a neighbouring step, as inference engines do them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from nasgym.networks.nodes import Convolutions, Head, Identity, Image, Node, Shape


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the execution; step `t` writes tensor `t`, and tensor 0 is the image.

    Attributes:
        reads: tensors that it reads.
        elements: size of the tensor that it writes.
    """

    reads: tuple[int, ...]
    elements: int


def schedule(image: Shape, nodes: Sequence[Node], head: Head) -> tuple[Step, ...]:
    """Return the steps in execution order, beginning with the image itself (which reads nothing)."""
    steps = [Step((), prod(image))]
    tensor_of: dict[int, int] = {}
    for node in nodes:
        reads = tuple(tensor_of[source] for source in node.inputs) or (0,)
        written = reads[0]
        match node.computes:
            case Convolutions(parts, residual):
                for number, part in enumerate(parts, start=1):
                    shortcut = reads if residual and number == len(parts) else ()
                    steps.append(Step((written, *shortcut), prod(part.shape)))
                    written = len(steps) - 1
            case Image() | Identity():
                pass
            case _:
                steps.append(Step(reads, prod(node.shape)))
                written = len(steps) - 1
        tensor_of[node.index] = written
    last = tensor_of[nodes[-1].index]
    for elements in ([head.n_features] if head.pools else []) + [layer.outputs for layer in head.layers]:
        steps.append(Step((last,), elements))
        last = len(steps) - 1
    return tuple(steps)


def peak_elements(steps: Sequence[Step]) -> int:
    """Return the largest number of elements alive at once."""
    last_use = {tensor: number for number, step in enumerate(steps) for tensor in step.reads}
    alive = peak = 0
    for number, step in enumerate(steps):
        alive += step.elements
        peak = max(peak, alive)
        alive -= sum(steps[tensor].elements for tensor in set(step.reads) if last_use[tensor] == number)
    return peak
