"""`edge-mini`: the complete small sub-space of `edge`, 384 networks, few enough to train every one of them."""

from collections.abc import Iterator
from itertools import product, takewhile

import numpy as np
from numpy.typing import NDArray

from nasgym.architectures.actions import Action, AddLayer, AddStage, action_label
from nasgym.architectures.architecture import Architecture, Layer
from nasgym.architectures.canonical import LeafMerge
from nasgym.architectures.operations import Operation
from nasgym.architectures.spaces.definition import HeaderChoice, OperationChoice, SpaceDefinition, SpaceKind
from nasgym.architectures.spaces.edge import HeaderSpace
from nasgym.architectures.spaces.space import Draft, Ending
from nasgym.core.errors import ArchitectureError

EDGE_MINI = "edge-mini"
N_STAGES = 3

_CONV3 = AddLayer(Operation.CONVOLUTION, 3)
_CONV3_RESIDUAL = AddLayer(Operation.CONVOLUTION, 3, residual=True)
_SEPCONV3 = AddLayer(Operation.SEPARABLE, 3)
_SEPCONV5 = AddLayer(Operation.SEPARABLE, 5)
_HALVE = AddLayer(Operation.MAX_POOLING, 2)
STAGES = (
    AddStage((_CONV3, _HALVE)),
    AddStage((_CONV3, _CONV3_RESIDUAL, _HALVE)),
    AddStage((_SEPCONV3, _HALVE)),
    AddStage((_SEPCONV5, _HALVE)),
)
"""The choices for a stage: full or separable, deeper or not, a small or a large window; each then halves the image."""

_DEFINITION = SpaceDefinition(
    name=EDGE_MINI,
    kind=SpaceKind.EDGE,
    max_layers=N_STAGES * max(len(stage.layers) for stage in STAGES),
    operations=(
        OperationChoice(Operation.CONVOLUTION, (3,), residual=True),
        OperationChoice(Operation.SEPARABLE, (3, 5)),
        OperationChoice(Operation.MAX_POOLING, (2,)),
    ),
    header=(HeaderChoice(Operation.STEM_STRIDE, (1, 2)), HeaderChoice(Operation.BASE_WIDTH, (8, 16, 32))),
)


class EdgeMiniSpace(HeaderSpace):
    """Stem stride 1/2 × base width 8/16/32 × three stages of the four `STAGES`: `2 · 3 · 4³ = 384` networks.

    Actions: the five header values, then the four stages; the third stage ends the draft, and there is no terminal.
    A draft is an architecture once its third stage is in place, so that no environment asks for another network.
    Rows and observation as `edge` with d = 9. Default τ = 5. Every network is in `edge`, too.
    """

    def __init__(self) -> None:
        super().__init__(_DEFINITION, STAGES, max_steps=N_STAGES)
        self._stages = {_layers(stages): stages for stages in product(STAGES, repeat=N_STAGES)}

    def architectures(self) -> Iterator[Architecture]:
        """Yield all 384 networks, by stem stride, base width, then first to last stage."""
        for settings in product(*(choice.values for choice in self.definition.header)):
            for layers in self._stages:
                yield Architecture(layers, self._header(settings))

    def architecture(self, draft: Draft) -> Architecture | None:
        """Return the architecture; `None` before the third stage is in place."""
        return super().architecture(draft) if draft.layers in self._stages else None

    def path(self, architecture: Architecture) -> tuple[int, ...]:
        """Return the five actions that build `architecture`."""
        actions = self._header_path(architecture)
        if architecture.layers not in self._stages:
            agreeing = max(_common(architecture.layers, layers) for layers in self._stages)
            raise ArchitectureError(
                f"Space {self.name!r} holds networks of {N_STAGES} stages, each one of "
                f"{', '.join(map(action_label, STAGES))}; the architecture departs from that at layer {agreeing + 1}."
            )
        return (*actions, *(self._ids[stage] for stage in self._stages[architecture.layers]))

    def count_by_depth(self, leaves: LeafMerge) -> list[int | None]:  # noqa: ARG002 - chains have one leaf
        """Return how many of the 384 networks have 0..9 layers; no two of them are the same network."""
        depths = [len(architecture) for architecture in self.architectures()]
        return [depths.count(depth) for depth in range(self.max_layers + 1)]

    def _apply_layers(self, draft: Draft, chosen: Action) -> Draft:
        if not isinstance(chosen, AddStage):
            raise AssertionError(f"{chosen} is no action of space {self.name!r}")
        layers = draft.layers + _stage_layers(chosen, len(draft.layers))
        return Draft(layers, draft.settings, draft.pointers, Ending.FULL if layers in self._stages else None)

    def _legal_layers(self, draft: Draft) -> NDArray[np.bool_]:  # noqa: ARG002 - every stage can follow every other
        mask: NDArray[np.bool_] = self._after_header.copy()
        return mask


def _layers(stages: tuple[AddStage, ...]) -> tuple[Layer, ...]:
    layers: tuple[Layer, ...] = ()
    for stage in stages:
        layers += _stage_layers(stage, len(layers))
    return layers


def _stage_layers(stage: AddStage, newest: int) -> tuple[Layer, ...]:
    return tuple(
        Layer(added.operation, added.kernel, (source,), residual=added.residual)
        for source, added in enumerate(stage.layers, start=newest)
    )


def _common(first: tuple[Layer, ...], second: tuple[Layer, ...]) -> int:
    """Return how many layers from the first on are the same in both."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False)))
