"""Our A2C and PPO against those of Stable-Baselines3, with everything equal: do they learn alike?

    python -m benchmarks.cross_check nasbench201.csv.xz [--json FILE] [--images FOLDER]

NAS-Bench-201 on CIFAR-10 (12-epoch validation accuracy), one cell an episode and one episode a meta-episode, no memory:
one hidden layer of 128 tanh units for policy and value, the same initial weights in distribution, 64 environments, the
same batches, optimisers and weights of the losses. The figure is the mean reward over the first 60,000 steps (the area
under the learning curve), 10 seeds each; the two agree if the 95 % interval of the difference (Welch) holds 0 and is
narrower than 0.005 to either side. About six minutes on one core.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray
from scipy import stats
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import nn

from benchmarks.reporting import Figure, Goal, arguments, publish
from nasgym.agents import PolicySpec, Trainer, named_agent
from nasgym.agents.bridges.sb3_environments import Sb3Environments
from nasgym.agents.config import AgentConfig
from nasgym.envs.vector import make_vector_env
from nasgym.evaluation.tables import Table, TabularBenchmark
from nasgym.evaluation.tables.published import import_table
from nasgym.report.meta_figures import Line, over_steps
from nasgym.report.style import PALETTE, style

N_ENVS, HIDDEN, EPISODE = 64, 128, 6
STEPS, SEEDS = 60_000, 10
CLOSE = 0.005
"""Half-width of the interval of the difference above which nothing is said."""
HOLDS = Goal("value", "at least", 1)
LEARNING_RATES = {"a2c": 7e-3, "ppo": 1e-3}
EPOCHS, MINIBATCHES = 4, 4
RETURNS = {"discount": 0.99, "gae_lambda": 0.95}

Curve = NDArray[np.float64]


@dataclass(frozen=True)
class Agreement:
    """How far two samples of numbers are apart.

    Attributes:
        difference: of their means.
        low: end of the 95 % interval of the difference (Welch).
        high: the other end.
    """

    difference: float
    low: float
    high: float

    @classmethod
    def of(cls, ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> "Agreement":
        """Return the agreement of two samples."""
        interval = stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval(0.95)
        return cls(float(ours.mean() - theirs.mean()), float(interval.low), float(interval.high))

    @property
    def holds(self) -> bool:
        """Whether the interval holds 0 and is narrow enough to say so."""
        return self.low <= 0 <= self.high and (self.high - self.low) / 2 <= CLOSE


def environments(table: Table) -> VectorEnv[Any, Any, Any]:
    """Return the environments of both sides: no meta-episodes, no signals, one-hot observations."""
    return make_vector_env(
        N_ENVS,
        space="cell201",
        task=table.task("cifar10").task,
        estimator=TabularBenchmark(table),
        reward_timing="terminal",
        autoreset_mode="SameStep",
    )


def our_config(algorithm: str) -> AgentConfig:
    """Return our agent, with the settings of both sides."""
    settings: dict[str, Any] = {
        "memory": {"kind": "none", "size": HIDDEN},
        "returns": {**RETURNS, "normalize_advantages": algorithm == "ppo"},
        "optimizer": {"learning_rate": LEARNING_RATES[algorithm]},
        "rollout": {"steps": EPISODE},
    }
    if algorithm == "ppo":
        settings["algorithm"] = {"epochs": EPOCHS, "minibatches": MINIBATCHES}
    else:
        settings["optimizer"] |= {"kind": "rmsprop", "decay": 0.99}
    return named_agent(algorithm, settings)


def our_curve(table: Table, algorithm: str, seed: int, steps: int = STEPS) -> Curve:
    """Return the mean reward of each update of our agent, which begins with `seed`."""
    envs = environments(table)
    spec = PolicySpec.of(envs, space="cell201")
    trainer = Trainer(our_config(algorithm), envs, spec=spec, seed=seed, total_steps=steps)
    rewards = []
    while trainer.steps < steps:
        rewards.append(trainer.update().mean_return)
    return np.array(rewards)


class OneLayer(BaseFeaturesExtractor):
    """One hidden layer of tanh units, which policy and value share."""

    def __init__(self, observation_space: Any) -> None:
        super().__init__(observation_space, HIDDEN)
        self.layer = nn.Linear(observation_space.shape[0], HIDDEN)

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        """Return what policy and value heads are fed with."""
        return torch.tanh(self.layer(observations))


class Rewards(BaseCallback):
    """Notes the mean reward of the episodes of each rollout."""

    def __init__(self, environments: Sb3Environments) -> None:
        super().__init__()
        self._environments = environments
        self.means: list[float] = []

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        progress = self._environments.tally.progress(len(self.means), self.num_timesteps, 0.0)
        self.means.append(float(progress.mean_return or 0.0))


def sb3_model(algorithm: str, envs: Sb3Environments, seed: int) -> A2C | PPO:
    """Return the agent of Stable-Baselines3, with the settings of both sides; its initial weights are drawn as ours."""
    common: dict[str, Any] = {
        "learning_rate": LEARNING_RATES[algorithm],
        "n_steps": EPISODE,
        "gamma": RETURNS["discount"],
        "gae_lambda": RETURNS["gae_lambda"],
        "ent_coef": 0.01,
        "vf_coef": 0.5,
        "max_grad_norm": 0.5,
        "seed": seed,
        "device": "cpu",
    }
    network: dict[str, Any] = {"net_arch": [], "features_extractor_class": OneLayer, "ortho_init": False}
    if algorithm == "ppo":
        model: A2C | PPO = PPO(
            "MlpPolicy",
            envs,
            n_epochs=EPOCHS,
            batch_size=N_ENVS * EPISODE // MINIBATCHES,
            clip_range=0.2,
            policy_kwargs=network | {"optimizer_kwargs": {"eps": 1e-5}},
            **common,
        )
    else:
        rmsprop = {"optimizer_class": torch.optim.RMSprop, "optimizer_kwargs": {"alpha": 0.99, "eps": 1e-5}}
        model = A2C("MlpPolicy", envs, use_rms_prop=False, policy_kwargs=network | rmsprop, **common)
    nn.init.zeros_(model.policy.features_extractor.layer.bias)  # type: ignore[union-attr,arg-type]  # a layer of ours
    for head, gain in ((model.policy.action_net, 0.01), (model.policy.value_net, 1.0)):
        nn.init.orthogonal_(head.weight, gain)
        nn.init.zeros_(head.bias)
    return model


def sb3_curve(table: Table, algorithm: str, seed: int, steps: int = STEPS) -> Curve:
    """Return the mean reward of each update of the agent of Stable-Baselines3."""
    envs = Sb3Environments(environments(table), seed)
    rewards = Rewards(envs)
    sb3_model(algorithm, envs, seed).learn(steps, callback=rewards)
    return np.array(rewards.means)


SIDES: dict[str, Callable[[Table, str, int, int], Curve]] = {"ours": our_curve, "sb3": sb3_curve}


def curves(table: Table, algorithm: str, seeds: int = SEEDS, steps: int = STEPS) -> dict[str, NDArray[np.float64]]:
    """Return the learning curves of both sides, shape `(seeds, updates)` each; seeds of both sides take turns."""
    found: dict[str, list[Curve]] = {side: [] for side in SIDES}
    for seed in range(seeds):
        for side, learn in SIDES.items():
            found[side].append(learn(table, algorithm, seed, steps))
    return {side: np.array(some) for side, some in found.items()}


def figures(algorithm: str, both: dict[str, NDArray[np.float64]]) -> list[Figure]:
    """Return the areas under the curves, and whether they agree."""
    areas = {side: some.mean(axis=1) for side, some in both.items()}
    agreement = Agreement.of(areas["ours"], areas["sb3"])
    half = (agreement.high - agreement.low) / 2
    ours, theirs = both["ours"], both["sb3"]
    errors = np.sqrt((ours.var(axis=0, ddof=1) + theirs.var(axis=0, ddof=1)) / len(ours))
    apart = np.abs(ours.mean(axis=0) - theirs.mean(axis=0)) > 2 * errors
    return [
        Figure(f"{algorithm}: mean reward over training", float(areas["ours"].mean()), "", float(areas["sb3"].mean())),
        Figure(f"{algorithm}: difference", agreement.difference, ""),
        Figure(f"{algorithm}: half-width of its 95 % interval", half, "", goal=Goal("value", "at most", CLOSE)),
        Figure(f"{algorithm}: the interval holds 0", float(agreement.low <= 0 <= agreement.high), "", goal=HOLDS),
        Figure(f"{algorithm}: updates that differ by 2 standard errors", float(apart.mean()), "of all"),
    ]


def draw(algorithm: str, both: dict[str, NDArray[np.float64]], folder: Path) -> None:
    """Write the picture of both learning curves: means, and a standard deviation of the seeds to either side."""
    lines = []
    for side, title in (("ours", "nasgym"), ("sb3", "Stable-Baselines3")):
        mean, spread = both[side].mean(axis=0), both[side].std(axis=0, ddof=1)
        steps = (np.arange(len(mean)) + 1.0) * N_ENVS * EPISODE
        columns = (steps, mean, mean - spread, mean + spread)
        lines.append(Line(f"{algorithm.upper()}, {title}", *(tuple(map(float, column)) for column in columns)))
    with style():
        drawing = over_steps(lines, "mean reward").figure
        drawing.savefig(folder / f"cross-check-{algorithm}.svg", facecolor=PALETTE["paper"], metadata={"Date": None})


def main() -> None:
    """Measure and publish."""
    parser = arguments("cross_check", __doc__)
    parser.add_argument("source", type=Path, help="the CSV file of NAS-Bench-201, see docs/tables.md")
    parser.add_argument("--images", type=Path, help="draw the learning curves into this folder")
    parser.add_argument("--quick", action="store_true", help="two seeds, few steps: a test of the benchmark")
    given = parser.parse_args()
    torch.set_num_threads(1)
    seeds, steps = (2, 3000) if given.quick else (SEEDS, STEPS)
    with tempfile.TemporaryDirectory() as folder:
        table = import_table("nas-bench-201", given.source, Path(folder) / "cells.table")
        both = {algorithm: curves(table, algorithm, seeds, steps) for algorithm in LEARNING_RATES}
    for algorithm, one in both.items() if given.images else ():
        draw(algorithm, one, given.images)
    measured = [figure for name, one in both.items() for figure in figures(name, one)]
    publish("cross_check", measured, seeds=range(seeds), json_file=given.json)


if __name__ == "__main__":
    main()
