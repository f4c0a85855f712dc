"""What a drawing of an architecture shows: boxes, edges and captions, before any of them has a place."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from nasgym.architectures import Architecture, Augmentation, Header, Layer, Operation, Skeleton
from nasgym.architectures.skeletons import CELL_EDGES, CELL_NODES
from nasgym.networks.nodes import Head, Shape
from nasgym.networks.plan import Plan

Edge = tuple[int, int]


class Kind(Enum):
    """What a box stands for: decides its colour."""

    END = auto()
    """The image and the head."""
    CONVOLUTION = auto()
    SEPARABLE = auto()
    REDUCTION = auto()
    MAX_POOLING = auto()
    AVERAGE_POOLING = auto()
    IDENTITY = auto()
    ADDITION = auto()
    CONCATENATION = auto()
    ZERO = auto()
    AVERAGE_SAME = auto()
    INVERTED_RESIDUAL = auto()
    NUMBER = auto()


TITLES = {
    Operation.CONVOLUTION: "conv",
    Operation.SEPARABLE: "sep conv",
    Operation.REDUCTION: "down conv",
    Operation.MAX_POOLING: "max pool",
    Operation.AVERAGE_POOLING: "avg pool",
    Operation.IDENTITY: "identity",
    Operation.ADDITION: "add",
    Operation.CONCATENATION: "concat",
    Operation.ZERO: "none",
    Operation.AVERAGE_SAME: "avg pool",
    Operation.INVERTED_RESIDUAL: "mb conv",
}


@dataclass(frozen=True, slots=True)
class Box:
    """One box of a drawing.

    Attributes:
        name: id in the SVG: `image`, `stem`, `layer-3`, `merge-1` or `head`.
        kind: decides its colour.
        title: first line.
        detail: second line; may be empty.
        shape: of its output, where a plan tells it.
        residual: whether its input is added to its output.
        index: of the layer, as other layers refer to it; 0 for boxes that are no layers.
    """

    name: str
    kind: Kind
    title: str
    detail: str = ""
    shape: Shape | None = None
    residual: bool = False
    index: int = 0


@dataclass(frozen=True, slots=True)
class Diagram:
    """Boxes in an order in which every edge leads from a lower to a higher number, the image first, the head last.

    Attributes:
        boxes: in that order.
        edges: pairs of numbers of boxes; the same pair may come twice.
        header: caption above; empty without a header.
        costs: caption below; empty without a plan.
    """

    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]
    header: str = ""
    costs: str = ""

    @property
    def is_chain(self) -> bool:
        """Whether every box leads to the next one only."""
        return self.edges == tuple((number, number + 1) for number in range(len(self.boxes) - 1))


def diagram(architecture: Architecture, plan: Plan | None = None) -> Diagram:
    """Return the diagram of `architecture`; with its plan, also shapes, costs and the profile's own leaf merges.

    Of a network of cells one cell is shown.
    """
    if architecture.skeleton is Skeleton.CELL201:
        return _cell_diagram(architecture, plan)
    header = architecture.header
    boxes = [_image(plan)]
    edges: list[Edge] = []
    if header is not None:
        shape = plan.nodes[0].shape if plan else None
        boxes.append(Box("stem", Kind.CONVOLUTION, "stem", f"stride {header.stem_stride}", shape))
        edges.append((0, 1))
    first = len(boxes) - 1
    nodes = plan.layers if plan else (None,) * len(architecture)
    for index, (layer, node) in enumerate(zip(architecture.layers, nodes, strict=True), start=1):
        edges += [(first + source, len(boxes)) for source in layer.inputs]
        boxes.append(_layer(index, layer, node.shape if node else None))
    for number, (inputs, shape) in enumerate(_leaf_merges(architecture, plan), start=1):
        edges += [(first + source, len(boxes)) for source in inputs]
        boxes.append(Box(f"merge-{number}", Kind.CONCATENATION, "concat", "leaves", shape))
    edges.append((len(boxes) - 1, len(boxes)))
    boxes.append(Box("head", Kind.END, *_head(plan.head) if plan else ("head",)))
    return Diagram(
        tuple(boxes), tuple(edges), _header_caption(header) if header else "", _costs_caption(plan) if plan else ""
    )


def _cell_diagram(architecture: Architecture, plan: Plan | None) -> Diagram:
    """Return the diagram of one cell: its input, its layers, a sum where several lead to a node, its output."""
    boxes = [Box("cell-input", Kind.END, "cell input")]
    edges: list[Edge] = []
    reached = [0]
    for end in range(1, CELL_NODES):
        arriving = []
        for index, (layer, (_, to)) in enumerate(zip(architecture.layers, CELL_EDGES, strict=True), start=1):
            if to == end:
                edges.append((reached[layer.inputs[0]], len(boxes)))
                arriving.append(len(boxes))
                boxes.append(_layer(index, layer, None))
        if len(arriving) > 1:
            edges += [(source, len(boxes)) for source in arriving]
            boxes.append(Box(f"sum-{end}", Kind.ADDITION, TITLES[Operation.ADDITION]))
        reached.append(len(boxes) - 1)
    edges.append((len(boxes) - 1, len(boxes)))
    boxes.append(Box("cell-output", Kind.END, "cell output"))
    return Diagram(tuple(boxes), tuple(edges), "one of 15 equal cells", _costs_caption(plan) if plan else "")


def _image(plan: Plan | None) -> Box:
    if plan is None:
        return Box("image", Kind.END, "image")
    height, width, channels = plan.input_shape
    return Box("image", Kind.END, "image", shape=(channels, height, width))


def _layer(index: int, layer: Layer, shape: Shape | None) -> Box:
    kind = Kind[layer.operation.name]
    if layer.operation is Operation.NUMBER:
        return Box(f"layer-{index}", kind, str(layer.kernel), index=index)
    detail = f"{layer.kernel}×{layer.kernel}" if layer.kernel else ""
    return Box(f"layer-{index}", kind, TITLES[layer.operation], detail, shape, layer.residual, index)


def _leaf_merges(architecture: Architecture, plan: Plan | None) -> Sequence[tuple[tuple[int, ...], Shape | None]]:
    """Return inputs and output shape of each concatenation of leaves; all at once where no plan tells how."""
    if plan is not None:
        return [(node.inputs, node.shape) for node in plan.leaf_merges]
    leaves = architecture.leaves
    return [(leaves, None)] if len(leaves) > 1 else []


def _head(head: Head) -> tuple[str, str]:
    if head.pools:
        return "global pool", f"{head.layers[-1].outputs} classes"
    return "dense", " → ".join(str(layer.outputs) for layer in head.layers)


def _header_caption(header: Header) -> str:
    parts = [f"stem stride {header.stem_stride}", f"width {header.base_width}"]
    if header.augmentation is not Augmentation.NONE:
        parts.append(f"augmentation {header.augmentation.token}")
    if header.dropout:
        parts.append(f"dropout {header.dropout} %")
    return " · ".join(parts)


def _costs_caption(plan: Plan) -> str:
    parameters, flops, memory = _short(plan.parameters), _short(plan.flops), _short(plan.memory)
    return f"{parameters} parameters · {flops} FLOPs · {memory}B at int8"


def _short(number: int) -> str:
    """Return `number` with three digits and a decimal prefix, as in 1.23 M."""
    value, prefix = float(number), ""
    for larger in "kMGT":
        if value < 999.5:
            break
        value, prefix = value / 1000, larger
    return f"{value:.3g} {prefix}"
