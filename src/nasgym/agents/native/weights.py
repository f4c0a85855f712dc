"""The weights of a policy, as the compiled code has them."""

from typing import NamedTuple

from torch import Tensor

from nasgym.agents.native.library import Network
from nasgym.agents.policy import MASKED, Policy


class Weights(NamedTuple):
    """Of encoder, LSTM and heads.

    Attributes:
        table: shape `(rows, 4h)`.
        recurrent: shape `(h, 4h)`.
        matrix: shape `(numbers + 1, 4h)`.
        heads: shape `(said, h)`.
        biases: shape `(said,)`.
    """

    table: Tensor
    recurrent: Tensor
    matrix: Tensor
    heads: Tensor
    biases: Tensor


def weights_of(policy: Policy) -> Weights:
    """Return the weights of a policy that `Policy.code` has compiled code for."""
    encoder, heads = policy.encoder, policy.heads
    return Weights(encoder.table, policy.memory.get_parameter("recurrent"), encoder.numbers, heads.weight, heads.bias)


def network_of(policy: Policy) -> Network:
    """Return where the weights of a policy lie."""
    table, recurrent, matrix, heads, biases = weights_of(policy)
    sizes = (len(recurrent), len(policy.spec.all_groups), len(matrix) - 1, len(table), len(heads))
    places = (part.data_ptr() for part in (table, matrix, recurrent, heads, biases))
    return Network(*sizes, policy.spec.n_actions, *places, MASKED)
