"""The options that say where the log goes; they stand before a command or behind it."""

import logging
from pathlib import Path
from typing import Annotated

import typer


class _Stderr(logging.Handler):
    """Writes to what standard error is at the time, so that progress bars can give way."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        typer.echo(self.format(record), err=True)


def _on_stderr(count: int) -> int:
    if count:
        _add(_Stderr(logging.INFO if count == 1 else logging.DEBUG))
    return count


def _in_file(path: Path | None) -> Path | None:
    if path is not None:
        try:
            _add(logging.FileHandler(path, encoding="utf-8"))
        except OSError as error:
            raise typer.BadParameter(f"cannot write {path}: {error.strerror}") from error
    return path


def _add(handler: logging.Handler) -> None:
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger = logging.getLogger("nasgym")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)


Verbose = Annotated[
    int, typer.Option("--verbose", "-v", count=True, callback=_on_stderr, help="Say more; -vv says everything.")
]
LogFile = Annotated[Path | None, typer.Option(callback=_in_file, help="Append everything there is to say to a file.")]
