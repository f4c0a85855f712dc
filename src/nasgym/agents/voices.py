"""Policies that speak step by step, without gradients: by compiled code where there is some, else by torch."""

from dataclasses import dataclass
from typing import Protocol

import torch

from nasgym.agents.memory import State
from nasgym.agents.native.voice import CompiledVoice, Said
from nasgym.agents.policy import Inputs, Policy


class Voice(Protocol):
    """Says what a policy says, while its weights stay as they are."""

    def __call__(self, inputs: Inputs, state: State) -> tuple[Said, State]:
        """Take one step in `n` environments.

        Args:
            inputs: in main memory, contiguous.
            state: the memory before; its space may be used again.

        Returns:
            what is said, and the memory after.
        """


@dataclass(frozen=True)
class TorchVoice:
    """Any policy, wherever its weights are.

    Attributes:
        policy: who speaks.
    """

    policy: Policy

    def __call__(self, inputs: Inputs, state: State) -> tuple[Said, State]:
        """Take one step in `n` environments."""
        with torch.inference_mode():
            if self.policy.device.type != "cpu":
                inputs = Inputs(*(part.to(self.policy.device) for part in inputs))
            outputs, state = self.policy.step(inputs, state)
            return Said(outputs.logits.cpu().numpy(), outputs.values.cpu().numpy()), state


def voice_of(policy: Policy) -> Voice:
    """Return what speaks for `policy` until its weights change."""
    code = policy.code()
    return TorchVoice(policy) if code is None else CompiledVoice(policy, code)
