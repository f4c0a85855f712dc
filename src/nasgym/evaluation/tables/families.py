"""Task families with hidden variation: the networks of a table on devices that nobody describes.

On plain tasks one good network serves nearly everywhere, so that nothing is left to find out by trying. Here a task is
a data set *and* a device, and what counts is the published accuracy weighed against the time that the device takes:

    utility(network) = clarity · accuracy(network) · (t(fastest) / t(network))^w,   t(network) = overhead + Σ t(layer)
    reward(network) = max(0, 1 + ln utility(network) / ln 100)

with the time of a layer looked up by its kind, as latency-aware searches predict it (FBNet, arXiv 1812.03443); the
product is MnasNet's (arXiv 1807.11626), with the fastest network of the table as target. The clarity of the device's
camera lowers all accuracies alike, so that one low reward may be the network's fault or the task's. The logarithm makes
tasks alike: half the utility costs as much reward on a hard data set as on an easy one. The reward is 1 for a network
that is always right and the fastest, and 0 from a hundredth of that on. No observation shows a device: only rewards
tell of it.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from nasgym.core.errors import TableError
from nasgym.core.randomness import stream
from nasgym.evaluation.tables.container import write_container
from nasgym.evaluation.tables.table import STATES, TABLE, Table

LEAST = 0.01
"""Utility that earns nothing any more."""


@dataclass(frozen=True, slots=True)
class Device:
    """What networks cost on a machine.

    Attributes:
        name: what people call it.
        latencies: time of each kind of layer, in the order of `Table.layout.words`; the unit is of no importance.
        overhead: time of what every network has, in the same unit.
        weight: w, how much time matters; with 0 it does not.
        clarity: factor of all accuracies, in (0, 1].

    Raises:
        TableError: a time or the weight is negative or not finite, nothing takes any time, or a wrong clarity.

    >>> slow_convolutions = Device("camera", latencies=(0.0, 1.0, 9.0), overhead=1.0)
    >>> slow_convolutions.times(np.array([[1, 1], [2, 3]], dtype=np.uint8))
    array([ 1., 11.])
    """

    name: str
    latencies: tuple[float, ...]
    overhead: float = 2.0
    weight: float = 1.0
    clarity: float = 1.0

    def __post_init__(self) -> None:
        numbers = (*self.latencies, self.overhead, self.weight)
        if not all(math.isfinite(number) and number >= 0 for number in numbers):
            raise TableError(f"Device {self.name!r}: times and weight are numbers from 0 on, got {numbers}.")
        if self.overhead == 0:
            raise TableError(f"Device {self.name!r}: an overhead of 0 lets a network take no time; give it more.")
        if not 0 < self.clarity <= 1:
            raise TableError(f"Device {self.name!r}: clarity is a number above 0 and up to 1, got {self.clarity}.")

    @classmethod
    def drawn(
        cls, name: str, n_kinds: int, seed: int, *, spread: float = 10.0, weight: float = 1.0, murk: float = 1.0
    ) -> Self:
        """Return a device whose layers take from 1/spread to `spread`, log-uniformly and independently.

        Args:
            name: decides, with `seed`, what is drawn.
            n_kinds: kinds of layers: `len(table.layout.words)`.
            seed: of the family.
            spread: above 1.
            weight: w.
            murk: from 1 on; clarity is drawn from 1/murk to 1, log-uniformly.
        """
        bound = math.log(spread)
        draws = stream(seed, "device", name)
        latencies = np.exp(draws.uniform(-bound, bound, n_kinds))
        clarity = math.exp(-draws.uniform(0, math.log(murk)))
        return cls(name, tuple(float(latency) for latency in latencies), weight=weight, clarity=clarity)

    @property
    def fingerprint(self) -> str:
        """Identifies everything but the name."""
        text = repr((self.latencies, self.overhead, self.weight, self.clarity))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def times(self, words: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Return the time of each network, shape `(n,)`.

        Args:
            words: as `Table.words`, shape `(n, d)`.
        """
        layers = np.array([0.0, *self.latencies])
        times: NDArray[np.float64] = self.overhead + layers.take(words).sum(axis=1)
        return times


def device_table(table: Table, places: Sequence[tuple[str, Device]], path: str | Path) -> Table:
    """Write a table whose tasks are data sets of `table` on devices, and return it.

    Its accuracies are rewards as above, and its scores for reporting what they would be with the scores in place of
    accuracies; costs, repeats and what is missing or has failed stay as in `table`.

    Args:
        table: of published accuracies.
        places: for each task the name of a task of `table`, and the device.
        path: where the table is written, in place of what is there.

    Raises:
        TableError: no places, two that are equal, an unknown task, a device for another number of kinds of layers, or
            the file cannot be written.
    """
    for _, device in places:
        if len(device.latencies) != len(table.layout.words):
            raise TableError(
                f"Device {device.name!r} has times for {len(device.latencies)} kinds of layers; table "
                f"{table.description.name!r} has {len(table.layout.words)}: {_kinds(table)}."
            )
    sources = [table.tasks.index(table.task(name)) for name, _ in places]
    factors = np.array([_factors(table, device) for _, device in places]).reshape(len(places), len(table))
    tasks = tuple(
        replace(
            table.tasks[number],
            name=f"{name} on {device.name}",
            fingerprint=f"{table.tasks[number].fingerprint}@{device.fingerprint}",
            metric=f"1 + log100 of {table.tasks[number].metric} times relative speed",
        )
        for number, (name, device) in zip(sources, places, strict=True)
    )
    description = replace(
        table.description,
        name=f"{table.description.name} on devices",
        tasks=tasks,
        estimator=f"{table.description.estimator}:devices",
    )
    arrays = {
        **table.layout_arrays,
        "ids": table.ids,
        "states": table.states[sources],
        "accuracies": _rewards(table.accuracies[sources] * factors[:, np.newaxis]),
        "seconds": table.seconds[sources],
        "parameters": table.parameters[sources],
        "flops": table.flops[sources],
        "densities": table.densities[sources],
        "test": _rewards(np.stack([table.test_scores(number) for number in sources]) * factors),
    }
    about = {
        "table": description.to_json(),
        "layout": table.layout.to_json(),
        "states": list(STATES),
        "profile_fingerprint": table.profile.fingerprint,
    }
    write_container(Path(path), TABLE, about, arrays)
    return Table(path)


def _rewards(utilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rewards, in [0, 1], of utilities; NaN where there is none."""
    rewards: NDArray[np.float64] = 1 - np.log(np.maximum(utilities, LEAST)) / np.log(LEAST)
    return rewards


def _factors(table: Table, device: Device) -> NDArray[np.float64]:
    """Return what the accuracies of the networks are multiplied by, shape `(n,)`."""
    times = device.times(table.words)
    factors: NDArray[np.float64] = device.clarity * (times.min() / times) ** device.weight
    return factors


def _kinds(table: Table) -> str:
    return ", ".join(f"{word.operation.token}{word.kernel or ''}" for word in table.layout.words)
