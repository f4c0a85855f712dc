"""The learning curves behind the gate for fidelities: a compressed table of numbers, and how it is read and written."""

import csv
import io
import json
import lzma
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

TABLE = Path(__file__).with_name("fidelity_curves.csv.xz")
"""Measured once: docs/fidelity.md."""
FULL = "full"
"""Name of the full recipe; any other training follows the search recipe."""
_CURVES = ("train_losses", "validation_losses", "accuracies")
Numbers = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Training:
    """One training of one network. A network that failed has accuracies of 0 only.

    Attributes:
        task: name of the data set.
        network: text of the architecture.
        seed: evaluation seed.
        recipe: `FULL`, or `search`.
        epochs: planned.
        flops: of the network, per image.
        parameters: of the network.
        train_losses: mean training loss of every epoch.
        validation_losses: after every epoch.
        accuracies: on the validation images, after every epoch.
    """

    task: str
    network: str
    seed: int
    recipe: str
    epochs: int
    flops: int
    parameters: int
    train_losses: Numbers
    validation_losses: Numbers
    accuracies: Numbers


Name = tuple[str, int]
"""Recipe and epochs."""


@dataclass(frozen=True)
class Curves:
    """All trainings of a gate.

    Attributes:
        trainings: every one of them, in any order.
        linear: validation accuracy of a linear model, by name of the data set.
        seconds: processor time of one epoch of a network, validation included, by its text.
        made_by: processor and versions.
    """

    trainings: tuple[Training, ...]
    linear: dict[str, float]
    seconds: dict[str, float]
    made_by: str

    @cached_property
    def networks(self) -> tuple[str, ...]:
        """Texts of the networks in alphabetical order."""
        return tuple(sorted({training.network for training in self.trainings}))

    @cached_property
    def tasks(self) -> tuple[str, ...]:
        """Names of the data sets in the order of the table."""
        return tuple(dict.fromkeys(training.task for training in self.trainings))

    @cached_property
    def _by_key(self) -> dict[tuple[str, Name, int, str], Training]:
        return {
            (training.task, (training.recipe, training.epochs), training.seed, training.network): training
            for training in self.trainings
        }

    def seeds(self, task: str, name: Name) -> tuple[int, ...]:
        """Return the seeds with which every network was trained in this way."""
        known = self._by_key
        seeds = sorted({training.seed for training in self.trainings})
        return tuple(seed for seed in seeds if all((task, name, seed, network) in known for network in self.networks))

    def of(self, task: str, name: Name, seed: int) -> list[Training]:
        """Return one training of every network, in the order of `networks`."""
        return [self._by_key[task, name, seed, network] for network in self.networks]

    def accuracies(self, task: str, name: Name) -> dict[int, NDArray[np.float64]]:
        """Return by seed the last accuracy of every network."""
        return {
            seed: np.array([training.accuracies[-1] for training in self.of(task, name, seed)])
            for seed in self.seeds(task, name)
        }


def write_table(curves: Curves, file: Path) -> None:
    """Write `curves` as compressed CSV below a line of JSON; a curve is numbers with spaces between."""
    text = io.StringIO()
    head = {"linear": curves.linear, "seconds": curves.seconds, "made_by": curves.made_by}
    text.write(json.dumps(head) + "\n")
    writer = csv.DictWriter(text, [field.name for field in fields(Training)], lineterminator="\n")
    writer.writeheader()
    for training in curves.trainings:
        row = asdict(training)
        for name in _CURVES:
            row[name] = " ".join(f"{number:.4f}".rstrip("0").rstrip(".") for number in row[name])
        writer.writerow(row)
    file.write_bytes(lzma.compress(text.getvalue().encode(), preset=9))


def read_table(file: Path = TABLE) -> Curves:
    """Return what `write_table` wrote."""
    head, *lines = lzma.decompress(file.read_bytes()).decode().splitlines()
    trainings = []
    for row in csv.DictReader(lines):
        curves = {name: tuple(map(float, row.pop(name).split())) for name in _CURVES}
        numbers = {name: int(row.pop(name)) for name in ("seed", "epochs", "flops", "parameters")}
        trainings.append(Training(**row, **numbers, **curves))  # type: ignore[arg-type]  # texts are left
    return Curves(tuple(trainings), **json.loads(head))
