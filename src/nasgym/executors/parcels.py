"""Calls on their way to a worker and answers on their way back; what a worker keeps is sent to it once."""

import io
import pickle
import traceback
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from nasgym.evaluation.resident import Resident

MOST_RESIDENTS = 32
"""Values that a worker keeps; those used least recently go first."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """A call on its way.

    Attributes:
        call: function and arguments, pickled; residents in it by name.
        residents: what the worker has to keep from now on.
        dropped: names of what it forgets first.
    """

    call: bytes
    residents: tuple[Resident[Any], ...]
    dropped: tuple[str, ...]


class Parcels:
    """Packs the calls of one worker, remembering what it keeps."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, None] = OrderedDict()

    def pack(self, function: Callable[..., object], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Parcel:
        """Return a call, with those of its residents that the worker does not keep yet.

        Raises:
            Exception: something in it does not pickle.
        """
        file = io.BytesIO()
        pickler = _Pickler(file)
        pickler.dump((function, args, kwargs))
        for name in pickler.residents:
            if name in self._kept:
                self._kept.move_to_end(name)
        new = {name: resident for name, resident in pickler.residents.items() if name not in self._kept}
        surplus = len(self._kept) + len(new) - max(MOST_RESIDENTS, len(pickler.residents))
        dropped = tuple(self._kept.popitem(last=False)[0] for _ in range(surplus))
        self._kept.update(dict.fromkeys(new))
        return Parcel(file.getvalue(), tuple(new.values()), dropped)


class _Pickler(pickle.Pickler):
    """Pickles residents as their names, and notes them."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self.residents: dict[str, Resident[Any]] = {}

    def persistent_id(self, value: object) -> str | None:
        if isinstance(value, Resident):
            self.residents[value.name] = value
            return value.name
        return None


class _Unpickler(pickle.Unpickler):
    """Reads what `_Pickler` wrote, with the residents that are kept here."""

    def __init__(self, file: io.BytesIO, residents: dict[str, Resident[Any]]) -> None:
        super().__init__(file)
        self._residents = residents

    def persistent_load(self, name: str) -> Resident[Any]:
        return self._residents[name]


class Desk:
    """Where a worker makes its calls, with what it keeps from one to the next.

    Args:
        load: unpickles what it keeps.
    """

    def __init__(self, load: Callable[[bytes], Any] = pickle.loads) -> None:
        self._load = load
        self._residents: dict[str, Resident[Any]] = {}

    def make(self, call: bytes, contents: dict[str, bytes], dropped: tuple[str, ...]) -> bytes:
        """Make a call; return what comes out, or what was raised, for `settle`.

        Args:
            call: of a `Parcel`.
            contents: pickled values of its residents, by name.
            dropped: names of what to forget.
        """
        for name in dropped:
            del self._residents[name]
        answer: tuple[object, BaseException | None]
        try:
            for name, content in contents.items():
                self._residents[name] = Resident(self._load(content))
            function, args, kwargs = _Unpickler(io.BytesIO(call), self._residents).load()
            answer = function(*args, **kwargs), None
        except Exception as error:  # noqa: BLE001 - it is raised again where the call was asked for
            error.add_note("In a worker:\n" + "".join(traceback.format_exception(error)))
            answer = None, error
        try:
            return pickle.dumps(answer, pickle.HIGHEST_PROTOCOL)
        except Exception as error:  # noqa: BLE001 - what came out does not pickle, which is raised as well
            return pickle.dumps((None, TypeError(f"What a call came to does not pickle: {error}")))


def settle(future: Future[Any], answer: bytes) -> None:
    """Make a future end with what a `Desk` answered."""
    try:
        result, error = pickle.loads(answer)
    except Exception as unreadable:  # noqa: BLE001 - an exception whose class cannot be made again from its arguments
        result, error = None, unreadable
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
