"""Optimizers of torch, and what they remember as tensors by name."""

from collections.abc import Mapping

import torch
from torch import Tensor

from nasgym.agents.config import Optimizer
from nasgym.agents.policy import Policy

_PREFIX = "optimizer."


def make_optimizer(policy: Policy, config: Optimizer) -> torch.optim.Optimizer:
    """Return the optimizer that `config` describes, for the weights of `policy`."""
    rate = config.learning_rate.at(0.0)
    weights = [weight for weight in policy.parameters() if weight.numel()]
    if config.kind == "adam":
        return torch.optim.Adam(weights, rate, betas=(0.9, config.decay), eps=config.epsilon, fused=True)
    return torch.optim.RMSprop(weights, rate, alpha=config.decay, eps=config.epsilon)


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return what an optimizer remembers, by names that `restore_optimizer` reads."""
    state = optimizer.state_dict()["state"]
    return {
        f"{_PREFIX}{weight}.{name}": torch.as_tensor(value)
        for weight, remembered in state.items()
        for name, value in remembered.items()
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Let an optimizer remember what is among `tensors`."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith(_PREFIX):
            weight, what = name.removeprefix(_PREFIX).split(".", 1)
            state.setdefault(int(weight), {})[what] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
