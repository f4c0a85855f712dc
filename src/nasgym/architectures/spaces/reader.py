"""Search-space files: YAML in NASGym's own format, checked key by key.

```yaml
nasenv:
    name: Chain-structured environment
    version: 1.0                # optional
    max_nlayers: 10             # d, 1 to 100
    encoding: NSC
    header:                     # optional: choices made before the first layer (`edge`, `joint`)
        - stem: {id: 10, values: [1, 2, 4]}
        - width: {id: 11, values: [8, 16, 32, 64]}
    layers:
        - convolution: {id: 1, kernel_size: [1, 3, 5], pred1: True, pred2: False}
        - terminal: {id: 7, kernel_size: Null, pred1: False, pred2: False}
```

The terminal entry is required: without it every network would have d layers. With a header, the layers make
chains, convolutions may say `residual: True`, and `separable` (id 8) and `reduction` (id 9, stride 2) are known too.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

from nasgym.architectures.operations import MERGES, Augmentation, Operation
from nasgym.architectures.spaces.definition import HeaderChoice, OperationChoice, SpaceDefinition, SpaceKind
from nasgym.architectures.spaces.strict_yaml import mapping, parse_yaml, shown, whole_number
from nasgym.core.errors import ConfigurationError, nearest

MAX_LAYERS = 100
MAX_KERNEL = 63

OPERATIONS = {
    "convolution": Operation.CONVOLUTION,
    "maxpooling": Operation.MAX_POOLING,
    "avgpooling": Operation.AVERAGE_POOLING,
    "identity": Operation.IDENTITY,
    "add": Operation.ADDITION,
    "concat": Operation.CONCATENATION,
    "terminal": Operation.TERMINAL,
    "separable": Operation.SEPARABLE,
    "reduction": Operation.REDUCTION,
}
HEADERS = {
    "stem": Operation.STEM_STRIDE,
    "width": Operation.BASE_WIDTH,
    "augmentation": Operation.AUGMENTATION,
    "dropout": Operation.DROPOUT,
}
_HEADER_RANGES = {
    Operation.STEM_STRIDE: (1, 8),
    Operation.BASE_WIDTH: (1, 1024),
    Operation.DROPOUT: (0, 99),
}
_AUGMENTATIONS = {augmentation.token: augmentation for augmentation in Augmentation}
_WITH_HEADER_ONLY = (Operation.SEPARABLE, Operation.REDUCTION)
_CAN_BE_RESIDUAL = (Operation.CONVOLUTION, Operation.SEPARABLE)

_Entry = TypeVar("_Entry")


def read_definition(
    text: str, source: str, kind: SpaceKind | None = None, max_layers: int | None = None
) -> SpaceDefinition:
    """Return what the YAML `text` says.

    Args:
        text: content of the file.
        source: the file's name, for messages.
        kind: how actions build architectures; `None`: `joint` or `edge` with a header, `multi-branch` with
            an operation of two inputs, else `chain`.
        max_layers: another d than the file's.

    Raises:
        ConfigurationError: the text is not such a file; names the file, the key and the value.
    """
    root = mapping(parse_yaml(text, source), source, required=("nasenv",))
    where = f"{source}: nasenv"
    section = mapping(
        root["nasenv"], where, required=("name", "max_nlayers", "encoding", "layers"), optional=("version", "header")
    )
    name = section["name"]
    if not isinstance(name, str) or not name.strip():
        raise ConfigurationError(f"{where}.name: {shown(name)} is not a name; write a text.")
    version = section.get("version", 1)
    if isinstance(version, bool) or not isinstance(version, int | float | str):
        raise ConfigurationError(f"{where}.version: {shown(version)} is not a number or a text.")
    if section["encoding"] != "NSC":
        raise ConfigurationError(f"{where}.encoding: {shown(section['encoding'])} is unknown; write NSC.")
    depth = _depth(section["max_nlayers"], f"{where}.max_nlayers")
    definition = SpaceDefinition(
        name=name.strip(),
        kind=SpaceKind.CHAIN,
        max_layers=depth if max_layers is None else _depth(max_layers, "max_layers"),
        operations=_entries(section["layers"], f"{where}.layers", OPERATIONS, _operation_choice),
        header=_entries(section["header"], f"{where}.header", HEADERS, _header_choice) if "header" in section else (),
    )
    _check_together(definition, where)
    return replace(definition, kind=_kind(definition, kind, where))


def _depth(value: object, where: str) -> int:
    depth = whole_number(value, 1, MAX_LAYERS)
    if depth is None:
        raise ConfigurationError(f"{where}: {shown(value)} is not a whole number from 1 to {MAX_LAYERS}.")
    return depth


def _entries(
    value: object, where: str, known: Mapping[str, Operation], read: Callable[[Operation, object, str], _Entry]
) -> tuple[_Entry, ...]:
    """Return the entries of a list of one-key mappings, each operation at most once."""
    form = f"'- {next(iter(known))}: …'"
    if not isinstance(value, list) or not value:
        raise ConfigurationError(f"{where}: {shown(value)} is not a list of entries such as {form}.")
    seen: set[str] = set()
    entries = []
    for number, entry in enumerate(value):
        if not isinstance(entry, dict) or len(entry) != 1:
            raise ConfigurationError(
                f"{where}[{number}]: {shown(entry)} is not one operation; write {form}, "
                "with its settings indented below it."
            )
        ((name, settings),) = entry.items()
        if name not in known:
            raise ConfigurationError(
                f"{where}[{number}]: unknown operation {shown(name)} (known: {', '.join(known)})."
                + nearest(str(name), known)
            )
        if name in seen:
            raise ConfigurationError(f"{where}[{number}]: {name!r} is there twice; keep one entry.")
        seen.add(name)
        entries.append(read(known[name], settings, f"{where}[{number}].{name}"))
    return tuple(entries)


def _operation_choice(operation: Operation, value: object, where: str) -> OperationChoice:
    settings = mapping(value, where, required=("id", "kernel_size", "pred1", "pred2"), optional=("residual",))
    _check_id(settings["id"], operation, where)
    for flag, wanted in (("pred1", operation.arity >= 1), ("pred2", operation.arity == 2)):
        if settings[flag] is not wanted:
            raise ConfigurationError(
                f"{where}.{flag}: {shown(settings[flag])} is wrong; it takes {operation.arity} "
                f"predecessor(s), so write {wanted}."
            )
    residual = settings.get("residual", False)
    if not isinstance(residual, bool):
        raise ConfigurationError(f"{where}.residual: {shown(residual)} is neither True nor False.")
    if residual and operation not in _CAN_BE_RESIDUAL:
        raise ConfigurationError(f"{where}.residual: only convolution and separable can be residual; write False.")
    return OperationChoice(operation, _kernels(settings["kernel_size"], operation, f"{where}.kernel_size"), residual)


def _kernels(value: object, operation: Operation, where: str) -> tuple[int, ...]:
    if not operation.has_kernel:
        if value is not None:
            raise ConfigurationError(f"{where}: {shown(value)} is wrong; it has no kernel, so write Null.")
        return ()
    if not isinstance(value, list) or not value:
        raise ConfigurationError(f"{where}: {shown(value)} is not a list of kernel sizes such as [1, 3].")
    kernels: list[int] = []
    for item in value:
        kernel = whole_number(item, 1, MAX_KERNEL)
        if kernel is None:
            raise ConfigurationError(
                f"{where}: {shown(item)} is not a kernel size; write whole numbers from 1 to {MAX_KERNEL}."
            )
        if kernel in kernels:
            raise ConfigurationError(f"{where}: {kernel} is there twice; keep one.")
        kernels.append(kernel)
    return tuple(kernels)


def _header_choice(operation: Operation, value: object, where: str) -> HeaderChoice:
    settings = mapping(value, where, required=("id", "values"))
    _check_id(settings["id"], operation, where)
    listed = settings["values"]
    if not isinstance(listed, list) or not listed:
        raise ConfigurationError(f"{where}.values: {shown(listed)} is not a list of choices.")
    values: list[int] = []
    for item in listed:
        choice = _header_value(item, operation, f"{where}.values")
        if choice in values:
            raise ConfigurationError(f"{where}.values: {shown(item)} is there twice; keep one.")
        values.append(choice)
    return HeaderChoice(operation, tuple(values))


def _header_value(item: object, operation: Operation, where: str) -> int:
    if operation is Operation.AUGMENTATION:
        if not isinstance(item, str) or item not in _AUGMENTATIONS:
            known = ", ".join(_AUGMENTATIONS)
            raise ConfigurationError(
                f"{where}: {shown(item)} is not an augmentation (known: {known})." + nearest(str(item), _AUGMENTATIONS)
            )
        return int(_AUGMENTATIONS[item])
    lowest, highest = _HEADER_RANGES[operation]
    value = whole_number(item, lowest, highest)
    if value is None:
        raise ConfigurationError(f"{where}: {shown(item)} is not a whole number from {lowest} to {highest}.")
    return value


def _check_id(value: object, operation: Operation, where: str) -> None:
    if whole_number(value, operation, operation) is None:
        raise ConfigurationError(f"{where}.id: {shown(value)} is wrong; its NSC code is {operation:d}.")


def _check_together(definition: SpaceDefinition, where: str) -> None:
    """Refuse entries that are right each by itself but make no space."""
    names = {operation: name for name, operation in (OPERATIONS | HEADERS).items()}
    listed = {entry.operation for entry in definition.operations}
    if Operation.TERMINAL not in listed:
        raise ConfigurationError(
            f"{where}.layers: 'terminal' is missing; add "
            f"'- terminal: {{id: {Operation.TERMINAL:d}, kernel_size: Null, pred1: False, pred2: False}}'."
        )
    if not definition.one_input:
        raise ConfigurationError(f"{where}.layers: no operation with one predecessor; add a convolution or a pooling.")
    if definition.header:
        for needed in (Operation.STEM_STRIDE, Operation.BASE_WIDTH):
            if needed not in {choice.operation for choice in definition.header}:
                raise ConfigurationError(f"{where}.header: {names[needed]!r} is missing; add it.")
        for operation in sorted(listed & MERGES):
            raise ConfigurationError(
                f"{where}.layers: {names[operation]!r} takes two predecessors; a space with a header makes chains. "
                "Remove one of the two."
            )
        return
    for entry in definition.operations:
        if entry.operation in _WITH_HEADER_ONLY or entry.residual:
            what = f"{names[entry.operation]!r}" + (" with residual: True" if entry.residual else "")
            raise ConfigurationError(f"{where}.layers: {what} needs a 'header' section with stem and width; add it.")


def _kind(definition: SpaceDefinition, wanted: SpaceKind | None, where: str) -> SpaceKind:
    if definition.header:
        training = {Operation.AUGMENTATION, Operation.DROPOUT} & {choice.operation for choice in definition.header}
        found = SpaceKind.JOINT if training else SpaceKind.EDGE
        allowed = [found]
    else:
        found = SpaceKind.MULTI_BRANCH if definition.two_input else SpaceKind.CHAIN
        allowed = [SpaceKind.CHAIN, SpaceKind.MULTI_BRANCH, SpaceKind.EXPLICIT]
    if wanted is not None and wanted not in allowed:
        raise ConfigurationError(
            f"{where}: the file cannot be read as kind {wanted.value!r}; it makes {', '.join(allowed)}."
        )
    return wanted or found
