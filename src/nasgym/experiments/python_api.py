"""`nasgym.search`: the same as the command, from Python."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from nasgym.core.errors import ConfigurationError, nearest
from nasgym.experiments.config import SearchConfig, flat, make_config, merged, plain_source, read_config
from nasgym.experiments.finishing import Finished
from nasgym.experiments.results import SearchResult, read_result
from nasgym.experiments.search import Surroundings, resume_search, start_search
from nasgym.experiments.workspace import Workspace, latest_workspace, read_reference
from nasgym.store import as_kept

WHERE = frozenset({"workers", "executor", "ray.address", "ray.gpus_per_worker", "out"})
"""Settings that change nothing in what comes out."""
MAY_CHANGE = WHERE | {"evaluations", "budget", "finalists"}
"""Settings that a resumed search may have otherwise than it began."""


def search_from_settings(source: str, settings: Mapping[str, Any]) -> SearchResult:
    """Search with settings by name, whatever section they are in; also `config=FILE` and `resume=True`."""
    started = time.monotonic()
    values = dict(settings)
    file, resume = values.pop("config", None), values.pop("resume", False)
    given = merged(nested(values), {"data": {"source": str(source)}})
    words = ", ".join([repr(str(source)), *(f"{name}={value!r}" for name, value in settings.items())])
    around = Surroundings(command=f"nasgym.search({words})", started=started)
    settled = settle(given, file=None if file is None else Path(file), resume=bool(resume))
    if settled.known is not None:
        return settled.known
    return settled.search(around).result


@dataclass(frozen=True)
class Settled:
    """What a call for a search comes down to.

    Attributes:
        config: every setting.
        workspace: the folder of the search to go on with; `None` for a new one.
        known: what it has led to, where it is finished: nothing is left to do.
    """

    config: SearchConfig
    workspace: Workspace | None = None
    known: SearchResult | None = None

    def search(self, around: Surroundings) -> Finished:
        """Start the search, or go on with it; raises what `start_search` does."""
        if self.workspace is None:
            return start_search(self.config, around)
        return resume_search(self.config, self.workspace, around)


def nested(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Put settings that are named without their section where they belong: `size=64` becomes `{"data": {"size": 64}}`.

    Raises:
        ConfigurationError: no section has a setting of that name; names the nearest.
    """
    sections = {
        name: list(field.annotation.model_fields)
        for name, field in SearchConfig.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
    }
    result: dict[str, Any] = {}
    for name, value in settings.items():
        owner = next((section for section, names in sections.items() if name in names), None)
        if name in SearchConfig.model_fields:
            result = merged(result, {name: value})
        elif owner is not None:
            result = merged(result, {owner: {name: value}})
        else:
            known = [*SearchConfig.model_fields, *(each for names in sections.values() for each in names)]
            raise ConfigurationError(f"Unknown setting {name!r}.{nearest(name, known)}")
    return result


def settle(given: Mapping[str, Any], *, file: Path | None = None, resume: bool = False) -> Settled:
    """Return the settings of a search and, if it is to be resumed, the folder it is in.

    Args:
        given: settings of the call, on top of everything else.
        file: TOML file below them.
        resume: whether to go on with the search in `out`, or else with the latest one on these data.

    Raises:
        ConfigurationError: a wrong setting, nothing to resume, or other settings than the search began with.
    """
    settings = merged(read_config(file) if file is not None else {}, given)
    if not resume:
        return Settled(make_config(settings, source=str(file) if file is not None else "the settings"))
    out = settings.get("out")
    if out is None:
        source = settings.get("data", {}).get("source")
        if source is None:
            raise ConfigurationError("Nothing says which search to resume: name its data, or its folder with --out.")
        workspace = latest_workspace(plain_source(str(source)))
    else:
        workspace = Workspace(Path(out))
    reference = read_reference(workspace)
    begun = make_config(reference.settings, source=str(workspace.run))
    config = make_config(merged(begun.model_dump(mode="json"), settings))
    changed = _changed(begun, config)
    refused = [name for name in changed if name not in MAY_CHANGE]
    if refused:
        listed = ", ".join(f"{name} ({changed[name]})" for name in refused)
        raise ConfigurationError(
            f"The search in {workspace.folder} began with other settings: {listed}. "
            "Resume it without them, or start another one with another --out."
        )
    known = read_result(workspace.result) if workspace.result.exists() else None
    if known is not None and changed.keys() - WHERE:
        raise ConfigurationError(
            f"The search in {workspace.folder} is finished; it is too late to change its {' and '.join(changed)}. "
            "Start another one with another --out: what is in the store is not trained again."
        )
    return Settled(config, workspace, known)


def _changed(before: SearchConfig, after: SearchConfig) -> dict[str, str]:
    """Return which settings differ, named as `section.name`, and how."""
    old, new = (flat(as_kept(config.model_dump(mode="json"))) for config in (before, after))
    return {name: f"{old[name]!r}, now {new[name]!r}" for name in old if old[name] != new[name]}
