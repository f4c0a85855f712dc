"""Infos of many environments at once: a dictionary whose dear values are computed when somebody asks for them."""

from collections.abc import Callable, Iterator
from typing import Any

from numpy.typing import NDArray


class Deferred:
    """A value that is not computed yet."""

    __slots__ = ("compute",)

    def __init__(self, compute: Callable[[], Any]) -> None:
        self.compute = compute


class Infos(dict[str, Any]):
    """A dictionary like any other, but that `Deferred` values are computed, and kept, when they are first read.

    Texts of thousands of architectures take longer than the step that made them, and hardly anybody reads them. What
    a deferred value needs is put aside when it is made: later steps do not change it. Copies and pickles are plain
    dictionaries with every value computed.
    """

    def __getitem__(self, key: str) -> Any:
        value = super().__getitem__(key)
        if isinstance(value, Deferred):
            value = value.compute()
            self[key] = value
        return value

    def __iter__(self) -> Iterator[str]:  # `dict(infos)` reads the values of a subclass that has its own iterator
        return super().__iter__()

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value of `key`, or `default` where there is none."""
        return self[key] if key in self else default  # noqa: SIM401 - this is `get`

    def pop(self, key: str, *default: Any) -> Any:
        """Remove `key` and return its value, or `default` where there is none."""
        if key in self:
            value = self[key]
            del self[key]
            return value
        return super().pop(key, *default)

    def items(self):  # type: ignore[no-untyped-def]  # the types of a dictionary's views have no public names
        """Return the keys and values."""
        return self.copy().items()

    def values(self):  # type: ignore[no-untyped-def]  # as above
        """Return the values."""
        return self.copy().values()

    def copy(self) -> dict[str, Any]:
        """Return a plain dictionary with every value computed."""
        return {key: self[key] for key in super().__iter__()}

    def __eq__(self, other: object) -> bool:
        return self.copy() == other

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __or__(self, other: dict[str, Any]) -> dict[str, Any]:  # type: ignore[override]  # dict has it for all keys
        return self.copy() | other

    def __repr__(self) -> str:
        return repr(self.copy())

    def __reduce__(self) -> tuple[Any, ...]:
        return (dict, (self.copy(),))

    def overridden_by(self, other: dict[str, Any]) -> "Infos":
        """Return infos with the values of both, those of `other` where both have one; what is deferred stays so."""
        merged = Infos()
        for infos in (self, other):
            for key in dict.__iter__(infos):
                merged[key] = dict.__getitem__(infos, key)
        return merged

    def add(self, key: str, which: Callable[[], NDArray[Any]], value: Any) -> None:
        """Add a value, and under `_key` which environments have it, as Gymnasium's vector environments do."""
        self[key] = value
        self[f"_{key}"] = Deferred(which)
