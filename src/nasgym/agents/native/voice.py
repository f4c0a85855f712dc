"""A policy that speaks by compiled code: a whole step in one call."""

import ctypes
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from nasgym.agents.memory import State
from nasgym.agents.native.library import Actor
from nasgym.agents.native.sequence import Weights, check
from nasgym.agents.policy import MASKED, Inputs, Policy


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
        policy: which `code_for` has compiled code for.
        code: the library.
    """

    def __init__(self, policy: Policy, code: ctypes.CDLL) -> None:
        self._code = code
        self._n_actions = policy.spec.n_actions
        heads = (policy.heads.weight.detach(), policy.heads.bias.detach())
        weights = Weights(*(part.detach() for part in policy.recurrent_weights()))
        network = weights.network(len(policy.spec.all_groups))
        panels = torch.empty(code.nasgym_panel_floats(ctypes.byref(network)))
        code.nasgym_pack(ctypes.byref(network), panels.data_ptr())
        self._weights = (weights, panels, heads)
        self._n_said = len(heads[1])
        pointers = (part.data_ptr() for part in (panels, *heads))
        self._actor = Actor(network, self._n_said, self._n_actions, *pointers, MASKED, None, None)
        self._space, self._room = torch.empty(0), 0

    def __call__(self, inputs: Inputs, state: State) -> tuple[Said, State]:
        """Take one step in `n` environments; `state` is written to.

        Raises:
            SpecError: a whole number is not one of those that its group has.
        """
        rows, numbers, mask, begins = inputs
        hidden, cell = state
        n, units = hidden.shape
        if n > self._room:
            self._space, self._room = torch.empty(5 * units * n), n
            self._actor.inputs = self._space.data_ptr()
            self._actor.kept = self._space[4 * units * n :].data_ptr()
        said = torch.empty(n, self._n_said)
        parts = (rows, numbers, begins, mask, hidden, cell, said)
        check(self._code.nasgym_say(ctypes.byref(self._actor), n, *[part.data_ptr() for part in parts]))
        numbers_said: NDArray[np.float32] = said.numpy()
        return Said(numbers_said[:, : self._n_actions], numbers_said[:, self._n_actions]), state
