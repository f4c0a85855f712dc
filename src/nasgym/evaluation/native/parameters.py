"""Memory for the compiled code: tensors that stay where they are as long as it points into them."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

MARGIN = 64
"""Numbers to spare behind every feature map: vectors are read whole."""


@dataclass
class Memory:
    """What the compiled code points into; must outlive it.

    Attributes:
        kept: tensors and structures.
    """

    kept: list[object] = field(default_factory=list)

    def floats(self, count: int) -> int:
        """Return the address of `count` zeros of four bytes."""
        return self.keep(torch.zeros(count + MARGIN))

    def halves(self, count: int) -> int:
        """Return the address of `count` zeros of two bytes."""
        return self.keep(torch.zeros(count + MARGIN, dtype=torch.int16))

    def keep(self, tensor: Tensor) -> int:
        """Keep `tensor`, and return its address."""
        self.kept.append(tensor)
        return tensor.data_ptr()


@dataclass
class Flat:
    """Parameters one after the other, and what the optimizer keeps of each.

    Attributes:
        whole: parameters, gradients, and Adam's two means; fp32, of equal size.
        taken: how many are given out.
    """

    whole: tuple[Tensor, Tensor, Tensor, Tensor]
    taken: int = 0

    def take(self, *shape: int) -> tuple[Tensor, int, int]:
        """Return the next parameter, its address and that of its gradient."""
        count = int(torch.Size(shape).numel())
        parameter, gradient = (flat[self.taken : self.taken + count] for flat in self.whole[:2])
        self.taken += count
        return parameter.view(shape), parameter.data_ptr(), gradient.data_ptr()
