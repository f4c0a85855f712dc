"""The Neural Structure Code: an architecture as rows `(index, type, kernel, pred1, pred2)`.

Rows of zeros are empty. Header rows (`edge`, `joint`) have index 0 and a type code above 9, with the
choice in the kernel column. A residual convolution has its own index as `pred2`. A fixed skeleton has
one such row in front, with the skeleton's code in the kernel column.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nasgym.architectures.architecture import Architecture, Header, Layer
from nasgym.architectures.operations import EMPTY_ROW, HEADER_OPERATIONS, Augmentation, Operation
from nasgym.architectures.skeletons import Skeleton
from nasgym.core.errors import ArchitectureError

Row = tuple[int, int, int, int, int]
LARGEST_VALUE = 999_999
"""No value of a row is larger, so that every architecture that is decoded can be written as text, too."""
COLUMNS = ("index", "type", "kernel", "pred1", "pred2")


def layer_row(index: int, layer: Layer) -> Row:
    """Return the row of layer number `index` (1 is the first)."""
    first, second = (*layer.inputs, 0)[:2]
    return (index, int(layer.operation), layer.kernel, first, index if layer.residual else second)


def terminal_row(index: int) -> Row:
    """Return the row of a terminal action taken as row number `index`."""
    return (index, int(Operation.TERMINAL), 0, 0, 0)


def header_rows(header: Header) -> list[Row]:
    """Return the four rows of a complete header."""
    values = (header.stem_stride, header.base_width, int(header.augmentation), header.dropout)
    return [(0, int(operation), value, 0, 0) for operation, value in zip(HEADER_OPERATIONS, values, strict=True)]


def skeleton_row(skeleton: Skeleton) -> Row:
    """Return the row that names a fixed skeleton."""
    return (0, int(Operation.SKELETON), int(skeleton), 0, 0)


def header_from(values: Mapping[Operation, int]) -> Header:
    """Return the header of these choices, by row type; augmentation and dropout may be left out.

    Raises:
        ArchitectureError: stem stride or base width is missing, or a value is out of range.
    """
    for needed in (Operation.STEM_STRIDE, Operation.BASE_WIDTH):
        if needed not in values:
            raise ArchitectureError(f"The header lacks {needed.token!r} (NSC type {needed:d}).")
    code = values.get(Operation.AUGMENTATION, 0)
    if code not in set(Augmentation):
        raise ArchitectureError(f"Unknown augmentation code {code} in the NSC (known: 0 to {max(Augmentation):d}).")
    return Header(
        stem_stride=values[Operation.STEM_STRIDE],
        base_width=values[Operation.BASE_WIDTH],
        augmentation=Augmentation(code),
        dropout=values.get(Operation.DROPOUT, 0),
    )


def pad_rows(rows: Sequence[Row], n_rows: int) -> NDArray[np.int64]:
    """Return `rows` as an `(n_rows, 5)` int64 array, empty rows first.

    Raises:
        ArchitectureError: there are more rows than `n_rows`.
    """
    if len(rows) > n_rows:
        raise ArchitectureError(f"The architecture has {len(rows)} rows; the space holds {n_rows}.")
    array = np.zeros((n_rows, len(COLUMNS)), dtype=np.int64)
    if rows:
        array[n_rows - len(rows) :] = rows
    return array


def encode(architecture: Architecture, n_rows: int | None = None) -> NDArray[np.int64]:
    """Return the NSC of `architecture`, shape `(n_rows, 5)`, empty rows first.

    Without `n_rows`, the array has just the rows it needs.
    """
    rows = header_rows(architecture.header) if architecture.header else []
    if architecture.skeleton is not Skeleton.LAYERED:
        rows.append(skeleton_row(architecture.skeleton))
    rows += [layer_row(index, layer) for index, layer in enumerate(architecture.layers, start=1)]
    return pad_rows(rows, len(rows) if n_rows is None else n_rows)


def decode(rows: ArrayLike) -> Architecture:
    """Return the architecture of an NSC array of shape `(n, 5)`.

    Empty rows are skipped and terminal rows dropped, layers are taken in index order, and gaps
    between indices are closed.

    Raises:
        ArchitectureError: wrong shape, not whole numbers, or a row that means nothing; names the row.
    """
    try:
        array = np.asarray(rows)
    except ValueError as error:
        raise ArchitectureError(f"The NSC rows are not all of one length: {error}.") from error
    if array.size == 0:
        return Architecture()
    if array.ndim != 2 or array.shape[1] != len(COLUMNS):
        raise ArchitectureError(f"An NSC array has shape (n, 5), columns {', '.join(COLUMNS)}; got {array.shape}.")
    if array.dtype.kind not in "iuf" or not np.all(np.isfinite(array) & (array == np.floor(array))):
        raise ArchitectureError("An NSC array holds whole numbers only.")
    if np.any((array < 0) | (array > LARGEST_VALUE)):
        raise ArchitectureError(f"An NSC array holds numbers from 0 to {LARGEST_VALUE} only.")
    table = [tuple(int(value) for value in row) for row in array.tolist()]
    header: dict[Operation, int] = {}
    layers: dict[int, tuple[int, ...]] = {}
    for number, row in enumerate(table):
        index, code = row[0], row[1]
        if not any(row):
            continue
        operation = _operation(code, number, row)
        if operation is Operation.TERMINAL:
            continue
        if operation in HEADER_OPERATIONS or operation is Operation.SKELETON:
            if operation in header or index or any(row[3:]):
                raise ArchitectureError(
                    f"NSC row {number} {row}: a header row has index 0, no predecessors, and stands once."
                )
            header[operation] = row[2]
        elif index < 1 or index in layers:
            raise ArchitectureError(f"NSC row {number} {row}: index {index} is taken already, or below 1.")
        else:
            layers[index] = row
    order = {index: position for position, index in enumerate(sorted(layers), start=1)}
    decoded = tuple(_layer(layers[index], {0: 0} | order) for index in order)
    skeleton = _skeleton(header.pop(Operation.SKELETON, int(Skeleton.LAYERED)))
    return Architecture(decoded, header_from(header) if header else None, skeleton)


def _skeleton(code: int) -> Skeleton:
    if code not in set(Skeleton):
        raise ArchitectureError(f"Unknown skeleton code {code} in the NSC (known: 1 to {max(Skeleton):d}).")
    return Skeleton(code)


def _operation(code: int, number: int, row: tuple[int, ...]) -> Operation:
    if code == EMPTY_ROW or code not in set(Operation):
        raise ArchitectureError(
            f"NSC row {number} {row}: unknown type code {code} (known: 1 to {max(Operation):d}; all zeros for empty)."
        )
    return Operation(code)


def _layer(row: tuple[int, ...], order: dict[int, int]) -> Layer:
    index, code, kernel, first, second = row
    operation = Operation(code)
    residual = operation.has_weights and second == index
    sources = (first, second)[: operation.arity]
    if operation.arity == 1 and second and not residual:
        raise ArchitectureError(f"NSC row {row}: {operation.token!r} takes one predecessor, pred2 must be 0.")
    for source in sources:
        if source not in order or source >= index:
            raise ArchitectureError(f"NSC row {row}: predecessor {source} is not a row before it.")
    return Layer(operation, kernel, tuple(order[source] for source in sources), residual=residual)
