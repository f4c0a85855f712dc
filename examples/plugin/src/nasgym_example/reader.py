"""The data reader `mat:FILE`: images in MATLAB files, laid out as those of Street View House Numbers."""

import hashlib
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from nasgym.core.errors import DataError
from nasgym.data import Record


class MatSource:
    """A `.mat` file with images `X`, `(height, width, channels, n)` uint8, and labels `y`, `(n, 1)`.

    http://ufldl.stanford.edu/housenumbers ("cropped digits"). Files of MATLAB 7.3 are HDF5 and are refused.

    Args:
        argument: path of the file, as the user wrote it after `mat:`.
    """

    def __init__(self, argument: str) -> None:
        self.path = Path(argument).expanduser()

    @property
    def name(self) -> str:
        """Name of the file without its suffix."""
        return self.path.stem

    def fingerprint(self) -> str:
        """Return a hash of the file."""
        return hashlib.blake2b(self._content(), digest_size=16).hexdigest()

    def records(self) -> Iterator[Record]:
        """Hand over the images in the order of the file; the label is the number as text.

        Raises:
            DataError: the file is missing, damaged, or holds no such arrays.
        """
        self._content()
        try:
            arrays = loadmat(self.path, variable_names=("X", "y"))
        except NotImplementedError as error:
            raise DataError(f"{self.path}: a file of MATLAB 7.3. Save it again with save(…, '-v7').") from error
        except (MatReadError, ValueError, TypeError, KeyError, EOFError, OSError, zlib.error) as error:
            raise DataError(f"{self.path}: not a MATLAB file, or damaged ({error}). Copy or save it again.") from error
        missing = [name for name in ("X", "y") if name not in arrays]
        if missing:
            raise DataError(f"{self.path}: no array {' and no '.join(missing)}; images are X and labels y.")
        images, labels = arrays["X"], arrays["y"].ravel()
        if images.ndim != 4 or images.dtype != np.uint8 or images.shape[3] != len(labels):
            raise DataError(
                f"{self.path}: X is {images.shape} {images.dtype} and y has {len(labels)} labels; "
                "expected uint8 images (height, width, channels, n) and a label for each."
            )
        for number, label in enumerate(labels.astype(np.int64).tolist()):
            yield Record(f"{self.path.name}[{number}]", np.ascontiguousarray(images[..., number]), str(label))

    def _content(self) -> bytes:
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise DataError(f"{self.path}: cannot be read ({error.strerror}). Give the path of a .mat file.") from error
