"""Writing decoded images to disk: a full disk is told as such, with the remedy."""

import errno
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
