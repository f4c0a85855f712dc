"""The folder of a meta-training: what is written where, and whether one is at work in it already."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nasgym.core.errors import ConfigurationError
from nasgym.experiments.config import flat
from nasgym.experiments.workspace import RUNS, RunReference, Workspace, read_reference
from nasgym.store import as_kept

MAY_CHANGE = (
    "run.workers",
    "run.executor",
    "run.ray.address",
    "run.ray.gpus_per_worker",
    "run.out",
    "run.checkpoint_every",
    "run.device",
)
"""Settings that decide nothing, so that a run may go on with others."""


@dataclass(frozen=True, slots=True)
class MetaWorkspace(Workspace):
    """Paths of one meta-training."""

    @property
    def policy(self) -> Path:
        """The policy that did best on the validation tasks; the last one where there are none."""
        return self.folder / "policy.safetensors"

    @property
    def last(self) -> Path:
        """The policy at the end."""
        return self.folder / "last.safetensors"

    @property
    def checkpoint(self) -> Path:
        """What a stopped run goes on from."""
        return self.folder / "checkpoint.safetensors"


def workspace_for(out: Path | None, name: str) -> MetaWorkspace:
    """Return the folder of the run called `name`: `out`, or `runs/NAME`, made if need be.

    Raises:
        ConfigurationError: the folder cannot be made.
    """
    folder = out or RUNS / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"Cannot make the folder {error.filename}: {error.strerror}; choose another --out."
        ) from error
    return MetaWorkspace(folder)


def begun_in(workspace: MetaWorkspace, settings: dict[str, Any]) -> RunReference | None:
    """Return which run is in the folder already; `None` for none.

    Args:
        workspace: the folder.
        settings: of the call, as JSON values.

    Raises:
        ConfigurationError: it is one with other settings, or something else.
    """
    if not workspace.run.exists():
        return None
    reference = read_reference(workspace)
    before, now = flat(reference.settings), flat(as_kept(settings))
    differing = [key for key in {**before, **now} if before.get(key) != now.get(key) and key not in MAY_CHANGE]
    if differing:
        listed = ", ".join(f"{key} ({before.get(key)!r}, now {now.get(key)!r})" for key in differing[:5])
        raise ConfigurationError(
            f"{workspace.folder} holds a run with other settings: {listed}. Run it with those it began with, or choose "
            "another --out."
        )
    return reference
