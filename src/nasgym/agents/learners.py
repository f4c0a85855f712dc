"""Policies that learn from what they have seen: by compiled code where there is some, else by torch."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nasgym.agents.config import AgentConfig
from nasgym.agents.losses import Losses, Sample, losses_of
from nasgym.agents.native.learner import CompiledLearner
from nasgym.agents.policy import Policy
from nasgym.agents.update import Learned


class Learner(Protocol):
    """Changes the weights of a policy."""

    def learn(
        self, sample: Sample, minibatches: Iterable[NDArray[np.int64]], rate: float, entropy_weight: float
    ) -> Learned:
        """Follow the gradients of the losses, minibatch by minibatch.

        Args:
            sample: where the policy is.
            minibatches: numbers of environments, one array for each step along the gradient.
            rate: of learning.
            entropy_weight: in the losses.

        Returns:
            what it came to: means over the minibatches.
        """


@dataclass(frozen=True)
class TorchLearner:
    """Any policy, wherever its weights are.

    Attributes:
        policy: who learns.
        settings: of the agent, as it is trained.
        optimizer: of the policy.
    """

    policy: Policy
    settings: AgentConfig
    optimizer: torch.optim.Optimizer

    def learn(
        self, sample: Sample, minibatches: Iterable[NDArray[np.int64]], rate: float, entropy_weight: float
    ) -> Learned:
        """Follow the gradients of the losses, minibatch by minibatch."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        losses: list[Losses] = []
        norms = []
        for places in minibatches:
            part = sample.of(torch.from_numpy(places).to(self.policy.device))
            losses.append(losses_of(self.policy.sequence(part.inputs, part.state), part, self.settings, entropy_weight))
            self.optimizer.zero_grad()
            losses[-1].total.backward()  # type: ignore[no-untyped-call]  # torch's own
            norms.append(nn.utils.clip_grad_norm_(self.policy.parameters(), self.settings.optimizer.gradient_norm))
            self.optimizer.step()
        means = Losses(*(torch.stack(values).detach().mean() for values in zip(*losses, strict=True)))
        return Learned.of(means, torch.stack(norms).mean().item(), rate, entropy_weight)


def learner_of(policy: Policy, settings: AgentConfig, optimizer: torch.optim.Optimizer) -> Learner:
    """Return what learns for `policy`.

    Args:
        policy: who learns.
        settings: of the agent, as it is trained.
        optimizer: of the policy, from `make_optimizer`.
    """
    code = policy.code()
    if code is None:
        return TorchLearner(policy, settings, optimizer)
    return CompiledLearner(policy, settings, optimizer, code)
