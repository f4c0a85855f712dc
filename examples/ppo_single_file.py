"""Masked PPO on a table, in one file, on thousands of environments at once; in the manner of CleanRL.

    python examples/ppo_single_file.py [--table FILE] [--steps 400000] [--seed 0]

Without a table of your own (`nasgym table build`), one is made in which convolutions are good and poolings are bad.
Prints the mean return of random legal actions and, while it learns, that of the policy. Under a minute on one core.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import gymnasium
import numpy as np
import torch
from torch import nn
from torch.distributions import Categorical

import nasgym.envs  # noqa: F401 - makes the ids known
from nasgym.architectures import Architecture, Layer, Operation
from nasgym.architectures.spaces import load_space
from nasgym.evaluation import Completed
from nasgym.evaluation.tables import Table, TableBuilder, TableDescription, TableTask, TabularBenchmark
from nasgym.tasks import Fidelity

NUM_ENVS = 256
HORIZON = 16
EPOCHS = 4
MINIBATCHES = 4
LEARNING_RATE = 2.5e-3
GAMMA, LAMBDA = 0.99, 0.95
CLIP, ENTROPY, VALUE = 0.2, 0.01, 0.5
MAX_GRADIENT = 0.5
DEPTH = 4


def made_up_table(folder: Path) -> Table:
    """Return a table of all chains of up to `DEPTH` layers, with accuracies that follow from their layers."""
    space = load_space("chain", max_layers=DEPTH)
    task = TableTask("made up", "made-up", (32, 32, 3), 10, Fidelity(epochs=1))
    builder = TableBuilder(TableDescription("made up", (task,), "default", "examples/ppo_single_file.py"))
    worth = {Operation.CONVOLUTION: 0.04, Operation.MAX_POOLING: -0.04, Operation.AVERAGE_POOLING: -0.02}
    for depth in range(DEPTH + 1):
        for words in product(space.actions[:-1], repeat=depth):
            layers = tuple(Layer(word.operation, word.kernel, (place,)) for place, word in enumerate(words))
            accuracy = 0.3 + sum(worth[word.operation] * word.kernel for word in words)
            builder.add(Architecture(layers), task.fingerprint, 0, Completed(min(1.0, max(0.0, accuracy))))
    return builder.write(folder / "made-up.nasgym-table")


class Agent(nn.Module):
    """Policy and value from one hidden layer; masked actions have no probability."""

    def __init__(self, n_inputs: int, n_actions: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(n_inputs, 64), nn.Tanh())
        self.policy = nn.Linear(64, n_actions)
        self.value = nn.Linear(64, 1)

    def forward(self, observations: torch.Tensor, masks: torch.Tensor) -> tuple[Categorical, torch.Tensor]:
        """Return the distribution over actions, and the values, shape `(n,)`."""
        hidden = self.body(observations)
        logits = self.policy(hidden).masked_fill(masks == 0, -1e9)
        return Categorical(logits=logits), self.value(hidden).squeeze(-1)


def usable(mask: np.ndarray) -> torch.Tensor:
    """Return the mask; after an end, where every action is masked, all are as good, since none is carried out."""
    return torch.from_numpy(np.where(mask.any(axis=1, keepdims=True), mask, 1))


def advantages_of(rewards: torch.Tensor, values: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
    """Return generalised advantage estimates, shape `(HORIZON, NUM_ENVS)`; `values` has one row more."""
    advantages = torch.zeros_like(rewards)
    last = torch.zeros(NUM_ENVS)
    for step in reversed(range(HORIZON)):
        goes_on = 1 - ends[step]
        delta = rewards[step] + GAMMA * values[step + 1] * goes_on - values[step]
        advantages[step] = last = delta + GAMMA * LAMBDA * goes_on * last
    return advantages


def random_return(envs: gymnasium.vector.VectorEnv, generator: np.random.Generator) -> float:
    """Return the mean return of random legal actions."""
    _, infos = envs.reset()
    total, ended = 0.0, 0
    for _ in range(50):
        mask = infos["action_mask"]
        actions = np.argmax(mask * (1 + generator.random(mask.shape)), axis=1)
        _, rewards, terminations, truncations, infos = envs.step(actions)
        total += float(rewards.sum())
        ended += int((terminations | truncations).sum())
    return total / ended


def train(envs: gymnasium.vector.VectorEnv, total_steps: int, seed: int) -> Iterator[tuple[int, float]]:
    """Train an agent; yield, after each update, the steps so far and the mean return of the episodes that ended."""
    torch.manual_seed(seed)
    length = envs.single_observation_space.shape[0]
    n_actions = int(envs.single_action_space.n)
    agent = Agent(length, n_actions)
    optimizer = torch.optim.Adam(agent.parameters(), lr=LEARNING_RATE, eps=1e-5)

    observation, infos = envs.reset(seed=seed)
    observation, mask = torch.from_numpy(observation), usable(infos["action_mask"])
    observations = torch.zeros(HORIZON, NUM_ENVS, length)
    masks = torch.zeros(HORIZON, NUM_ENVS, n_actions, dtype=torch.int8)
    actions = torch.zeros(HORIZON, NUM_ENVS, dtype=torch.int64)
    log_probabilities, rewards, ends = (torch.zeros(HORIZON, NUM_ENVS) for _ in range(3))
    values = torch.zeros(HORIZON + 1, NUM_ENVS)

    for update in range(total_steps // (HORIZON * NUM_ENVS)):
        for step in range(HORIZON):
            observations[step], masks[step] = observation, mask
            with torch.no_grad():
                distribution, values[step] = agent(observation, mask)
                actions[step] = distribution.sample()
                log_probabilities[step] = distribution.log_prob(actions[step])
            # With autoreset in the same step, what comes back is already the next episode's first observation.
            following, reward, terminations, truncations, infos = envs.step(actions[step].numpy())
            rewards[step] = torch.from_numpy(reward)
            # In a chain the last step places the last layer, so that episodes terminate and nothing is bootstrapped.
            ends[step] = torch.from_numpy(terminations | truncations)
            observation, mask = torch.from_numpy(following), usable(infos["action_mask"])
        with torch.no_grad():
            _, values[HORIZON] = agent(observation, mask)
        advantages = advantages_of(rewards, values, ends)
        returns = advantages + values[:HORIZON]

        flat = [
            batch.reshape(HORIZON * NUM_ENVS, *batch.shape[2:])
            for batch in (observations, masks, actions, log_probabilities, advantages, returns)
        ]
        for _ in range(EPOCHS):
            for chosen in torch.randperm(HORIZON * NUM_ENVS).chunk(MINIBATCHES):
                seen, allowed, taken, old, advantage, target = (batch[chosen] for batch in flat)
                distribution, value = agent(seen, allowed)
                ratio = (distribution.log_prob(taken) - old).exp()
                advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
                policy_loss = -torch.min(advantage * ratio, advantage * ratio.clamp(1 - CLIP, 1 + CLIP)).mean()
                value_loss = 0.5 * (value - target).square().mean()
                loss = policy_loss + VALUE * value_loss - ENTROPY * distribution.entropy().mean()
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(agent.parameters(), MAX_GRADIENT)
                optimizer.step()
        yield (update + 1) * HORIZON * NUM_ENVS, float(rewards.sum() / ends.sum().clamp(min=1))


def main() -> None:
    """Train, and print how it goes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", type=Path, help="a table of chains; one is made up unless given")
    parser.add_argument("--steps", type=int, default=400_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        table = Table(given.table) if given.table else made_up_table(Path(folder))
        envs = gymnasium.make_vec(
            "nasgym/Chain-v1",
            num_envs=NUM_ENVS,
            vectorization_mode="vector_entry_point",
            autoreset_mode="SameStep",
            task=table.tasks[0].task,
            estimator=TabularBenchmark(table),
            max_layers=None if given.table else DEPTH,
            reward_timing="terminal",
        )
        print(f"random legal actions: {random_return(envs, np.random.default_rng(given.seed)):.3f}")
        began = time.perf_counter()
        for number, (steps, mean_return) in enumerate(train(envs, given.steps, given.seed)):
            if number % 10 == 9:
                rate = steps / (time.perf_counter() - began)
                print(f"{steps:>8,} steps: return {mean_return:.3f}, {rate:,.0f} steps/s", flush=True)
        envs.close()


if __name__ == "__main__":
    main()
