"""Data: reading what people have, decoding it once, splitting it. Importing this package is light."""

from nasgym.data.dataset import ImageDataset, default_cache_dir, load_dataset
from nasgym.data.records import Dropped, Part, Record, Source
from nasgym.data.sources import open_source
from nasgym.data.splits import Split, SplitResult, SplitRules, make_split

__all__ = [
    "Dropped",
    "ImageDataset",
    "Part",
    "Record",
    "Source",
    "Split",
    "SplitResult",
    "SplitRules",
    "default_cache_dir",
    "load_dataset",
    "make_split",
    "open_source",
]
