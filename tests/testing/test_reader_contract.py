"""The contract of data readers over those that come with nasgym, and over readers that each break one promise."""

import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nasgym.core.errors import DataError
from nasgym.data import Dropped, Record, Source
from nasgym.data.files import FileSource
from nasgym.data.sources import DigitsSource
from nasgym.testing.readers import check_reader

N_IMAGES = 20


def png(level: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.full((4, 4), level, np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def zip_of(path: Path, first_level: int) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(N_IMAGES):
            archive.writestr(f"{'ab'[number % 2]}/{number}.png", png(first_level + number))
    return path


def test_files_keep_the_contract(tmp_path: Path) -> None:
    one, other = zip_of(tmp_path / "one.zip", 0), zip_of(tmp_path / "other.zip", 100)
    check_reader(
        lambda: FileSource(one),
        changed=lambda: FileSource(other),
        missing=lambda: FileSource(tmp_path / "none.zip"),
    )


def test_digits_keep_the_contract() -> None:
    check_reader(DigitsSource)


@dataclass
class Squares:
    """A correct source of grey squares, to be broken."""

    name: str = "squares"
    level: int = 0
    reads: list[int] = field(default_factory=list)

    def fingerprint(self) -> str:
        return f"squares-{self.level}"

    def records(self) -> Iterator[Record | Dropped]:
        self.reads.append(1)
        for number in range(N_IMAGES):
            yield self.record(number)

    def record(self, number: int) -> Record | Dropped:
        return Record(f"{number}", self.image(number), "ab"[number % 2])

    def image(self, number: int) -> Any:
        return np.full((4, 4, 1), self.level + number, np.uint8)


class Nameless(Squares):
    def __init__(self) -> None:
        super().__init__(name="")


class NumberForFingerprint(Squares):
    def fingerprint(self) -> Any:
        return 7


class FingerprintOfTheObject(Squares):
    def fingerprint(self) -> str:
        return str(id(self.reads))


class FingerprintOfTheReading(Squares):
    def fingerprint(self) -> str:
        return f"{len(self.reads)}"


class Empty(Squares):
    def records(self) -> Iterator[Record | Dropped]:
        yield Dropped("all of it", "is not there")


class Pairs(Squares):
    def record(self, number: int) -> Any:
        return (self.image(number), number % 2)


class DropsWithoutAWord(Squares):
    def record(self, number: int) -> Record | Dropped:
        return Dropped(f"{number}", "") if number == 3 else super().record(number)


class OnePath(Squares):
    def record(self, number: int) -> Record | Dropped:
        return Record("squares.dat", self.image(number), "ab"[number % 2])


class Floats(Squares):
    def image(self, number: int) -> Any:
        return np.full((4, 4, 1), number / N_IMAGES)


class WithoutChannels(Squares):
    def image(self, number: int) -> Any:
        return np.full((4, 4), number, np.uint8)


class TwoChannels(Squares):
    def image(self, number: int) -> Any:
        return np.full((4, 4, 2), number, np.uint8)


class OpenedImages(Squares):
    def image(self, number: int) -> Any:
        return Image.fromarray(np.full((4, 4), number, np.uint8))


class EmptyFiles(Squares):
    def image(self, number: int) -> Any:
        return b""


class Unlabelled(Squares):
    def record(self, number: int) -> Record | Dropped:
        return Record(f"{number}", self.image(number))


class NumbersForLabels(Squares):
    def record(self, number: int) -> Any:
        return Record(f"{number}", self.image(number), number % 2)  # type: ignore[arg-type]  # broken on purpose


class TextForPart(Squares):
    def record(self, number: int) -> Any:
        return Record(f"{number}", self.image(number), "ab"[number % 2], "train")  # type: ignore[arg-type]  # likewise


class ElsewhereContained(Squares):
    def record(self, number: int) -> Any:
        return Record(f"{number}", self.image(number), "ab"[number % 2], container="squares.zip")


class ReadOnce(Squares):
    def records(self) -> Iterator[Record | Dropped]:
        yield from list(super().records())[: N_IMAGES if len(self.reads) < 2 else 5]


class ImagesInAnotherOrder(Squares):
    def image(self, number: int) -> Any:
        return super().image((number + len(self.reads)) % N_IMAGES)


class OneArrayForAll(Squares):
    buffer = np.zeros((4, 4, 1), np.uint8)

    def image(self, number: int) -> Any:
        return self.buffer


class KeepsItsArrays(Squares):
    def record(self, number: int) -> Record | Dropped:
        kept = self.__dict__.setdefault("kept", {})
        return kept.setdefault(number, super().record(number))


class OneClass(Squares):
    def record(self, number: int) -> Record | Dropped:
        return Record(f"{number}", self.image(number), "a")


class NotImages(Squares):
    def image(self, number: int) -> Any:
        return b"%d, but no image" % number


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (Nameless, "name must not be empty"),
        (NumberForFingerprint, r"fingerprint\(\) must be a text, is 7"),
        (FingerprintOfTheObject, "two sources on the same data have fingerprints .* decoded again every time"),
        (FingerprintOfTheReading, "reading the records changed the fingerprint"),
        (Empty, r"records\(\) handed over no image; raise DataError"),
        (Pairs, r"record 0 must be a Record or Dropped, is \(array"),
        (DropsWithoutAWord, r"record 3: Dropped\('3'\) does not say why"),
        (OnePath, r"record 1 \('squares.dat'\): the path is there twice"),
        (Floats, r"record 0 \('0'\): pixels must be uint8, are float64"),
        (WithoutChannels, r"pixels must have shape \(height, width, channels\), have \(4, 4\)"),
        (TwoChannels, r"pixels must have 1, 3 or 4 channels, have shape \(4, 4, 2\)"),
        (OpenedImages, "an image must be the bytes of an image file or an array, is Image"),
        (EmptyFiles, "an image file of 0 bytes; hand over Dropped"),
        (Unlabelled, "no label, and no folder in the path that would tell the class"),
        (NumbersForLabels, "the label must be a text, is 0"),
        (TextForPart, "part must be a nasgym.data.Part or None, is 'train'"),
        (ElsewhereContained, "the path must begin with the container, 'squares.zip'"),
        (ReadOnce, "the second time, 15 of 20 records are gone, '10' first"),
        (ImagesInAnotherOrder, "the second time, 20 records have another image, label, part or group: '0'"),
        (OneArrayForAll, "'1' changed when an image before it was written to: hand over copies"),
        (KeepsItsArrays, "writing into images changed those handed over later: hand over copies"),
        (OneClass, "the records make no data set: .*class"),
        (NotImages, "the records make no data set: "),
    ],
)
def test_a_broken_reader_fails_with_a_message_that_says_why(broken: type[Squares], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_reader(broken)


def absent() -> Source:
    raise DataError("squares: not there. Draw some.")


def test_the_reader_they_were_made_from_keeps_the_contract() -> None:
    check_reader(Squares, changed=lambda: Squares(level=100), missing=absent)


class BlindToChanges(Squares):
    def fingerprint(self) -> str:
        return "squares"


def test_a_fingerprint_that_misses_a_change_of_the_data_fails() -> None:
    with pytest.raises(AssertionError, match="other data have the same fingerprint, 'squares'; the old images would"):
        check_reader(BlindToChanges, changed=lambda: BlindToChanges(level=100))


def test_a_suite_that_is_given_the_same_data_as_changed_says_so() -> None:
    with pytest.raises(AssertionError, match="`changed` hands over just what `make` does"):
        check_reader(Squares, changed=Squares)


def not_found() -> Source:
    raise FileNotFoundError("squares.dat")


def silent() -> Source:
    raise DataError


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        (not_found, r"must raise DataError, raise FileNotFoundError\('squares.dat'\)"),
        (silent, "the DataError of missing data has no message"),
        (Squares, r"must raise DataError, and fingerprint\(\) answered"),
    ],
)
def test_missing_data_that_are_no_data_error_fail(missing: Any, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_reader(Squares, missing=missing)
