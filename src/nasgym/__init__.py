"""nasgym: search for small networks on your own images, and NAS as Gymnasium environments.

Imported after gymnasium, this package makes its environments known to `gymnasium.make`; so does
`import nasgym.envs`, in any order.
"""

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nasgym.experiments.results import SearchResult

__all__ = ["__version__", "search"]


def search(source: str, **settings: Any) -> "SearchResult":
    """Search for a network on the images in `source`, and return what `result.json` holds.

    Args:
        source: a folder, archive or file of images, or the name of a data set (`"digits"`).
        **settings: the fields of `nasgym.experiments.config.SearchConfig` and of its sections, by name.

    Raises:
        ConfigurationError: an unknown setting, or a wrong value.
        DataError: the images do not make a classification task.

    Example:
        `nasgym.search("path/to/folder", budget="15m").test_accuracy`
    """
    from nasgym.experiments.python_api import search_from_settings

    return search_from_settings(source, settings)


def __getattr__(name: str) -> Any:
    """Look up the version only when asked for: reading package metadata takes time."""
    if name == "__version__":
        from importlib.metadata import version

        return version("nasgym")
    raise AttributeError(f"module 'nasgym' has no attribute {name!r}")


if "gymnasium" in sys.modules:
    import nasgym.envs  # noqa: F401 - registers the ids; without gymnasium there is nothing to register them with
