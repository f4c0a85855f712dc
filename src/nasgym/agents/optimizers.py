"""Optimizers of torch, and what they remember as tensors by name."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from nasgym.agents.config import Optimizer
from nasgym.agents.policy import Policy

_PREFIX = "optimizer."


class Remembered(NamedTuple):
    """What an optimizer remembers of the gradients of one weight tensor.

    Attributes:
        steps: taken.
        mean: moving average of gradients, as Adam has it; `None` without.
        square: moving average of their squares; `None` of a tensor without elements.
    """

    steps: int
    mean: Tensor | None
    square: Tensor | None


def make_optimizer(policy: Policy, config: Optimizer) -> torch.optim.Optimizer:
    """Return the optimizer that `config` describes, for the weights of `policy`; it remembers zeros."""
    rate = config.learning_rate.at(0.0)
    weights = [weight for weight in policy.parameters() if weight.numel()]
    optimizer: torch.optim.Optimizer
    if config.kind == "adam":
        optimizer = torch.optim.Adam(weights, rate, betas=(0.9, config.decay), eps=config.epsilon, fused=True)
    else:
        optimizer = torch.optim.RMSprop(weights, rate, alpha=config.decay, eps=config.epsilon)
    for weight in weights:
        names = ("exp_avg", "exp_avg_sq") if config.kind == "adam" else ("square_avg",)
        zeros = {name: torch.zeros_like(weight) for name in names}
        optimizer.state[weight] = {"step": torch.zeros((), device=weight.device), **zeros}
    return optimizer


def remembered(optimizer: torch.optim.Optimizer, weight: Tensor) -> Remembered:
    """Return what an optimizer of `make_optimizer` remembers of a weight tensor; its own tensors, not copies."""
    state = optimizer.state.get(weight)
    if state is None:
        return Remembered(0, None, None)
    return Remembered(int(state["step"]), state.get("exp_avg"), state.get("exp_avg_sq", state.get("square_avg")))


def step_on(optimizer: torch.optim.Optimizer, steps: int) -> None:
    """Let an optimizer know that so many steps were taken."""
    for state in optimizer.state.values():
        state["step"] += steps


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
