"""Hypothesis strategies for architectures, shared by the tests of this folder."""

from hypothesis import strategies as st

from nasgym.architectures import Architecture, Augmentation, Header, Layer
from nasgym.architectures.operations import LAYER_OPERATIONS, MERGES, SKELETON_OPERATIONS

ONE_INPUT = tuple(sorted(LAYER_OPERATIONS - MERGES - SKELETON_OPERATIONS))
TWO_INPUT = tuple(sorted(MERGES))


@st.composite
def layers(draw: st.DrawFn, max_size: int = 7) -> tuple[Layer, ...]:
    built: list[Layer] = []
    for index in range(1, draw(st.integers(0, max_size)) + 1):
        operation = draw(st.sampled_from(ONE_INPUT + (TWO_INPUT if index > 1 else ())))
        if operation in MERGES:
            inputs = draw(st.tuples(st.integers(1, index - 1), st.integers(1, index - 1)))
            built.append(Layer(operation, 0, inputs))
            continue
        source = draw(st.one_of(st.just(index - 1), st.integers(0, index - 1)))
        kernel = draw(st.sampled_from((1, 2, 3, 5))) if operation.has_kernel else 0
        residual = operation.has_weights and draw(st.booleans())
        built.append(Layer(operation, kernel, (source,), residual))
    return tuple(built)


headers = st.builds(
    Header,
    stem_stride=st.sampled_from((1, 2, 4)),
    base_width=st.sampled_from((8, 16, 32, 64)),
    augmentation=st.sampled_from(Augmentation),
    dropout=st.integers(0, 99),
)

architectures = st.builds(Architecture, layers(), st.one_of(st.none(), headers))
graphs = st.builds(Architecture, layers())
