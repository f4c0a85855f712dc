"""What is learned from: a rollout with what its actions are credited with, and the losses that follow."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, assert_never

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nasgym.agents.advantages import advantages, following_values
from nasgym.agents.config import A2C, AgentConfig, Ppo, Reinforce
from nasgym.agents.memory import State
from nasgym.agents.policy import Inputs, Outputs
from nasgym.agents.rollout import Batch
from nasgym.agents.spec import PolicySpec


@dataclass(frozen=True)
class Sample:
    """What is learned from; each tensor begins with `(T, n)`.

    Attributes:
        inputs: of the policy.
        actions: taken.
        log_probabilities: of them, when they were taken.
        advantages: of them.
        targets: what values ought to have been.
        rewards: for the actions.
        weights: 1 where something is learned, else 0.
        state: memory before the first step; each tensor begins with `n`.
    """

    inputs: Inputs
    actions: Tensor
    log_probabilities: Tensor
    advantages: Tensor
    targets: Tensor
    rewards: Tensor
    weights: Tensor
    state: State

    def of(self, places: Tensor) -> "Sample":
        """Return what some of the environments saw."""
        return self._each(lambda part: part[:, places], lambda part: part[places])

    def to(self, device: torch.device) -> "Sample":
        """Return the same in the memory of a device."""
        return self._each(lambda part: part.to(device), lambda part: part.to(device))

    def _each(self, by_step: Callable[[Tensor], Tensor], by_environment: Callable[[Tensor], Tensor]) -> "Sample":
        """Return what functions make of the tensors that begin with `(T, n)`, and of those that begin with `n`."""
        return Sample(
            Inputs(*map(by_step, self.inputs)),
            by_step(self.actions),
            by_step(self.log_probabilities),
            by_step(self.advantages),
            by_step(self.targets),
            by_step(self.rewards),
            by_step(self.weights),
            tuple(map(by_environment, self.state)),
        )


class Losses(NamedTuple):
    """What is minimised, and what it is made of; tensors of one number, of which only `total` has a gradient.

    Attributes:
        total: what is minimised.
        policy: of the policy alone.
        value: mean squared error of the values.
        entropy: mean entropy of the distributions over actions, in nats.
        auxiliary: mean squared error of the predicted rewards.
        kl: estimate of how far the policy has come since it acted (E[r - 1 - ln r]).
        clipped: share of the actions whose gradient was cut.
    """

    total: Tensor
    policy: Tensor
    value: Tensor
    entropy: Tensor
    auxiliary: Tensor
    kl: Tensor
    clipped: Tensor


def dealt(generator: np.random.Generator, n: int, minibatches: int) -> list[NDArray[np.int64]]:
    """Return the numbers of `n` environments, dealt at random into minibatches of equally many, as far as possible."""
    if minibatches == 1 or n == 1:
        return [np.arange(n)]
    return np.array_split(generator.permutation(n), min(minibatches, n))


def sample_of(batch: Batch, spec: PolicySpec, config: AgentConfig, baseline: float | None) -> tuple[Sample, float]:
    """Return what is learned from a rollout, and the mean return of its steps.

    Args:
        batch: the rollout.
        spec: what is observed.
        config: of the agent, as it is trained.
        baseline: of REINFORCE, from earlier rollouts; its own mean return if `None`.
    """
    cut = batch.terminated | batch.truncated
    if config.defects.returns_cut_at_episodes:
        cut = cut | batch.episode_ended
    weights = np.ones_like(batch.rewards)
    discount = config.returns.discount
    if isinstance(config.algorithm, Reinforce):
        nothing = np.zeros_like(batch.rewards)
        returns = advantages(batch.rewards, nothing, nothing, cut, discount, 1.0)
        weights = np.flip(np.logical_or.accumulate(np.flip(cut, 0), 0), 0).astype(np.float32)
        mean_return = float((returns * weights).sum() / max(1.0, weights.sum()))
        credits = returns - np.float32(mean_return if baseline is None else baseline)
    else:
        terminated = cut & ~batch.truncated
        following = following_values(batch.values, batch.final_values, terminated, batch.truncated)
        values = batch.values[:-1]
        credits = advantages(batch.rewards, values, following, cut, discount, config.returns.gae_lambda)
        returns = credits + values
        mean_return = float(returns.mean())
    actions = torch.from_numpy(batch.actions)
    logits = torch.from_numpy(batch.logits)
    sample = Sample(
        _inputs(batch, spec, config, returns),
        actions,
        logits.log_softmax(-1).gather(-1, actions.unsqueeze(-1)).squeeze(-1),
        torch.from_numpy(credits),
        torch.from_numpy(returns),
        torch.from_numpy(batch.rewards),
        torch.from_numpy(weights),
        batch.state,
    )
    return sample, mean_return


def _inputs(batch: Batch, spec: PolicySpec, config: AgentConfig, returns: NDArray[np.float32]) -> Inputs:
    """Return what the policy is trained on: what it saw, or what a defect makes of it."""
    rows, numbers, mask, begins = batch.seen.at(slice(-1))
    reward, step = spec.column("reward"), spec.column("step")
    if config.defects.return_as_reward and reward is not None:
        numbers = numbers.copy()
        numbers[..., reward] = returns
    if config.defects.shifted_inputs and step is not None:
        numbers = numbers.copy()
        numbers[..., step] += _one_step(numbers[..., step])
    return Inputs(*map(torch.from_numpy, (rows, numbers, mask, begins)))


def _one_step(steps: NDArray[np.float32]) -> np.float32:
    """Return how much the observed step grows in one step: the smallest that is not 0, since it begins with 0."""
    counted = steps[steps > 0]
    return np.float32(counted.min(initial=1.0) if counted.size else 0.0)


def losses_of(outputs: Outputs, sample: Sample, config: AgentConfig, entropy_weight: float) -> Losses:
    """Return the losses of what a policy says of a sample.

    Args:
        outputs: what it says, shapes beginning with `(T, n)`.
        sample: what happened.
        config: of the agent.
        entropy_weight: of the moment.
    """
    log_probabilities = outputs.logits.log_softmax(-1)
    chosen = log_probabilities.gather(-1, sample.actions.unsqueeze(-1)).squeeze(-1)
    total_weight = sample.weights.sum().clamp(min=1.0)

    def mean(values: Tensor) -> Tensor:
        return (values * sample.weights).sum() / total_weight

    credits = sample.advantages
    if config.returns.normalize_advantages:
        centred = credits - mean(credits)
        credits = centred / (mean(centred.square()).sqrt() + 1e-8)
    difference = chosen - sample.log_probabilities
    ratio = difference.exp()
    clipped = torch.zeros(())
    match config.algorithm:
        case A2C() | Reinforce():
            policy = -mean(credits * chosen)
        case Ppo(clip=clip):
            policy = -mean(torch.minimum(credits * ratio, credits * ratio.clamp(1 - clip, 1 + clip)))
            clipped = mean(((ratio - 1).abs() > clip).to(credits.dtype)).detach()
        case _:
            assert_never(config.algorithm)
    entropy = mean(-(log_probabilities.exp() * log_probabilities).sum(-1))
    value = mean((outputs.values - sample.targets).square())
    auxiliary = torch.zeros(())
    total = policy + config.losses.value * value - entropy_weight * entropy
    if config.losses.auxiliary > 0:
        predicted = outputs.rewards.gather(-1, sample.actions.unsqueeze(-1)).squeeze(-1)
        auxiliary = mean((predicted - sample.rewards).square())
        total = total + config.losses.auxiliary * auxiliary
    kl = mean(ratio - 1 - difference).detach()
    return Losses(total, policy.detach(), value.detach(), entropy.detach(), auxiliary.detach(), kl, clipped)
