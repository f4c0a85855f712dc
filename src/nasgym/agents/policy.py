"""The network of an agent: encoder, memory, and heads for policy, value and, if wanted, the reward to come."""

import ctypes
from typing import NamedTuple

import torch
from torch import Tensor, nn

from nasgym.agents.config import AgentConfig, Encoding
from nasgym.agents.encoder import Encoder
from nasgym.agents.memory import LstmMemory, State, make_memory
from nasgym.agents.native.library import UNITS, library
from nasgym.agents.spec import PolicySpec

MASKED = -1e30
"""Logit of a masked action: its probability is exactly 0, and 0 times its logarithm is 0, too."""


class Inputs(NamedTuple):
    """What a policy is fed with, for any leading dimensions.

    Attributes:
        rows: of the table of whole numbers, int32, shape `(…, len(spec.all_groups))`.
        numbers: float32, shape `(…, spec.n_numbers)`.
        mask: actions that may be taken, bool, shape `(…, n_actions)`.
        begins: where memory is forgotten first, bool, shape `(…)`.
    """

    rows: Tensor
    numbers: Tensor
    mask: Tensor
    begins: Tensor


class Outputs(NamedTuple):
    """What a policy says, for any leading dimensions.

    Attributes:
        logits: of actions, masked ones at `MASKED`, shape `(…, n_actions)`.
        values: expected returns, shape `(…)`.
        rewards: predicted for each action, shape `(…, n_actions)`, or `(…, 0)` without auxiliary head.
    """

    logits: Tensor
    values: Tensor
    rewards: Tensor


class Policy(nn.Module):
    """An agent's network.

    Args:
        spec: what it speaks.
        config: what it is made of.
        seed: of its first weights, for `torch.Generator.manual_seed`.

    Attributes:
        spec: what it speaks.
        config: what it is made of, and was trained with.
        compiled: whether compiled code computes it where there is some; otherwise torch does, the same up to rounding.
    """

    def __init__(self, spec: PolicySpec, config: AgentConfig, seed: int = 0) -> None:
        super().__init__()
        self.spec = spec
        self.config = config
        self.compiled = True
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.memory = make_memory(config.memory)
            self.encoder = Encoder(spec, self.memory.first_bias(), config.encoding)
            self.heads = _heads(self.memory.size, spec.n_actions, auxiliary=config.losses.auxiliary > 0)

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return self.heads.weight.device

    def initial(self, n: int) -> State:
        """Return the memory of `n` environments that have seen nothing."""
        return self.memory.initial(n)

    def step(self, inputs: Inputs, state: State) -> tuple[Outputs, State]:
        """Take one step in `n` environments; return what is said, and the memory after it."""
        features, state = self.memory.step(self.encoder(inputs.rows, inputs.numbers), state, inputs.begins)
        return self._said(features, inputs.mask), state

    def sequence(self, inputs: Inputs, state: State) -> Outputs:
        """Return what as many steps would say, with gradients through all of them; shapes begin with `(T, n)`."""
        features = self.memory.sequence(self.encoder(inputs.rows, inputs.numbers), state, inputs.begins)
        return self._said(features, inputs.mask)

    def code(self) -> ctypes.CDLL | None:
        """Return the compiled code, if it is to be used and can compute this network where its weights are."""
        known = (
            isinstance(self.memory, LstmMemory)
            and self.memory.size % UNITS == 0
            and self.encoder.encoding is Encoding.EMBEDDING
            and self.device.type == "cpu"
            and self.encoder.table.dtype is torch.float32
        )
        return library() if self.compiled and known else None

    def _said(self, features: Tensor, mask: Tensor) -> Outputs:
        said = self.heads(features)
        n = self.spec.n_actions
        values = said[..., n]
        if not self.config.losses.value_shapes_memory:
            values = features.detach() @ self.heads.weight[n] + self.heads.bias[n]
        return Outputs(said[..., :n].masked_fill(~mask, MASKED), values, said[..., n + 1 :])


def _heads(size: int, n_actions: int, *, auxiliary: bool) -> nn.Linear:
    """Return all heads in one product: nearly equal probabilities at first, values and predictions near 0."""
    heads = nn.Linear(size, n_actions + 1 + (n_actions if auxiliary else 0))
    nn.init.orthogonal_(heads.weight[:n_actions], 0.01)
    nn.init.orthogonal_(heads.weight[n_actions:], 1.0 if not auxiliary else 0.1)
    nn.init.zeros_(heads.bias)
    return heads
