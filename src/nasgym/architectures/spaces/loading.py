"""Finding a search space: one that comes with the package, a file, or a plug-in."""

from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import assert_never

from nasgym.architectures.skeletons import SKELETONS
from nasgym.architectures.spaces.chain import ChainSpace
from nasgym.architectures.spaces.definition import SpaceDefinition, SpaceKind
from nasgym.architectures.spaces.edge import EdgeSpace
from nasgym.architectures.spaces.edge_mini import EDGE_MINI, EdgeMiniSpace
from nasgym.architectures.spaces.explicit import ExplicitSpace
from nasgym.architectures.spaces.fixed import FIXED, FixedSpace
from nasgym.architectures.spaces.multi_branch import MultiBranchSpace
from nasgym.architectures.spaces.reader import read_definition
from nasgym.architectures.spaces.space import SearchSpace
from nasgym.core import plugins
from nasgym.core.errors import ConfigurationError, PluginError, nearest

_PLUGINS = "nasgym.spaces"
_FILES = {
    "chain": ("chain.yaml", SpaceKind.CHAIN),
    "multi-branch": ("multi-branch.yaml", SpaceKind.MULTI_BRANCH),
    "explicit": ("multi-branch.yaml", SpaceKind.EXPLICIT),
    "edge": ("edge.yaml", SpaceKind.EDGE),
    "joint": ("joint.yaml", SpaceKind.JOINT),
}
BUILT_IN = (*_FILES, EDGE_MINI, *FIXED)
"""Names of the spaces that come with the package."""


def load_space(path_or_name: str | Path, *, kind: str | None = None, max_layers: int | None = None) -> SearchSpace:
    """Return a search space by name (built-in first, then plug-ins), else from a YAML file.

    Args:
        path_or_name: `chain`, `multi-branch`, `explicit`, `edge`, `joint`, `edge-mini`, `cell201`,
            `macro`, `multi-resolution`, the name of a plug-in of the entry-point group `nasgym.spaces`, or the path of
            a file.
        kind: how actions build architectures, when the file allows several: `chain`, `multi-branch`, `explicit`.
        max_layers: another d than the file's, 1 to 100.

    Raises:
        ConfigurationError: no such space or file, the file is wrong, or it does not make this kind.
        PluginError: the plug-in cannot be imported, or does not return a search space.
    """
    name = str(path_or_name)
    if name in _FILES:
        file, own_kind = _FILES[name]
        text = files("nasgym.architectures.spaces").joinpath("files", file).read_text(encoding="utf-8")
        definition = read_definition(text, file, _kind(kind) or own_kind, max_layers)
        return _build(replace(definition, name=name if kind is None else definition.kind.value))
    if name == EDGE_MINI:
        _refuse_options(name, kind, max_layers)
        return EdgeMiniSpace()
    if name in FIXED:
        _refuse_options(name, kind, max_layers)
        return FixedSpace(SKELETONS[name])
    installed = plugins.available(_PLUGINS)
    if name in installed:
        _refuse_options(name, kind, max_layers)
        return _from_plugin(name)
    try:
        text = Path(name).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        known = (*BUILT_IN, *installed)
        raise ConfigurationError(
            f"No search space {name!r}: it is neither a file nor one of {', '.join(known)}.{nearest(name, known)}"
        ) from error
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{name}: cannot be read as a search-space file: {error}.") from error
    return space_from_text(text, source=name, kind=kind, max_layers=max_layers)


def space_from_text(
    text: str, *, source: str = "search space", kind: str | None = None, max_layers: int | None = None
) -> SearchSpace:
    """Return the search space of a YAML text; `source` stands for the file in messages.

    Raises:
        ConfigurationError: the text is not a search-space file, or does not make this kind.
    """
    return _build(read_definition(text, source, _kind(kind), max_layers))


def _kind(name: str | None) -> SpaceKind | None:
    if name is None:
        return None
    if name not in set(SpaceKind):
        known = [kind.value for kind in SpaceKind]
        raise ConfigurationError(
            f"Unknown kind of search space {name!r} (known: {', '.join(known)}).{nearest(name, known)}"
        )
    return SpaceKind(name)


def _build(definition: SpaceDefinition) -> SearchSpace:
    match definition.kind:
        case SpaceKind.CHAIN:
            return ChainSpace(definition)
        case SpaceKind.MULTI_BRANCH:
            return MultiBranchSpace(definition)
        case SpaceKind.EXPLICIT:
            return ExplicitSpace(definition)
        case SpaceKind.EDGE | SpaceKind.JOINT:
            return EdgeSpace(definition)
        case _:
            assert_never(definition.kind)


def _refuse_options(name: str, kind: str | None, max_layers: int | None) -> None:
    if kind is not None or max_layers is not None:
        raise ConfigurationError(f"Search space {name!r} is fixed: leave out kind and max_layers.")


def _from_plugin(name: str) -> SearchSpace:
    factory = plugins.load(_PLUGINS, name)
    space = factory() if callable(factory) else factory
    if not isinstance(space, SearchSpace):
        raise PluginError(
            f"Plug-in {name!r} of {_PLUGINS!r} gave {space!r}; it must be a callable without arguments "
            "that returns a nasgym SearchSpace."
        )
    return space
