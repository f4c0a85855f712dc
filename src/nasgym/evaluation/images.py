"""Images where they are trained on: resident as 8-bit pixels, cut, scaled and augmented a batch at a time."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from nasgym.architectures import Augmentation
from nasgym.core.errors import ConfigurationError
from nasgym.core.randomness import stream
from nasgym.evaluation.recipes import Inputs

SHIFT = 0.1
"""Largest random shift along each axis, as a fraction of the side."""
LEAST_DEVIATION = 1.0
"""Standard deviations below one grey level are taken as one, so that constant channels stay finite."""


@dataclass(frozen=True)
class Images:
    """A part of a data set on a device.

    Attributes:
        pixels: uint8, shape (n, height, width, channels).
        labels: int64, shape (n,).
    """

    pixels: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def side(self) -> int:
        """Height and width, pixels."""
        return self.pixels.shape[1]


@dataclass(frozen=True)
class Scaling:
    """What a network sees of a pixel: `(pixel − mean) / deviation`, per channel, in grey levels of 0 to 255.

    Attributes:
        mean: one value a channel.
        deviation: one value a channel, above 0.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    @classmethod
    def of(cls, pixels: Tensor, inputs: Inputs) -> "Scaling":
        """Return the scaling for training images `pixels`, uint8 of shape (n, height, width, channels)."""
        channels = pixels.shape[-1]
        if inputs is Inputs.UNIT:
            return cls((0.0,) * channels, (255.0,) * channels)
        means, deviations = [], []
        levels = torch.arange(256, dtype=torch.float64)
        for channel in range(channels):
            counts = torch.bincount(pixels[..., channel].flatten().cpu(), minlength=256).double()
            mean = float((counts * levels).sum() / counts.sum())
            variance = float((counts * (levels - mean) ** 2).sum() / counts.sum())
            means.append(mean)
            deviations.append(max(LEAST_DEVIATION, variance**0.5))
        return cls(tuple(means), tuple(deviations))

    def on(self, device: torch.device) -> "Scaler":
        """Return the same scaling, ready for pixels on `device`."""
        gain = torch.tensor(self.deviation, device=device).reciprocal()
        return Scaler(gain, -gain * torch.tensor(self.mean, device=device))


@dataclass(frozen=True)
class Scaler:
    """A scaling on a device.

    Attributes:
        gain: fp32, one value a channel.
        offset: fp32, one value a channel.
    """

    gain: Tensor
    offset: Tensor

    def apply(self, pixels: Tensor) -> Tensor:
        """Return fp32 images of shape (n, channels, height, width), channels last in memory, of uint8 NHWC `pixels`."""
        return torch.addcmul(self.offset, pixels, self.gain).permute(0, 3, 1, 2)


def resident(images: NDArray[np.uint8], labels: NDArray[np.int64], side: int, device: torch.device) -> Images:
    """Return images (n, height, width, channels) and labels (n,) on `device`, resized to `side` pixels if they differ.

    Resizing is bilinear and anti-aliased, on whole images at once, rounded back to 8 bits.
    """
    pixels = torch.from_numpy(images).to(device)
    if tuple(pixels.shape[1:3]) != (side, side):
        planes = functional.interpolate(
            pixels.permute(0, 3, 1, 2).float(), size=(side, side), mode="bilinear", antialias=True, align_corners=False
        )
        pixels = planes.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()
    return Images(pixels, torch.from_numpy(labels).to(device))


def subset(labels: NDArray[np.int64], samples: int | None) -> NDArray[np.int64]:
    """Return which of the training images a fidelity of `samples` uses, as sorted positions in `labels`.

    Fixed and stratified: one image of every class first, then every class in proportion; a smaller subset lies
    within a larger one. `None`, or at least as many as there are, means all.

    Raises:
        ConfigurationError: fewer samples than classes.
    """
    if samples is None or samples >= len(labels):
        return np.arange(len(labels))
    classes, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if samples < len(classes):
        raise ConfigurationError(
            f"A fidelity of {samples} samples cannot hold all {len(classes)} classes; ask for at least that many."
        )
    shuffled = stream(0, "fidelity subset").permutation(len(labels))
    by_class = shuffled[np.argsort(codes[shuffled], kind="stable")]
    rank = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    share = (rank + 0.5) / np.repeat(counts, counts)
    order = np.lexsort((share, rank > 0))
    return np.sort(by_class[order[:samples]])


@dataclass(frozen=True)
class Changes:
    """Random changes of the training images of one epoch, applied by picking pixels.

    Attributes:
        shifts: pixels down and to the right, int64 of shape (n, 2); what comes in repeats the border.
        flips: whether left and right are exchanged, bool of shape (n,).
        turns: quarter turns, int64 of shape (n,).
    """

    shifts: Tensor
    flips: Tensor
    turns: Tensor

    @classmethod
    def draw(
        cls, augmentation: Augmentation, n: int, side: int, generator: torch.Generator, device: torch.device
    ) -> "Changes | None":
        """Return the changes of an epoch of `n` square images of `side` pixels; `None` where nothing changes.

        Drawn from `generator`, on the CPU, and moved to `device`.
        """
        if augmentation is Augmentation.NONE:
            return None
        shifts = torch.zeros(n, 2, dtype=torch.long)
        flips, turns = torch.zeros(n, dtype=torch.bool), torch.zeros(n, dtype=torch.long)
        if augmentation is Augmentation.QUARTER_TURNS:
            turns = torch.randint(4, (n,), generator=generator)
        else:
            reach = max(1, round(SHIFT * side))
            shifts = torch.randint(-reach, reach + 1, (n, 2), generator=generator)
        if augmentation is Augmentation.SHIFT_FLIP:
            flips = torch.randint(2, (n,), generator=generator).bool()
        return cls(shifts.to(device), flips.to(device), turns.to(device))

    def apply(self, pixels: Tensor, rows: Tensor) -> Tensor:
        """Return images `rows` of `pixels` (n, side, side, channels), each with its own changes."""
        side = pixels.shape[1]
        along = torch.arange(side, device=pixels.device)
        down, across = ((along - self.shifts[rows, axis, None]).clamp(0, side - 1) for axis in range(2))
        across = torch.where(self.flips[rows, None], across.flip(1), across)
        y, x = along[:, None].expand(side, side), along.expand(side, side)
        from_y = torch.stack([y, x, side - 1 - y, side - 1 - x])[self.turns[rows]]
        from_x = torch.stack([x, side - 1 - y, side - 1 - x, y])[self.turns[rows]]
        image = rows[:, None, None]
        return pixels[
            image,
            down.gather(1, from_y.flatten(1)).view_as(from_y),
            across.gather(1, from_x.flatten(1)).view_as(from_x),
        ]
