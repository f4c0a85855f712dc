"""The folder of a search: what is written where, and which run it belongs to."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nasgym.core.errors import ConfigurationError
from nasgym.experiments.results import write_json
from nasgym.store import as_kept

RUNS = Path("runs")
"""Where results go unless the user says otherwise, relative to the working directory."""
_RUN_FILE = "run.json"


@dataclass(frozen=True, slots=True)
class Workspace:
    """Paths of one search.

    Attributes:
        folder: everything below is in it.
    """

    folder: Path

    @property
    def result(self) -> Path:
        """`result.json`, written last: it exists when the search is finished."""
        return self.folder / "result.json"

    @property
    def weights(self) -> Path:
        """Weights of the chosen network."""
        return self.folder / "best.pt"

    @property
    def report(self) -> Path:
        """The report, one self-contained page."""
        return self.folder / "report.html"

    @property
    def run(self) -> Path:
        """Which run of which store this folder belongs to."""
        return self.folder / _RUN_FILE

    def trained(self, architecture_id: str) -> Path:
        """Weights of a network that went through final training."""
        return self.folder / "finalists" / f"{architecture_id}.pt"


@dataclass(frozen=True, slots=True)
class RunReference:
    """Contents of `run.json`; passwords in URLs are left out.

    Attributes:
        run: id of the run.
        store: file or URL of the store it is kept in.
        settings: every setting of the search, as JSON values.
        seconds: time spent by earlier parts of the run.
    """

    run: str
    store: str
    settings: dict[str, Any]
    seconds: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "store", as_kept(self.store))
        object.__setattr__(self, "settings", as_kept(self.settings))


def refuse_search_in(out: Path | None) -> None:
    """Do nothing, unless `out` holds a search already.

    Raises:
        ConfigurationError: it does.
    """
    if out is not None and (out / _RUN_FILE).exists():
        raise ConfigurationError(f"{out} holds a search already; go on with it by --resume, or choose another --out.")


def new_workspace(out: Path | None, name: str) -> Workspace:
    """Return the folder of a new search, made if need be: `out`, or the first free of `runs/NAME`, `runs/NAME-2`, …

    Raises:
        ConfigurationError: `out` holds a search already, or the folder cannot be made.
    """
    refuse_search_in(out)
    try:
        if out is None:
            return Workspace(_first_free(name))
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"Cannot make the folder {error.filename}: {error.strerror}; choose another --out."
        ) from error
    return Workspace(out)


def _first_free(name: str) -> Path:
    """Make and return a folder that nobody has, also where several searches start at once."""
    base, number = _folder_name(name), 1
    while True:
        folder = RUNS / (base if number == 1 else f"{base}-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            number += 1
        else:
            return folder


def _folder_name(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "search"


def latest_workspace(source: str) -> Workspace:
    """Return the folder under `runs` in which a search on `source` was last at work: an unfinished one, if any.

    Raises:
        ConfigurationError: there is none.
    """
    found = []
    for path in RUNS.glob(f"*/{_RUN_FILE}"):
        workspace = Workspace(path.parent)
        if _source(workspace) == source:
            found.append((not workspace.result.exists(), path.stat().st_mtime, workspace))
    if not found:
        raise ConfigurationError(f"No search on {source!r} under {RUNS}/ to resume; name its folder with --out.")
    return max(found, key=lambda entry: entry[:2])[2]


def _source(workspace: Workspace) -> str | None:
    """Return what the search in `workspace` reads; `None` where `run.json` is damaged, which concerns no other one."""
    try:
        return str(read_reference(workspace).settings["data"]["source"])
    except (ConfigurationError, KeyError, TypeError):
        return None


def read_reference(workspace: Workspace) -> RunReference:
    """Return which run `workspace` belongs to.

    Raises:
        ConfigurationError: it holds no search, or `run.json` is damaged.
    """
    try:
        fields = json.loads(workspace.run.read_text(encoding="utf-8"))
        return RunReference(**fields)
    except FileNotFoundError as error:
        raise ConfigurationError(f"{workspace.folder} holds no search to resume ({_RUN_FILE} is missing).") from error
    except (ValueError, TypeError, OSError) as error:
        raise ConfigurationError(
            f"{workspace.run} is damaged ({error}); start a new search with another --out."
        ) from error


def write_reference(workspace: Workspace, reference: RunReference) -> None:
    """Write down which run `workspace` belongs to."""
    write_json(
        workspace.run,
        {
            "run": reference.run,
            "store": reference.store,
            "settings": reference.settings,
            "seconds": reference.seconds,
        },
    )
