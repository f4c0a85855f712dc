"""Deep Q-learning with dueling streams, which Stable-Baselines3 does not have: a policy class for its `DQN`."""

from typing import Any

from stable_baselines3.common.torch_layers import create_mlp
from stable_baselines3.dqn.policies import DQNPolicy, QNetwork
from torch import Tensor, nn


class DuelingNetwork(nn.Module):
    """Q(s, a) = V(s) + A(s, a) − mean of A(s, ·), equation 9 of 1511.06581; each stream has a hidden layer of its own.

    Args:
        n_inputs: observed numbers.
        n_actions: number of actions.
        hidden: units of the common tanh layers.
        units: of the hidden layer of each stream, ReLU.
    """

    def __init__(self, n_inputs: int, n_actions: int, hidden: list[int], units: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*create_mlp(n_inputs, -1, hidden, nn.Tanh))
        width = hidden[-1] if hidden else n_inputs
        self.advantages = nn.Sequential(nn.Linear(width, units), nn.ReLU(), nn.Linear(units, n_actions))
        self.value = nn.Sequential(nn.Linear(width, units), nn.ReLU(), nn.Linear(units, 1))

    def forward(self, features: Tensor) -> Tensor:
        """Return Q by action, shape `(n, n_actions)`."""
        common = self.body(features)
        advantages = self.advantages(common)
        values: Tensor = self.value(common) + advantages - advantages.mean(dim=1, keepdim=True)
        return values


class DuelingPolicy(DQNPolicy):
    """The policy of a `DQN` with dueling streams.

    Args:
        *args: as of `DQNPolicy`.
        dueling: units of the hidden layer of each stream.
        **kwargs: as of `DQNPolicy`.
    """

    def __init__(self, *args: Any, dueling: int, **kwargs: Any) -> None:
        self._units = dueling
        super().__init__(*args, **kwargs)

    def make_q_net(self) -> QNetwork:
        """Return a network with streams in place of its last layer."""
        network = super().make_q_net()
        n_actions = int(network.action_space.n)
        streams = DuelingNetwork(network.features_dim, n_actions, network.net_arch, self._units)
        network.q_net = nn.Sequential(streams)
        return network.to(self.device)
