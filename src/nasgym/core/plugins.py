"""Third-party spaces, estimators, data readers and stores, found through entry points."""

from importlib.metadata import EntryPoint, entry_points
from typing import Any

from nasgym.core.errors import PluginError, nearest

GROUPS = ("nasgym.spaces", "nasgym.estimators", "nasgym.datasets", "nasgym.stores", "nasgym.agents")


def available(group: str) -> dict[str, EntryPoint]:
    """Return the plug-ins registered under `group`, by name, in alphabetical order."""
    if group not in GROUPS:
        raise PluginError(f"Unknown plug-in group {group!r}.{nearest(group, GROUPS)}")
    return {point.name: point for point in sorted(entry_points(group=group), key=lambda point: point.name)}


def load(group: str, name: str) -> Any:
    """Import and return the object that plug-in `name` of `group` registers.

    Raises:
        PluginError: no such plug-in, or it cannot be imported.
    """
    points = available(group)
    if name not in points:
        known = ", ".join(points) or "none"
        raise PluginError(f"No plug-in {name!r} in {group!r} (installed: {known}).{nearest(name, points)}")
    try:
        return points[name].load()
    except (ImportError, AttributeError) as error:
        raise PluginError(
            f"Plug-in {name!r} of {group!r} ({points[name].value}) cannot be imported: {error}"
        ) from error
