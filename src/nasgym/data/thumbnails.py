"""Small versions of many images at once."""

import numpy as np
from numpy.typing import NDArray

_CHUNK = 4096


def thumbnails(images: NDArray[np.uint8], rows: NDArray[np.int64], cells: int) -> NDArray[np.float32]:
    """Return the mean of each of at most `cells × cells` cells of the chosen images.

    Args:
        images: `(n, size, size, channels)` uint8.
        rows: which images.
        cells: cells along each side; `size` where that is smaller.

    Returns:
        `(len(rows), cells, cells, channels)` float32 in [0, 1].
    """
    size, channels = images.shape[1], images.shape[3]
    cells = min(cells, size)
    edges = np.arange(cells) * size // cells
    lengths = np.diff(np.append(edges, size)).astype(np.float32)
    areas = np.outer(lengths, lengths)[None, :, :, None] * 255
    result = np.empty((len(rows), cells, cells, channels), np.float32)
    for start in range(0, len(rows), _CHUNK):
        chunk = images[rows[start : start + _CHUNK]].astype(np.float32)
        sums = np.add.reduceat(np.add.reduceat(chunk, edges, axis=1), edges, axis=2)
        result[start : start + _CHUNK] = sums / areas
    return result
