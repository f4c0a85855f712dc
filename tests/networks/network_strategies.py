"""Random architectures, chains and graphs, with and without headers, for the property tests of this folder."""

from dataclasses import replace

from hypothesis import strategies as st

from nasgym.architectures import Architecture, Header, Layer, Operation
from nasgym.networks.profiles import DEFAULT, PAPER, PAPER_INTENSIVE, VGG19_LIKE, DenseHead, PoolingHead

KERNELS = {
    Operation.CONVOLUTION: (1, 2, 3, 4, 5),
    Operation.MAX_POOLING: (1, 2, 3),
    Operation.AVERAGE_POOLING: (1, 2, 3),
    Operation.SEPARABLE: (2, 3, 5),
    Operation.REDUCTION: (1, 2, 3, 5),
}
SMALL_PROFILES = (
    DEFAULT,
    replace(DEFAULT, head=PoolingHead(dropout=0.1)),
    replace(PAPER, head=DenseHead((24,), 0.4)),
    replace(PAPER_INTENSIVE, base_width=4, width_cap=4 * 2**9, head=DenseHead((24,), 0.4)),
    replace(VGG19_LIKE, base_width=8, width_cap=16, head=DenseHead((24, 16), 0.0)),
)
"""Every profile with a small head (and small widths), so that hundreds of networks are built in seconds."""

input_shapes = st.tuples(st.integers(4, 20), st.integers(4, 20), st.sampled_from((1, 3)))
headers = st.builds(
    Header,
    stem_stride=st.sampled_from((1, 2, 4)),
    base_width=st.sampled_from((8, 16)),
    dropout=st.sampled_from((0, 30)),
)


@st.composite
def layers(draw: st.DrawFn, index: int) -> Layer:
    """A layer that may be number `index`."""
    operations = [*KERNELS, Operation.CONVOLUTION, Operation.IDENTITY]
    if index > 1:
        operations += [Operation.ADDITION, Operation.CONCATENATION]
    operation = draw(st.sampled_from(operations))
    if operation.arity == 2:
        return Layer(operation, 0, (draw(st.integers(1, index - 1)), draw(st.integers(1, index - 1))))
    source = draw(st.one_of(st.just(index - 1), st.integers(0, index - 1)))
    kernel = draw(st.sampled_from(KERNELS[operation])) if operation.has_kernel else 0
    residual = operation.has_weights and draw(st.integers(0, 4)) == 0
    return Layer(operation, kernel, (source,), residual)


@st.composite
def architectures(draw: st.DrawFn, max_layers: int = 8) -> Architecture:
    """A chain or a graph; not every one can be planned."""
    depth = draw(st.integers(0, max_layers))
    placed = tuple(draw(layers(index)) for index in range(1, depth + 1))
    return Architecture(placed, draw(st.none() | headers))
