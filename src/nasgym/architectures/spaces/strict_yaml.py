"""YAML without surprises: safe, no key twice, and every failure a `ConfigurationError` that names the place."""

import reprlib
from collections.abc import Hashable
from typing import Any

import yaml

from nasgym.core.errors import ConfigurationError, nearest

LONGEST_SHOWN = 120
"""Characters of a value that a message repeats."""
_TAGS = tuple(f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "str", "seq", "map"))


class _Loader(yaml.SafeLoader):
    """The safe loader without dates and other objects, which refuses duplicate keys."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own class attribute
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    yaml_constructors = {  # noqa: RUF012 - PyYAML's own class attribute
        tag: build for tag, build in yaml.SafeLoader.yaml_constructors.items() if tag is None or tag in _TAGS
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        problem=f"key {key.value!r} is there twice; keep one", problem_mark=key.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def parse_yaml(text: str, source: str) -> object:
    """Return the value of a YAML text made of mappings, lists, texts, numbers, booleans and nulls.

    Raises:
        ConfigurationError: it is not YAML; names `source`, and the line and column where they are known.
    """
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        reason = ", ".join(part for part in (error.context, error.problem) if part)
        raise ConfigurationError(f"{source}{place}: not valid YAML: {reason}.") from error
    except (yaml.YAMLError, ValueError, LookupError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error).replace("\n", " ")
        raise ConfigurationError(f"{source}: not valid YAML: {reason}.") from error


def mapping(value: object, where: str, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, object]:
    """Return `value` as a mapping that has the required keys and no unknown ones.

    Raises:
        ConfigurationError: it has not; names `where`, the key, and the nearest known one.
    """
    if not isinstance(value, dict):
        raise ConfigurationError(f"{where}: {shown(value)} is not a mapping with the keys {', '.join(required)}.")
    known = required + optional
    for key in value:
        if key not in known:
            raise ConfigurationError(
                f"{where}: unknown key {shown(key)} (known: {', '.join(known)}).{nearest(str(key), known)}"
            )
    for key in required:
        if key not in value:
            raise ConfigurationError(f"{where}: key {key!r} is missing; add it.")
    return value


def whole_number(value: object, lowest: int, highest: int) -> int | None:
    """Return `value` if it is an integer in this range, else `None`; a boolean is not an integer."""
    return value if type(value) is int and lowest <= value <= highest else None


def shown(value: object) -> str:
    """Return a short `repr` for messages, whatever was in the file."""
    text = reprlib.repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"
