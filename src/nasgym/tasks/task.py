"""Tasks: what a search is for. A plain `Task` is enough for an exact table; `ImageTask` carries the images."""

from dataclasses import dataclass, field, replace
from typing import Self


@dataclass(frozen=True, slots=True)
class Budget:
    """What a network may cost; `None` means no limit.

    Attributes:
        parameters: trainable parameters.
        flops: multiply-adds counted as two operations, per image, head included.
        memory: bytes of weights plus peak activations of one image at int8.
    """

    parameters: int | None = None
    flops: int | None = None
    memory: int | None = None


@dataclass(frozen=True, slots=True)
class Fidelity:
    """How thoroughly one evaluation is done.

    Attributes:
        epochs: passes over the training images.
        resolution: side of the square images, pixels.
        samples: training images used (a fixed, stratified subset); `None` for all of them.
    """

    epochs: int
    resolution: int = 32
    samples: int | None = None

    def __str__(self) -> str:
        samples = "all" if self.samples is None else str(self.samples)
        return f"{self.epochs} epochs, {self.resolution} px, {samples} samples"


@dataclass(frozen=True)
class Task:
    """A classification task as an environment or a table sees it.

    Attributes:
        name: what people call it.
        fingerprint: identifies the data, their content and split; never the budget.
        input_shape: height, width and channels of one image.
        n_classes: number of classes.
        budget: what a network may cost.
        fidelity: how thoroughly evaluations are done unless asked otherwise.
        evaluation_seed: seed of the first evaluation of every network on this task.
    """

    name: str
    fingerprint: str
    input_shape: tuple[int, int, int]
    n_classes: int
    budget: Budget = field(default_factory=Budget)
    fidelity: Fidelity = field(default_factory=lambda: Fidelity(epochs=8))
    evaluation_seed: int = 0

    def with_budget(self, budget: Budget) -> Self:
        """Return the same task with another budget; outcomes stay valid, since no key holds the budget."""
        return replace(self, budget=budget)
