"""From what a user writes to a source: a path, the embedded digits, Hugging Face data sets, third-party readers."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from nasgym.core import plugins
from nasgym.core.errors import DataError, PluginError, nearest
from nasgym.data.files import FileSource
from nasgym.data.labelling import part_word
from nasgym.data.records import Dropped, Record, Source

_BUILT_IN = ("digits", "hf")
_GROUP = "nasgym.datasets"
_SAVED_BY_DATASETS = ("dataset_dict.json", "state.json")


def open_source(source: str | Path) -> Source:
    """Return the source that `source` means: an existing path first, then `digits`, `hf:NAME`, and
    `NAME` or `NAME:ARGUMENT` of a third-party reader.

    Raises:
        DataError: there is no such file, folder or name.
        PluginError: the reader cannot be imported.
    """
    path = Path(source).expanduser()
    if path.exists():
        if path.is_dir() and any((path / name).is_file() for name in _SAVED_BY_DATASETS):
            return HuggingFaceSource(str(path), local=True)
        return FileSource(path)
    name, _, argument = str(source).partition(":")
    if name == "digits" and not argument:
        return DigitsSource()
    if name == "hf" and argument:
        return HuggingFaceSource(argument)
    readers = plugins.available(_GROUP)
    if name in readers:
        return _from_plugin(name, argument)
    hint = nearest(name, (*_BUILT_IN, *readers)) if "/" not in str(source) else ""
    known = ", ".join(("digits", "hf:NAME", *readers))
    raise DataError(f"No file or folder {str(source)!r}, and no data set of that name (known: {known}).{hint}")


def _from_plugin(name: str, argument: str) -> Source:
    opened: Any = plugins.load(_GROUP, name)(argument)
    missing = [part for part in ("name", "fingerprint", "records") if not hasattr(opened, part)]
    if missing:
        raise PluginError(
            f"Data reader {name!r} returned {type(opened).__name__}, which lacks {', '.join(missing)}; "
            "it must be a nasgym.data.Source."
        )
    source: Source = opened
    return source


@dataclass(frozen=True)
class DigitsSource:
    """scikit-learn's 1,797 handwritten digits of 8 × 8 pixels, part of its package: nothing is downloaded."""

    name: str = "digits"

    def fingerprint(self) -> str:
        """Return a constant: the data never change."""
        return "digits-1"

    def records(self) -> Iterator[Record]:
        """Hand over the digits, ink white on black."""
        from sklearn.datasets import load_digits

        bunch = load_digits()
        pixels = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[..., None]
        for index, (image, label) in enumerate(zip(pixels, bunch.target.tolist(), strict=True)):
            yield Record(f"digits[{index}]", image, str(label))


@dataclass(frozen=True)
class HuggingFaceSource:
    """A data set of the Hugging Face `datasets` package; needs the extra `hf`.

    Attributes:
        location: name at the hub, as `datasets.load_dataset` takes it, or a `save_to_disk` folder.
        local: whether `location` is a folder.
    """

    location: str
    local: bool = False

    @property
    def name(self) -> str:
        """Last part of the location."""
        return self.location.rstrip("/").rpartition("/")[2]

    def fingerprint(self) -> str:
        """Return a hash of the fingerprints that the package keeps, and of the split sizes."""
        known = {name: [getattr(part, "_fingerprint", ""), len(part)] for name, part in self._splits.items()}
        return hashlib.blake2b(json.dumps(known, sort_keys=True).encode(), digest_size=16).hexdigest()

    def records(self) -> Iterator[Record | Dropped]:
        """Hand over the images of every split; the splits are the official one.

        Raises:
            DataError: there is no image or label column.
        """
        from datasets import ClassLabel, Image

        for split_name, part in self._splits.items():
            features = part.features
            images = [key for key, feature in features.items() if isinstance(feature, Image)]
            labels = [key for key, feature in features.items() if isinstance(feature, ClassLabel)]
            labels += [key for key in ("label", "labels", "fine_label") if key in features and key not in labels]
            if not images or not labels:
                raise DataError(
                    f"Data set {self.location!r} has no image or no label column (columns: {', '.join(features)})."
                )
            raw = part.select_columns([images[0], labels[0]]).cast_column(images[0], Image(decode=False))
            names = getattr(features[labels[0]], "names", None)
            for index, row in enumerate(raw):
                where = f"{split_name}[{index}]"
                label, content = row[labels[0]], _content(row[images[0]])
                if content is None or label is None or (names and label == -1):
                    yield Dropped(where, "has no image" if content is None else "has no label")
                else:
                    yield Record(where, content, names[label] if names else str(label), part_word(split_name))

    @cached_property
    def _splits(self) -> dict[str, Any]:
        try:
            import datasets
        except ImportError as error:
            raise DataError(
                "Hugging Face data sets need the package datasets. Install it with `pip install nasgym[hf]`."
            ) from error
        try:
            loaded = datasets.load_from_disk(self.location) if self.local else datasets.load_dataset(self.location)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"Data set {self.location!r} cannot be opened by Hugging Face datasets: {error}") from error
        return dict(loaded) if isinstance(loaded, dict) else {"all": loaded}


def _content(image: dict[str, Any] | None) -> bytes | None:
    if image is None:
        return None
    if image["bytes"] is not None:
        return bytes(image["bytes"])
    try:
        return Path(image["path"]).read_bytes() if image["path"] else None
    except OSError:
        return None
