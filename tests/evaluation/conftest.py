"""Small tasks to train on: generated images, and scikit-learn's digits."""

from pathlib import Path

import numpy as np
import pytest

from nasgym.core.randomness import stream
from nasgym.tasks import Fidelity, ImageTask, make_task

SIDE = 12
N_PER_CLASS = 30


def stripes(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return noisy colour images of horizontal, vertical and no stripes, and their labels."""
    generator = stream(seed, "stripes")
    labels = np.repeat(np.arange(3), N_PER_CLASS)
    images = generator.integers(0, 100, size=(len(labels), SIDE, SIDE, 3))
    images[labels == 0, ::2] += 120
    images[labels == 1, :, ::2] += 120
    return images.astype(np.uint8), labels


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def stripes_task(tmp_path_factory: pytest.TempPathFactory, cache_dir: Path) -> ImageTask:
    """54 training, 18 validation and 18 test images of 12 px in colour; 3 classes."""
    images, labels = stripes()
    file = tmp_path_factory.mktemp("stripes") / "stripes.npz"
    np.savez(file, images=images, labels=labels)
    return make_task(file, size=SIDE, cache_dir=cache_dir, fidelity=Fidelity(epochs=2, resolution=SIDE))


@pytest.fixture(scope="session")
def digits_task(cache_dir: Path) -> ImageTask:
    """1,079 training images of 16 px, grey; 10 classes."""
    return make_task("digits", size=16, cache_dir=cache_dir, fidelity=Fidelity(epochs=4, resolution=16))
