"""A policy that speaks by compiled code: a whole step in one call."""

import ctypes
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from nasgym.agents.memory import State
from nasgym.agents.native.library import UNITS, check_rows
from nasgym.agents.native.weights import network_of
from nasgym.agents.policy import Inputs, Policy


class Said(NamedTuple):
    """What a policy says in a step.

    Attributes:
        logits: of actions, masked ones at `MASKED`, shape `(n, n_actions)`.
        values: expected returns, shape `(n,)`.
    """

    logits: NDArray[np.float32]
    values: NDArray[np.float32]


class CompiledVoice:
    """Says what a policy says, while its weights stay as they are; see `nasgym.agents.voices.Voice`.

    Args:
        policy: which `Policy.code` has compiled code for.
        code: the library.
    """

    def __init__(self, policy: Policy, code: ctypes.CDLL) -> None:
        self._code, self._policy = code, policy
        self._n_actions = policy.spec.n_actions
        self._network = network_of(policy)
        self._panels = torch.empty(code.nasgym_panel_floats(ctypes.byref(self._network)))
        code.nasgym_pack(ctypes.byref(self._network), self._panels.data_ptr())
        self._across = -(-self._network.said // UNITS) * UNITS
        self._space = torch.empty(0)

    def __call__(self, inputs: Inputs, state: State) -> tuple[Said, State]:
        """Take one step in `n` environments; `state` is written to.

        Raises:
            SpecError: a whole number is not one of those that its group has.
        """
        rows, numbers, mask, begins = inputs
        n = len(begins)
        network = ctypes.byref(self._network)
        floats = self._code.nasgym_say_floats(network, n)
        if floats > len(self._space):
            self._space = torch.empty(floats)
        said = torch.empty(n, self._across)
        parts = [part.data_ptr() for part in (rows, numbers, begins, mask, *state, said)]
        check_rows(self._code.nasgym_say(network, self._panels.data_ptr(), self._space.data_ptr(), n, *parts))
        numbers_said: NDArray[np.float32] = said.numpy()
        return Said(numbers_said[:, : self._n_actions], numbers_said[:, self._n_actions]), state
