"""Writing to disk so that a reader never sees half a file, and a full disk is told as such."""

import errno
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nasgym.core.errors import DataError


@contextmanager
def writing_to(folder: Path) -> Iterator[None]:
    """Turn a full disk or a forbidden folder into a `DataError` that names the folder and the remedy."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        why = "the disk is full" if full else (error.strerror or str(error))
        raise DataError(
            f"Cannot write decoded images to {folder}: {why}. {'Free some space, or choose' if full else 'Choose'} "
            "another folder with --cache-dir, cache_dir= or NASGYM_CACHE."
        ) from error


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file under another name, then rename it.

    Raises:
        OSError: the disk is full, or the place cannot be written; nothing is left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".writing-", delete=False) as file:
        draft = Path(file.name)
        try:
            file.write(content)
            file.flush()
            draft.replace(path)
        except OSError:
            draft.unlink(missing_ok=True)
            raise
