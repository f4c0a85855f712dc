"""Checkpoints: weights with everything needed to rebuild and use the network, in one file that holds no code."""

import io
import pickle
import struct
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn

from nasgym.architectures import format_architecture, parse_architecture
from nasgym.core.errors import CheckpointError, DataError, NasgymError
from nasgym.core.files import write_atomically
from nasgym.data.pixels import UnreadableImageError, decode
from nasgym.data.records import Record
from nasgym.evaluation.final import TrainedNetwork
from nasgym.evaluation.images import Scaling
from nasgym.evaluation.learners import EVALUATION_BATCH
from nasgym.evaluation.scores import Score
from nasgym.networks.build import build
from nasgym.networks.plan import Plan, plan
from nasgym.networks.profiles import NetworkProfile

LUMA = np.array([0.299, 0.587, 0.114])
"""Weights of red, green and blue in grey (ITU-R 601), where a network of grey images is shown a colour image."""
_DAMAGE = (
    *(RuntimeError, ValueError, KeyError, IndexError, TypeError, AttributeError, AssertionError, EOFError),
    *(MemoryError, OverflowError, struct.error, pickle.UnpicklingError, zipfile.BadZipFile),
)
"""What torch raises on files that it does not expect."""
FORMAT = "nasgym network"
FORMAT_VERSION = 1
"""Of the file; raised when an older nasgym could not read it."""


@dataclass(frozen=True)
class Metadata:
    """What a checkpoint holds beside the weights; plain text and numbers.

    Attributes:
        architecture: text, canonical.
        profile: how it becomes a network.
        input_shape: height, width and channels of one image.
        class_names: one name a class, in the order of the scores.
        scaling: what the network sees of a pixel.
        validation: on the validation images.
        kept_epoch: whose weights these are; 1 is the first.
        n_epochs: epochs that were run.
        seed: of the training.
        nasgym: version that wrote the file.
    """

    architecture: str
    profile: NetworkProfile
    input_shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    scaling: Scaling
    validation: Score
    kept_epoch: int
    n_epochs: int
    seed: int
    nasgym: str

    @classmethod
    def of(cls, trained: TrainedNetwork) -> Self:
        """Return the metadata of a trained network."""
        return cls(
            architecture=format_architecture(trained.plan.architecture),
            profile=trained.plan.profile,
            input_shape=trained.plan.input_shape,
            class_names=trained.class_names,
            scaling=trained.scaling,
            validation=trained.validation,
            kept_epoch=trained.kept_epoch,
            n_epochs=len(trained.epochs),
            seed=trained.seed,
            nasgym=version("nasgym"),
        )

    def plan(self) -> Plan:
        """Return the plan of the network.

        Raises:
            NasgymError: architecture, shape and profile do not fit together.
        """
        return plan(parse_architecture(self.architecture), self.input_shape, len(self.class_names), self.profile)


_METADATA = TypeAdapter(Metadata)


def save_checkpoint(trained: TrainedNetwork, path: Path) -> None:
    """Write `trained` to `path`; a file that was there is replaced only when the new one is complete.

    Raises:
        CheckpointError: the file cannot be written; names it.
    """
    content = io.BytesIO()
    torch.save(
        {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "metadata": _METADATA.dump_python(Metadata.of(trained), mode="json"),
            "weights": trained.weights,
        },
        content,
    )
    try:
        write_atomically(path, content.getbuffer())
    except OSError as error:
        raise CheckpointError(
            f"{path}: the weights cannot be written ({error}). Free some space, or write elsewhere."
        ) from error


@dataclass(frozen=True)
class Prediction:
    """What a network says of one image.

    Attributes:
        path: the file.
        class_name: the likeliest class.
        probabilities: one value a class, in the order of the class names.
    """

    path: Path
    class_name: str
    probabilities: tuple[float, ...]

    @property
    def probability(self) -> float:
        """Of the likeliest class."""
        return max(self.probabilities)


class Classifier:
    """A trained network that names what images show.

    Args:
        metadata: how to rebuild and feed the network.
        weights: parameters and running statistics by name.

    Raises:
        CheckpointError: the weights are not those of the network.

    Attributes:
        metadata: how it was built and trained.
        network: in evaluation mode, on the CPU.
    """

    def __init__(self, metadata: Metadata, weights: dict[str, Tensor]) -> None:
        self.metadata = metadata
        self.network: nn.Module = build(metadata.plan(), torch.Generator())
        try:
            self.network.load_state_dict(weights)
        except RuntimeError as error:
            raise CheckpointError(f"The weights do not fit {metadata.architecture!r}: {error}") from error
        self.network.eval()

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Return the classifier that `save_checkpoint` wrote to `path`; nothing in the file is executed.

        Raises:
            CheckpointError: it cannot be read, is no checkpoint of nasgym, is damaged, or is of a newer nasgym.
        """
        path = Path(path)
        content = _read(path)
        try:
            metadata = _METADATA.validate_python(content["metadata"])
            return cls(metadata, content["weights"])
        except ValidationError as error:
            where = ".".join(str(part) for part in error.errors()[0]["loc"])
            raise CheckpointError(f"{path}: damaged: {where}: {error.errors()[0]['msg']}.") from error
        except (NasgymError, KeyError, TypeError) as error:
            raise CheckpointError(f"{path}: damaged: {error}") from error

    def probabilities(self, pixels: Tensor) -> Tensor:
        """Return class probabilities (n, n_classes) of uint8 images (n, height, width, channels)."""
        scaler = self.metadata.scaling.on(pixels.device)
        with torch.inference_mode():
            parts = [self.network(scaler.apply(part)).softmax(dim=1) for part in torch.split(pixels, EVALUATION_BATCH)]
        return torch.cat(parts)

    def predict(self, files: Iterable[Path | str]) -> list[Prediction]:
        """Return what the network says of each file, in order; images are read as those it was trained on.

        Raises:
            DataError: a file is missing or no image; names it.
        """
        paths = [Path(file) for file in files]
        if not paths:
            return []
        pixels = torch.from_numpy(np.stack([self._pixels(path) for path in paths]))
        names = self.metadata.class_names
        return [
            Prediction(path, names[max(range(len(names)), key=values.__getitem__)], tuple(values))
            for path, values in zip(paths, self.probabilities(pixels).tolist(), strict=True)
        ]

    def _pixels(self, path: Path) -> NDArray[np.uint8]:
        """Return the image in `path` at the network's resolution, grey or colour as the network takes it."""
        side, _, channels = self.metadata.input_shape
        try:
            pixels = decode(Record(str(path), path.read_bytes()), side)
        except OSError as error:
            raise DataError(f"{path}: cannot be read: {error.strerror or error}.") from error
        except UnreadableImageError as error:
            raise DataError(f"{path}: {error}. Give image files, such as PNG or JPEG.") from error
        if channels == 1 and pixels.shape[2] == 3:
            return np.asarray(np.rint(pixels @ LUMA)[..., None], dtype=np.uint8)
        return np.broadcast_to(pixels, (side, side, channels))


def _read(path: Path) -> dict[str, Any]:
    """Return the content of a checkpoint of this format and version."""
    foreign = f"{path}: not a checkpoint of nasgym; nasgym search writes them as best.pt."
    damaged = "It is damaged, or holds more than tensors and plain values."
    try:
        with path.open("rb") as file:
            if not zipfile.is_zipfile(file):
                raise CheckpointError(f"{foreign} {damaged}")
            content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror or error}.") from error
    except _DAMAGE as error:
        raise CheckpointError(f"{foreign} {damaged}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CheckpointError(foreign)
    if content.get("format_version") != FORMAT_VERSION:
        raise CheckpointError(
            f"{path}: format {content.get('format_version')} is of another nasgym; "
            f"this one ({version('nasgym')}) reads {FORMAT_VERSION}. Update nasgym."
        )
    return content
