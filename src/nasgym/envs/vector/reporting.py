"""What a vector environment says of a step in its infos: the same as the single form, most of it when it is read."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasgym.architectures import Architecture, architecture_id, format_architecture
from nasgym.envs.vector.answers import Answer
from nasgym.envs.vector.episodes import Episodes, Step
from nasgym.envs.vector.infos import Deferred, Infos
from nasgym.envs.vector.rows import Flags
from nasgym.envs.vector.walk import ILLEGAL, INVALID, STOPS, Snapshot


def tell_moment(
    infos: Infos, episodes: Episodes, networks: Snapshot, mask: NDArray[np.int8] | Deferred, which: Flags
) -> None:
    """Add what is always told of the environments `which`: mask, step, validity, rows, pointers."""
    stops = episodes.stops
    infos.add("action_mask", which.copy, mask)
    infos.add("step", which.copy, episodes.steps.copy())
    infos.add("valid", which.copy, (stops != ILLEGAL) & (stops != INVALID))
    infos.add("nsc", which.copy, Deferred(networks.nsc))
    infos.add("pointers", which.copy, Deferred(networks.pointers.copy))


def tell_step(infos: Infos, episodes: Episodes, step: Step, networks: Snapshot, which: Flags) -> None:
    """Add what is told where `step` evaluated one of the networks that it led to, and where it ended an episode."""
    evaluated = step.evaluated & which
    if evaluated.any():
        told = _Told(episodes, step, evaluated, networks)
        infos.add("architecture", evaluated.copy, Deferred(told.texts))
        infos.add("architecture_id", evaluated.copy, Deferred(told.ids))
        infos.add("accuracy", evaluated.copy, Deferred(told.accuracies))
        infos.add("from_store", evaluated.copy, Deferred(told.from_store))
        infos.add("failure", told.failed, Deferred(told.failures))
    ended = (step.stops != 0) & which
    if ended.any():
        infos.add("stop", ended.copy, Deferred(lambda: _stops(step.stops, ended)))


class _Told:
    """What is told of the networks that a step evaluated, computed when it is asked for."""

    def __init__(self, episodes: Episodes, step: Step, evaluated: Flags, networks: Snapshot) -> None:
        self._episodes = episodes
        self._step = step
        self._evaluated = evaluated
        self._places = np.flatnonzero(evaluated)
        self._networks = networks
        self._leaves = episodes.leaves

    @cached_property
    def _architectures(self) -> list[Architecture]:
        return [self._networks.architecture(place) for place in self._places.tolist()]

    @cached_property
    def _answers(self) -> Sequence[Answer]:
        return self._episodes.answers(self._step, self._places)

    def texts(self) -> NDArray[np.object_]:
        """Return the architectures as text, `None` where there is none."""
        return self._spread([format_architecture(architecture) for architecture in self._architectures])

    def ids(self) -> NDArray[np.object_]:
        """Return the canonical ids, `None` where there is none."""
        return self._spread([architecture_id(architecture, self._leaves) for architecture in self._architectures])

    def accuracies(self) -> NDArray[np.float64]:
        """Return the validation accuracies, 0 where a network failed, and elsewhere."""
        if self._episodes.rewards_accuracy:
            return np.where(self._evaluated, self._step.values, 0.0)
        accuracies = np.zeros(len(self._evaluated))
        accuracies[self._places] = [answer.accuracy for answer in self._answers]
        return accuracies

    def from_store(self) -> Flags:
        """Return whether nothing was trained."""
        known = np.zeros(len(self._evaluated), dtype=np.bool_)
        known[self._places] = [answer.from_store for answer in self._answers]
        return known

    def failures(self) -> NDArray[np.object_]:
        """Return why networks failed, `None` where they did not."""
        return self._spread([answer.failure for answer in self._answers])

    def failed(self) -> Flags:
        """Return which networks failed."""
        failed = np.zeros(len(self._evaluated), dtype=np.bool_)
        failed[self._places] = [answer.failure is not None for answer in self._answers]
        return failed

    def _spread(self, values: Sequence[Any]) -> NDArray[np.object_]:
        spread = np.full(len(self._evaluated), None, dtype=object)
        spread[self._places] = values
        return spread


def _stops(codes: NDArray[np.int8], ended: Flags) -> NDArray[np.object_]:
    """Return why episodes ended, `None` where they did not."""
    stops = np.full(len(codes), None, dtype=object)
    for place in np.flatnonzero(ended).tolist():
        stop = STOPS[codes[place]]
        stops[place] = None if stop is None else stop.value
    return stops
