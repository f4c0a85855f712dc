"""The errors of nasgym: each names what was wrong, with its value, and what to do about it."""

import difflib
from collections.abc import Iterable
from functools import partial
from typing import Any


class NasgymError(Exception):
    """Root of everything nasgym raises on purpose; the command line prints it and exits with code 2."""


class ConfigurationError(NasgymError):
    """A setting, configuration file or search-space file is wrong."""


class ArchitectureError(NasgymError):
    """A text or an array does not describe an architecture."""


class PlanError(NasgymError):
    """An architecture cannot exist as a network on this input.

    Attributes:
        layer: index of the layer that breaks it (1 is the first; 0 the image or the head).
    """

    def __init__(self, message: str, *, layer: int) -> None:
        super().__init__(message)
        self.layer = layer

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel between processes; exceptions by themselves leave keyword arguments behind."""
        return partial(PlanError, layer=self.layer), self.args


class DataError(NasgymError):
    """Images or labels cannot be read, or do not make a classification task."""


class StoreError(NasgymError):
    """A store cannot be opened, read, written, migrated or imported."""


class TableError(NasgymError):
    """A table of evaluations or a surrogate cannot be written, read or imported."""


class CheckpointError(NasgymError):
    """A file of weights cannot be read, or belongs to something else."""


class ReportError(NasgymError):
    """A report cannot be written or read."""


class PluginError(NasgymError):
    """A plug-in is unknown, or does not keep its contract."""


def nearest(name: str, options: Iterable[str]) -> str:
    """Return `" Did you mean 'x'?"` for the option closest to `name`, or an empty string."""
    close = difflib.get_close_matches(name, list(options), n=1, cutoff=0.5)
    return f" Did you mean {close[0]!r}?" if close else ""
