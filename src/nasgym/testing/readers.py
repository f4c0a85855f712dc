"""The contract of a data reader, as a suite of checks with plain asserts.

```python
from nasgym.testing.readers import check_reader

check_reader(lambda: MySource("a.dat"), changed=lambda: MySource("b.dat"), missing=lambda: MySource("none.dat"))
```
"""

import hashlib
import tempfile
from collections.abc import Callable

import numpy as np

from nasgym.core.errors import DataError
from nasgym.data import Dropped, Part, Record, Source, load_dataset

Make = Callable[[], Source]

CHANNELS = (1, 3, 4)


def check_reader(make: Make, *, changed: Make | None = None, missing: Make | None = None) -> None:
    """Check that sources made by `make` keep the contract of `nasgym.data.Source`.

    Args:
        make: returns a new source on data of at least two classes; each one must hand over the same.
        changed: returns a source on other data, with the same file names or argument if possible: its fingerprint must
            differ. Left out where the data never change.
        missing: returns a source on what is not there, or raises. Left out where nothing can be missing.

    Raises:
        AssertionError: the contract is broken; the message says where and how.
    """
    check_identity(make)
    check_records(make())
    check_reading_again(make)
    check_arrays_are_the_callers_own(make())
    if changed is not None:
        check_change(make(), changed())
    if missing is not None:
        check_missing(missing)
    check_loading(make)


def check_identity(make: Make) -> None:
    """Name and fingerprint are there, and the same every time, also after the records were read."""
    source, other = make(), make()
    for what, value in (("name", source.name), ("fingerprint()", source.fingerprint())):
        assert isinstance(value, str), f"{what} must be a text, is {value!r}"
        assert value, f"{what} must not be empty"
    before = source.fingerprint()
    assert other.fingerprint() == before, (
        f"two sources on the same data have fingerprints {before!r} and {other.fingerprint()!r}; "
        "they would be decoded again every time"
    )
    for _ in source.records():
        pass
    assert source.fingerprint() == before, "reading the records changed the fingerprint"


def check_records(source: Source) -> None:
    """Every record is an image of a known form under a path of its own."""
    paths: set[str] = set()
    for number, record in enumerate(source.records()):
        assert isinstance(record, Record | Dropped), f"record {number} must be a Record or Dropped, is {record!r}"
        if isinstance(record, Dropped):
            assert record.why, f"record {number}: Dropped({record.where!r}) does not say why"
            continue
        where = f"record {number} ({record.path!r})"
        assert isinstance(record.path, str), f"{where}: the path must be a text"
        assert record.path, f"record {number}: the path is empty; it says in messages where an image lies"
        assert record.path not in paths, f"{where}: the path is there twice; it must be unique within the source"
        paths.add(record.path)
        _check_image(record, where)
        _check_words(record, where)
    assert paths, "records() handed over no image; raise DataError where there is none"


def _check_image(record: Record, where: str) -> None:
    if isinstance(record.image, bytes):
        assert record.image, f"{where}: an image file of 0 bytes; hand over Dropped for what is no image"
        return
    array = record.image
    assert isinstance(array, np.ndarray), (
        f"{where}: an image must be the bytes of an image file or an array, is {type(array).__name__}"
    )
    assert array.dtype == np.uint8, f"{where}: pixels must be uint8, are {array.dtype}"
    assert array.ndim == 3, f"{where}: pixels must have shape (height, width, channels), have {array.shape}"
    assert array.shape[2] in CHANNELS, f"{where}: pixels must have 1, 3 or 4 channels, have shape {array.shape}"
    assert array.size, f"{where}: an image without pixels, {array.shape}; hand over Dropped for it"


def _check_words(record: Record, where: str) -> None:
    if record.label is None:
        assert "/" in record.inner_path, (
            f"{where}: no label, and no folder in the path that would tell the class; set label"
        )
    else:
        assert isinstance(record.label, str), f"{where}: the label must be a text, is {record.label!r}"
        assert record.label, f"{where}: the label is empty"
    assert record.part is None or isinstance(record.part, Part), (
        f"{where}: part must be a nasgym.data.Part or None, is {record.part!r}"
    )
    assert record.group is None or isinstance(record.group, str), (
        f"{where}: the group must be a text or None, is {record.group!r}"
    )
    assert record.path.startswith(record.container), (
        f"{where}: the path must begin with the container, {record.container!r}"
    )


def check_reading_again(make: Make) -> None:
    """The records are the same every time: of one source read twice, and of another one."""
    source = make()
    first = _contents(source)
    for what, again in (("the second time", _contents(source)), ("by another source", _contents(make()))):
        lost, new = sorted(first.keys() - again.keys()), sorted(again.keys() - first.keys())
        assert not lost, f"{what}, {len(lost)} of {len(first)} records are gone, {lost[0]!r} first"
        assert not new, f"{what}, {len(new)} records are new, {new[0]!r} first"
        changed = [path for path, content in first.items() if again[path] != content]
        assert not changed, f"{what}, {len(changed)} records have another image, label, part or group: {changed[0]!r}"


def check_arrays_are_the_callers_own(source: Source) -> None:
    """What a caller writes into a record changes nothing in the next one or the next time."""
    before = _contents(source)
    for record in source.records():
        if isinstance(record, Record):
            assert _content(record) == before[record.path], (
                f"{record.path!r} changed when an image before it was written to: hand over copies"
            )
            if isinstance(record.image, np.ndarray) and record.image.flags.writeable:
                record.image[...] = 255 - record.image
    assert _contents(source) == before, "writing into images changed those handed over later: hand over copies"


def check_change(source: Source, changed: Source) -> None:
    """Other data have another fingerprint: it is the key under which decoded images are kept."""
    assert _contents(source) != _contents(changed), "`changed` hands over just what `make` does; give it other data"
    assert source.fingerprint() != changed.fingerprint(), (
        f"other data have the same fingerprint, {source.fingerprint()!r}; the old images would be used for them"
    )


def check_missing(missing: Make) -> None:
    """What is not there is a `DataError` with a message, at the latest when the fingerprint is asked for."""
    try:
        missing().fingerprint()
    except DataError as error:
        message = str(error)
    except (OSError, ValueError, LookupError) as error:
        raise AssertionError(f"missing data must raise DataError, raise {error!r}") from error
    else:
        raise AssertionError("missing data must raise DataError, and fingerprint() answered")
    assert message, "the DataError of missing data has no message; name the file and the remedy"


def check_loading(make: Make) -> None:
    """The images can be decoded and make a data set of at least two classes."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            load_dataset(make(), size=16, cache_dir=folder)
        except DataError as error:
            raise AssertionError(f"the records make no data set: {error}") from error


_Content = tuple[bytes, str | None, Part | None, str | None]


def _contents(source: Source) -> dict[str, _Content]:
    """Return what each record holds, by path."""
    return {record.path: _content(record) for record in source.records() if isinstance(record, Record)}


def _content(record: Record) -> _Content:
    """Return a hash of the image, and its label, part and group."""
    form = "file" if isinstance(record.image, bytes) else str(record.image.shape)
    pixels = record.image if isinstance(record.image, bytes) else record.image.tobytes()
    digest = hashlib.blake2b(form.encode() + b"\0" + pixels, digest_size=16).digest()
    return digest, record.label, record.part, record.group
