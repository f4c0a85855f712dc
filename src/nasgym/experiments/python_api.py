"""`nasgym.search`: the same as the command, from Python."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from nasgym.core.errors import ConfigurationError, nearest
from nasgym.experiments.config import SearchConfig, make_config, merged, read_config
from nasgym.experiments.results import SearchResult
from nasgym.experiments.search import Surroundings, resume_search, start_search
from nasgym.experiments.workspace import Workspace, latest_workspace, read_reference

MAY_CHANGE = frozenset({"evaluations", "budget", "workers", "finalists", "final_epochs", "out"})
"""Settings that a resumed search may have otherwise than it began."""


def search_from_settings(source: str, settings: Mapping[str, Any]) -> SearchResult:
    """Search with settings by name, whatever section they are in; also `config=FILE` and `resume=True`."""
    values = dict(settings)
    file, resume = values.pop("config", None), values.pop("resume", False)
    given = merged(nested(values), {"data": {"source": str(source)}})
    words = ", ".join([repr(str(source)), *(f"{name}={value!r}" for name, value in settings.items())])
    around = Surroundings(command=f"nasgym.search({words})")
    config, workspace = settle(given, file=None if file is None else Path(file), resume=bool(resume))
    if workspace is None:
        return start_search(config, around).result
    return resume_search(config, workspace, around).result


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


def settle(
    given: Mapping[str, Any], *, file: Path | None = None, resume: bool = False
) -> tuple[SearchConfig, Workspace | None]:
    """Return the settings of a search and, if it is to be resumed, the folder it is in.

    Args:
        given: settings of the call, on top of everything else.
        file: TOML file below them.
        resume: whether to go on with the search in `out`, or else with the newest unfinished one on these data.

    Raises:
        ConfigurationError: a wrong setting, nothing to resume, or other settings than the search began with.
    """
    settings = merged(read_config(file) if file is not None else {}, given)
    if not resume:
        return make_config(settings, source=str(file) if file is not None else "the settings"), None
    out = settings.get("out")
    if out is None:
        source = settings.get("data", {}).get("source")
        if source is None:
            raise ConfigurationError("Nothing says which search to resume: name its data or its folder (--out).")
        workspace = latest_workspace(str(source))
    else:
        workspace = Workspace(Path(out))
    begun = make_config(read_reference(workspace).settings, source=str(workspace.run))
    return _continued(begun, settings, workspace), workspace


def _continued(begun: SearchConfig, settings: Mapping[str, Any], workspace: Workspace) -> SearchConfig:
    base = begun.model_dump(mode="json")
    if "budget" in settings and "evaluations" not in settings:
        base["evaluations"] = None
    config = make_config(merged(base, settings))
    before, after = begun.model_dump(mode="json"), config.model_dump(mode="json")
    changed = [name for name in before if name not in MAY_CHANGE and before[name] != after[name]]
    if changed:
        listed = ", ".join(f"{name} ({before[name]!r}, now {after[name]!r})" for name in changed)
        raise ConfigurationError(
            f"The search in {workspace.folder} began with other settings: {listed}. "
            "Resume it without them, or start another one with another --out."
        )
    return config
