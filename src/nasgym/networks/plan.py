"""Architecture, image shape and profile → plan: every shape and cost of the network, on integers, without torch.

A `Trunk` grows by one layer at a time, so that an environment that tries each next layer pays for that layer
only; `plan` goes from an architecture to the end. Both follow `networks.rules`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from nasgym.architectures import Architecture, Header, Layer, Skeleton
from nasgym.core.errors import PlanError
from nasgym.networks.memory import peak_elements, schedule
from nasgym.networks.nodes import Convolution, Dense, Head, Node
from nasgym.networks.profiles import NetworkProfile
from nasgym.networks.rules import first_node, head, in_force, layer_node, leaf_merges
from nasgym.networks.skeletons import CELL_LAYER_NODES, fixed_network


@dataclass(frozen=True)
class Plan:
    """A network with every shape settled; `networks.build` makes it, and it costs what is said here.

    Attributes:
        architecture: what it is a plan of.
        profile: the rules it follows.
        input_shape: height, width and channels of one image.
        n_classes: number of classes.
        nodes: image or stem, layers, merges of the leaves, each after its inputs; the last one feeds the head.
        head: the classifier.
    """

    architecture: Architecture
    profile: NetworkProfile
    input_shape: tuple[int, int, int]
    n_classes: int
    nodes: tuple[Node, ...]
    head: Head

    @property
    def layers(self) -> tuple[Node, ...]:
        """The nodes of the architecture's own layers, in index order; of a cell, those of its first copy."""
        if self.architecture.skeleton is Skeleton.CELL201:
            return tuple(self.nodes[number] for number in CELL_LAYER_NODES)
        return self.nodes[1 : len(self.architecture) + 1]

    @property
    def leaf_merges(self) -> tuple[Node, ...]:
        """The concatenations that join the leaves; none where there is one leaf, as in a fixed skeleton."""
        if self.architecture.skeleton is not Skeleton.LAYERED:
            return ()
        return self.nodes[len(self.architecture) + 1 :]

    @property
    def exceeds_cap(self) -> bool:
        """Whether it has more parameters than its profile builds."""
        return self.parameters > self.profile.max_parameters

    @cached_property
    def parameters(self) -> int:
        """Trainable parameters, head included."""
        return sum(part.parameters for part in self._parts) + self.head.norm_parameters

    @cached_property
    def flops(self) -> int:
        """FLOPs for one image, head included: convolutions and dense layers, a multiply-add as two."""
        return sum(part.flops for part in self._parts)

    @cached_property
    def density(self) -> float:
        """Edges / nodes (BlockQNN, SPEC §4); 0 for the empty architecture.

        Nodes are the layers and the input; edges the inputs of the layers, a residual counting as one more, and
        those of the final concatenation, one for each leaf where there are several. In a fixed skeleton the nodes
        are those of the whole network.
        """
        if self.architecture.skeleton is not Skeleton.LAYERED:
            return sum(len(node.inputs) for node in self.nodes[1:]) / len(self.nodes)
        edges = sum(len(layer.inputs) + layer.residual for layer in self.architecture.layers)
        leaves = len(self.architecture.leaves)
        return (edges + (leaves if leaves > 1 else 0)) / (len(self.architecture) + 1)

    @cached_property
    def peak_activations(self) -> int:
        """Largest number of activations alive at once for one image (see `networks.memory`)."""
        height, width, channels = self.input_shape
        return peak_elements(schedule((channels, height, width), self.nodes, self.head))

    @property
    def activation_memory_fp32(self) -> int:
        """Bytes of the activations alive at once for one image at fp32."""
        return 4 * self.peak_activations

    @property
    def activation_memory_int8(self) -> int:
        """Bytes of the activations alive at once for one image at int8."""
        return self.peak_activations

    @cached_property
    def weight_memory_fp32(self) -> int:
        """Bytes of the weights at fp32, BatchNorm folded into the convolutions."""
        return 4 * (self._weights + self._biases)

    @cached_property
    def weight_memory_int8(self) -> int:
        """Bytes of the weights at int8 with 32-bit biases, BatchNorm folded; scales are not counted."""
        return self._weights + 4 * self._biases

    @property
    def memory(self) -> int:
        """What a budget limits: bytes of int8 weights and of the peak int8 activations of one image."""
        return self.weight_memory_int8 + self.activation_memory_int8

    @cached_property
    def _weights(self) -> int:
        return sum(part.weights for part in self._parts)

    @cached_property
    def _biases(self) -> int:
        return sum(part.biases for part in self._parts) + self.head.norm_parameters

    @cached_property
    def _parts(self) -> tuple[Convolution | Dense, ...]:
        return (*(step for node in self.nodes for step in node.steps), *self.head.layers)


@dataclass(frozen=True, slots=True)
class Trunk:
    """A network under construction, without leaf merges and head. Start with `Trunk.start`.

    Attributes:
        profile: the rules it follows.
        input_shape: height, width and channels of one image.
        header: of the architecture.
        layers: in place so far.
        nodes: image or stem, and one node for each layer.
        skeleton: of the architecture; a fixed one is complete from the start and grows no more.
    """

    profile: NetworkProfile
    input_shape: tuple[int, int, int]
    header: Header | None
    layers: tuple[Layer, ...]
    nodes: tuple[Node, ...]
    skeleton: Skeleton = Skeleton.LAYERED

    @classmethod
    def whole(cls, architecture: Architecture, input_shape: tuple[int, int, int], profile: NetworkProfile) -> "Trunk":
        """Return the trunk of a network with a fixed skeleton.

        Raises:
            PlanError: the image is empty, or networks of this skeleton are not built.
        """
        nodes, _ = fixed_network(architecture, input_shape, n_classes=1)
        return cls(profile, input_shape, None, architecture.layers, nodes, architecture.skeleton)

    @classmethod
    def start(cls, input_shape: tuple[int, int, int], profile: NetworkProfile, header: Header | None = None) -> "Trunk":
        """Return the trunk of the empty architecture.

        Raises:
            PlanError: a side or the number of channels is below 1.
        """
        return cls(profile, input_shape, header, (), (first_node(input_shape, profile, header),))

    def add(self, layer: Layer) -> "Trunk":
        """Return the trunk with one more layer; the layers before it are not planned again.

        Raises:
            PlanError: the layer cannot exist there.
        """
        node = layer_node(layer, self.nodes, self.input_shape, in_force(self.profile, self.header))
        return Trunk(self.profile, self.input_shape, self.header, (*self.layers, layer), (*self.nodes, node))

    def accepts(self, layer: Layer) -> bool:
        """Return whether `layer` can be added."""
        try:
            layer_node(layer, self.nodes, self.input_shape, in_force(self.profile, self.header))
        except PlanError:
            return False
        return True

    def finish(self, n_classes: int) -> Plan:
        """Return the plan: leaves merged, head on top.

        Raises:
            PlanError: fewer than one class.
        """
        if self.skeleton is not Skeleton.LAYERED:
            architecture = Architecture(self.layers, skeleton=self.skeleton)
            return plan(architecture, self.input_shape, n_classes, self.profile)
        return _finish(Architecture(self.layers, self.header), self.nodes, self.input_shape, n_classes, self.profile)


def plan(
    architecture: Architecture, input_shape: tuple[int, int, int], n_classes: int, profile: NetworkProfile
) -> Plan:
    """Return the plan of `architecture` as a classifier of images of `input_shape` (height, width, channels).

    A plan with more parameters than the profile builds is a plan like any other: see `Plan.exceeds_cap`.

    Raises:
        PlanError: a feature map would shrink below one pixel, a residual joins different shapes, the image or
            the number of classes is below 1, or the skeleton is not built; names the layer, the sizes and the
            remedy.

    >>> from nasgym.architectures import parse_architecture
    >>> from nasgym.networks.profiles import PAPER
    >>> plan(parse_architecture("conv3 maxpool2"), (32, 32, 3), 10, PAPER).nodes[-1].shape
    (32, 15, 15)
    """
    if architecture.skeleton is not Skeleton.LAYERED:
        return Plan(architecture, profile, input_shape, n_classes, *fixed_network(architecture, input_shape, n_classes))
    nodes = [first_node(input_shape, profile, architecture.header)]
    rules = in_force(profile, architecture.header)
    for layer in architecture.layers:
        nodes.append(layer_node(layer, nodes, input_shape, rules))
    return _finish(architecture, nodes, input_shape, n_classes, profile)


def _finish(
    architecture: Architecture,
    nodes: Sequence[Node],
    input_shape: tuple[int, int, int],
    n_classes: int,
    profile: NetworkProfile,
) -> Plan:
    complete = (*nodes, *leaf_merges(nodes, architecture.leaves, profile))
    top = head(complete[-1], n_classes, profile, architecture.header)
    return Plan(architecture, profile, input_shape, n_classes, complete, top)
