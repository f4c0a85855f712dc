"""Steps a second of environment, policy and update together: our RL² against sb3-contrib's RecurrentPPO.

    python -m benchmarks.rl_train nasbench201.csv.xz [--json FILE] [--quick] [--rates-only]

The same meta-episode environment on both sides (NAS-Bench-201 on its three data sets, 10 cells a meta-episode), 64
environments, an LSTM of 128 units shared by policy and value, 60 steps of each environment an update, 4 epochs and 1,
the same batches, learning rates, weights of losses, and first weights in distribution; as with RecurrentPPO's shared
LSTM, the gradient of the values stays in their head. RecurrentPPO observes one-hot floats, which is all that it can
read. Both are allowed two threads and run with the number at which they are faster. They take turns, so that whatever
else the machine does slows both alike; each figure is the median over turns. Then both learn with several seeds, and
their mean returns over the training are compared (Welch's 95 % interval). Tasks are drawn anew for each seed of either
side, since they decide more of a return than what is learned. About eight minutes.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium.vector import VectorEnv
from sb3_contrib import RecurrentPPO
from stable_baselines3.common.callbacks import BaseCallback
from torch import nn

from benchmarks.cross_check import Agreement, Rewards
from benchmarks.reporting import Figure, Goal, arguments, publish
from nasgym.agents import PolicySpec, Trainer, named_agent
from nasgym.agents.bridges.sb3_environments import Sb3Environments
from nasgym.envs import MetaEpisodes
from nasgym.envs.vector import make_vector_env
from nasgym.evaluation.tables import Table, TabularBenchmark
from nasgym.evaluation.tables.published import import_table

N_ENVS, EPISODES, SLOTS, UNITS = 64, 10, 6, 128
ROLLOUT = EPISODES * SLOTS
MINIBATCHES = 4
N_SIGNALS = 4
"""Numbers observed beside the slots of the cell and the previous action."""
LEARNING_RATE = 1e-3
GOALS = {4: Goal("ratio", "at least", 10), 1: Goal("ratio", "at least", 4)}
RATE_GOAL = Goal("value", "at least", 50_000)
"""At one epoch."""


@dataclass(frozen=True)
class Bench:
    """How much is measured.

    Attributes:
        table: what is played.
        turns: of each side and setting.
        updates: of our side in a turn.
        seeds: of the learning curves.
        steps: of each training.
    """

    table: Table
    turns: int = 5
    updates: int = 4
    seeds: int = 20
    steps: int = 60_000


def environments(table: Table, observation: str) -> VectorEnv[Any, Any, Any]:
    """Return meta-episodes on the tasks of a table."""
    tasks = tuple(task.task for task in table.tasks)
    return make_vector_env(
        N_ENVS,
        space="cell201",
        task=tasks[0],
        estimator=TabularBenchmark(table),
        reward_timing="terminal",
        observation=observation,
        autoreset_mode="SameStep",
        meta=MetaEpisodes(EPISODES, tasks),
    )


def our_trainer(table: Table, epochs: int, seed: int, steps: int) -> Trainer:
    """Return our side."""
    envs = environments(table, "compact")
    config = named_agent(
        "rl2",
        {
            "memory": {"size": UNITS},
            "algorithm": {"epochs": epochs, "minibatches": MINIBATCHES},
            "losses": {"value_shapes_memory": False},
            "optimizer": {"learning_rate": LEARNING_RATE},
            "rollout": {"steps": ROLLOUT},
        },
    )
    return Trainer(config, envs, spec=PolicySpec.of(envs, space="cell201"), seed=seed, total_steps=steps)


def their_model(table: Table, epochs: int, seed: int) -> tuple[RecurrentPPO, Sb3Environments]:
    """Return the other side."""
    envs = Sb3Environments(environments(table, "one-hot"), seed * N_ENVS)  # environment i begins with this + i
    network = {
        "lstm_hidden_size": UNITS,
        "shared_lstm": True,
        "enable_critic_lstm": False,
        "net_arch": [],
        "optimizer_kwargs": {"eps": 1e-5},
    }
    model = RecurrentPPO(
        "MlpLstmPolicy",
        envs,
        n_steps=ROLLOUT,
        batch_size=N_ENVS * ROLLOUT // MINIBATCHES,
        n_epochs=epochs,
        learning_rate=LEARNING_RATE,
        gamma=0.99,
        gae_lambda=0.95,
        ent_coef=0.01,
        vf_coef=0.5,
        max_grad_norm=0.5,
        policy_kwargs=network,
        seed=seed,
        device="cpu",
    )
    begin_as_ours(model)
    return model, envs


def begin_as_ours(model: RecurrentPPO) -> None:
    """Draw the first weights of the LSTM as ours are drawn; those of the heads and between units are so already."""
    lstm = model.policy.lstm_actor
    bound = (SLOTS + 1 + N_SIGNALS) ** -0.5
    nn.init.uniform_(lstm.weight_ih_l0, -bound, bound)
    for bias in (lstm.bias_ih_l0, lstm.bias_hh_l0):
        nn.init.zeros_(bias)
    with torch.no_grad():
        lstm.bias_ih_l0[UNITS : 2 * UNITS] = 1.0  # of the forget gates


class Timed(BaseCallback):
    """Notes when rollouts begin: between two of them lie a rollout and what is learned from it."""

    def __init__(self) -> None:
        super().__init__()
        self.moments: list[float] = []

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        self.moments.append(time.perf_counter())


def our_rate(trainer: Trainer, updates: int) -> float:
    """Return the steps a second of some updates."""
    began, before = time.perf_counter(), trainer.steps
    for _ in range(updates):
        trainer.update()
    return (trainer.steps - before) / (time.perf_counter() - began)


def their_rate(model: RecurrentPPO) -> float:
    """Return the steps a second of one update."""
    timed = Timed()
    began = time.perf_counter()
    model.learn(N_ENVS * ROLLOUT, callback=timed, reset_num_timesteps=False)
    return N_ENVS * ROLLOUT / (time.perf_counter() - max(began, timed.moments[0]))


def rates(bench: Bench, epochs: int) -> Iterator[Figure]:
    """Yield the rates of both sides at their best numbers of threads."""
    trainer = our_trainer(bench.table, epochs, 0, bench.steps)
    model, _ = their_model(bench.table, epochs, 0)
    sides: dict[str, Callable[[], float]] = {
        "ours": lambda: our_rate(trainer, bench.updates),
        "theirs": lambda: their_rate(model),
    }
    measured: dict[tuple[str, int], list[float]] = {(side, threads): [] for side in sides for threads in (1, 2)}
    for turn in range(bench.turns + 1):
        for (side, threads), found in measured.items():
            torch.set_num_threads(threads)
            rate = sides[side]()
            if turn:  # the first warms up
                found.append(rate)
    middle = {key: statistics.median(found) for key, found in measured.items()}
    best = {side: max((1, 2), key=lambda threads: middle[side, threads]) for side in sides}
    ours, theirs = (middle[side, best[side]] for side in sides)
    what = f"{epochs} epoch{'s' if epochs > 1 else ''}"
    yield Figure(
        f"{what}: RL² ({best['ours']} threads) over RecurrentPPO ({best['theirs']})",
        ours,
        "steps/s",
        theirs,
        GOALS[epochs],
    )
    for (side, threads), rate in middle.items():
        yield Figure(f"{what}: {side}, {threads} thread{'s' if threads > 1 else ''}", rate, "steps/s")
    if epochs == 1:
        yield Figure("1 epoch: RL²", ours, "steps/s", goal=RATE_GOAL)


def learning(bench: Bench, epochs: int) -> Iterator[Figure]:
    """Yield the mean returns over the training of both sides, and whether they agree."""
    torch.set_num_threads(1)
    ours, theirs = [], []
    for seed in range(bench.seeds):
        trainer = our_trainer(bench.table, epochs, seed, bench.steps)
        returns = []
        while trainer.steps < bench.steps:
            returns.append(trainer.update().mean_return)
        ours.append(np.mean(returns))
        model, envs = their_model(bench.table, epochs, seed)
        rewards = Rewards(envs)
        model.learn(bench.steps, callback=rewards)
        theirs.append(np.mean(rewards.means))
    agreement = Agreement.of(np.array(ours), np.array(theirs))
    what = f"{epochs} epoch{'s' if epochs > 1 else ''}: mean return over training"
    yield Figure(what, float(np.mean(ours)), f"of {EPISODES}", float(np.mean(theirs)))
    yield Figure(f"{what}, difference, lower end", agreement.low, "", goal=Goal("value", "at most", 0.0))
    yield Figure(f"{what}, difference, upper end", agreement.high, "", goal=Goal("value", "at least", 0.0))


def main() -> None:
    """Measure and publish."""
    parser = arguments("rl_train", __doc__)
    parser.add_argument("source", type=Path, help="the CSV file of NAS-Bench-201, see docs/tables.md")
    parser.add_argument("--quick", action="store_true", help="few steps: a test of the benchmark")
    parser.add_argument("--rates-only", action="store_true", help="leave out the learning curves")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        table = import_table("nas-bench-201", given.source, Path(folder) / "cells.table")
        bench = Bench(table, turns=1, updates=1, seeds=2, steps=8_000) if given.quick else Bench(table)
        measured = [figure for epochs in GOALS for figure in rates(bench, epochs)]
        if not given.rates_only:
            measured += [figure for epochs in GOALS for figure in learning(bench, epochs)]
    publish("rl_train", measured, seeds=range(bench.seeds), json_file=given.json)


if __name__ == "__main__":
    main()
