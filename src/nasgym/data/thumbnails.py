"""Small versions of many images at once."""

import numpy as np
from numpy.typing import NDArray

_CHUNK = 1024


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
    cell_of = (np.arange(size) * cells + cells - 1) // size
    mean = (cell_of == np.arange(cells)[:, None]).astype(np.float32)
    mean /= mean.sum(axis=1, keepdims=True)
    result = np.empty((len(rows), cells, cells, channels), np.float32)
    for start in range(0, len(rows), _CHUNK):
        chunk = images[rows[start : start + _CHUNK]].astype(np.float32)
        n = len(chunk)
        by_rows = (mean @ chunk.reshape(n, size, size * channels)).reshape(n, cells, size, channels)
        result[start : start + n] = mean @ by_rows
    result /= 255
    return result
