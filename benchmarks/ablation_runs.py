"""The runs of the ablation: agents that differ in one thing, trained alike on tasks with hidden variation.

    python -m benchmarks.ablation_runs nasbench201.csv.xz --runs FOLDER [--seeds 5] [--variants NAME …]

Each run is one file in FOLDER, written when it is complete; a run whose file is there is not done again, so that the
command goes on where it was stopped, and several may share a folder. `python -m benchmarks.ablation` makes figures of
them.
"""

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import VectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from benchmarks.hidden_tasks import EPISODES, MURK, HiddenTasks, environments, hidden_tasks
from benchmarks.reporting import arguments
from nasgym.agents import Policy, PolicySpec, Trainer, named_agent, play
from nasgym.core.files import write_atomically

STEPS = 600_000
N_ENVS = 64
META_EPISODES = 8
"""Played on each task with frozen weights."""
CURVE_POINTS = 24
SIGNALS = ("action", "reward", "step", "end", "episode")
ALL_DEFECTS = {
    "memory_reset_each_episode": True,
    "return_as_reward": True,
    "shifted_inputs": True,
    "returns_cut_at_episodes": True,
}
OURS: Mapping[str, Any] = {
    "optimizer": {"learning_rate": {"kind": "linear", "start": 6e-3, "end": 3e-4}},
    "losses": {"entropy": {"kind": "linear", "start": 0.02, "end": 0.0}},
    "returns": {"discount": 0.9},
}
"""What differs from the agent `rl2`: chosen on the validation tasks."""


@dataclass(frozen=True)
class Variant:
    """An agent of the ablation.

    Attributes:
        title: what it is called in figures and tables.
        settings: beside `OURS`, tables in tables.
        agent: named agent that it starts from; `paper` takes nothing of `OURS`.
        observe: signals.
        objective: of the environment it is trained in.
        device_told: whether the device and the number of classes are observed.
    """

    title: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    agent: str = "rl2"
    observe: tuple[str, ...] = SIGNALS
    objective: str = "accuracy"
    device_told: bool = False


VARIANTS: Mapping[str, Variant] = {
    "rl2": Variant("RL² (ours)"),
    "memory-reset": Variant("defect 1: memory reset each episode", {"defects": {"memory_reset_each_episode": True}}),
    "return-as-reward": Variant("defect 2: return as reward", {"defects": {"return_as_reward": True}}),
    "shifted-inputs": Variant("defect 3: shifted inputs", {"defects": {"shifted_inputs": True}}),
    "returns-cut": Variant("defect 4: returns cut at episodes", {"defects": {"returns_cut_at_episodes": True}}),
    "all-defects": Variant("all four defects", {"defects": ALL_DEFECTS}),
    "paper": Variant("the paper's agent (A2C, all four)", {"defects": ALL_DEFECTS}, agent="paper"),
    "gru": Variant("GRU", {"memory": {"kind": "gru", "size": 128}}),
    "attention": Variant("attention", {"memory": {"kind": "attention", "size": 128}}),
    "none": Variant(
        "no memory, no episode index",
        {"memory": {"kind": "none", "size": 128}},
        observe=("action", "reward", "step", "end"),
    ),
    "none-index": Variant("no memory", {"memory": {"kind": "none", "size": 128}}),
    "improvement": Variant("objective: improvement", objective="improvement"),
    "auxiliary": Variant("auxiliary reward head", {"losses": {"auxiliary": 0.5}}),
    "device-told": Variant("device told", device_told=True),
}


class DeviceTold(VectorWrapper):  # type: ignore[type-arg]  # of any environments
    """Shows what is hidden: logarithms of the device's latencies and clarity and of the number of classes, in [0, 1].

    Args:
        envs: with compact observations, whose meta-episodes terminate.
        tasks: whose devices are told.
    """

    def __init__(self, envs: VectorEnv[Any, Any, Any], tasks: HiddenTasks) -> None:
        super().__init__(envs)
        self._told = {
            task.fingerprint: [
                *(np.log10(device.latencies) / 2 + 0.5),
                1 + np.log(device.clarity) / np.log(MURK),
                np.log10(task.n_classes) / 3,
            ]
            for task, device in zip(tasks.tasks, tasks.devices, strict=True)
        }
        parts = dict(envs.single_observation_space.spaces)
        n = parts["signals"].shape[0] + len(next(iter(self._told.values())))
        self.single_observation_space = spaces.Dict(parts | {"signals": spaces.Box(0.0, 1.0, (n,), np.float32)})
        self.observation_space = batch_space(self.single_observation_space, envs.num_envs)

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin meta-episodes."""
        observations, infos = self.env.reset(seed=seed, options=options)
        return self._with_devices(observations), infos

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Take one action in every environment."""
        observations, *came_of_it = self.env.step(actions)
        return (self._with_devices(observations), *came_of_it)

    def _with_devices(self, observations: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        told = np.array([self._told[task.fingerprint] for task in self.env.unwrapped.tasks], dtype=np.float32)
        return observations | {"signals": np.concatenate([observations["signals"], told], axis=1)}


def make_environments(variant: Variant, tasks: HiddenTasks, n: int, *, draws: bool) -> VectorEnv[Any, Any, Any]:
    """Return environments as the variant observes them."""
    envs = environments(tasks, n, draws=draws, observe=variant.observe, objective=variant.objective)
    return DeviceTold(envs, tasks) if variant.device_told else envs


def policy_spec(variant: Variant, envs: VectorEnv[Any, Any, Any]) -> PolicySpec:
    """Return what the variant's policy speaks."""
    return PolicySpec.of(envs, space="cell201", signals=variant.observe[1:])


def proposals(policy: Policy, variant: Variant, tasks: HiddenTasks, seed: int) -> NDArray[np.int64]:
    """Return the rows of the networks that a frozen policy proposes, shape `(n_tasks, META_EPISODES, K)`."""
    n = len(tasks.tasks)
    envs = make_environments(variant, tasks, n, draws=False)
    played = play(policy, envs, n * META_EPISODES, seed=seed, options={"task": list(tasks.tasks)})
    actions = np.array([episode.actions for episode in played.episodes]).reshape(META_EPISODES, n, EPISODES, -1)
    rows: NDArray[np.int64] = tasks.rows_of_actions[tuple(np.moveaxis(actions, -1, 0))]
    return rows.swapaxes(0, 1)


def judged(rows: NDArray[np.int64], regrets: NDArray[np.float64]) -> dict[str, Any]:
    """Return the mean normalised regret by task and number of the proposal.

    Args:
        rows: of the networks proposed, shape `(n_tasks, m, K)`.
        regrets: of every network on every task, shape `(n_tasks, n_networks)`.

    Returns:
        `proposal`: of the k-th network; `incumbent`: of the best of the first k; `yoked`: of the k-th network that
        was proposed on another task, and so for the rewards that it earns there. Shape `(n_tasks, K)` each.
    """
    n = len(regrets)
    everywhere = regrets[:, rows]  # (judging task, playing task, m, K)
    own = everywhere[np.arange(n), np.arange(n)]
    others = (everywhere.sum(axis=1) - own).mean(axis=1) / (n - 1)
    found = {
        "proposal": own.mean(axis=1),
        "incumbent": np.minimum.accumulate(own, axis=2).mean(axis=1),
        "yoked": others,
    }
    return {name: values.round(4).tolist() for name, values in found.items()}


def settings_of(variant: Variant) -> Mapping[str, Any]:
    """Return what differs from the named agent."""
    common = OURS if variant.agent == "rl2" else {}
    return {**common, **{key: {**common.get(key, {}), **value} for key, value in variant.settings.items()}}


def run(name: str, seed: int, splits: Mapping[str, HiddenTasks], steps: int) -> dict[str, Any]:
    """Train a variant and play it with frozen weights; return what the file of the run holds."""
    variant = VARIANTS[name]
    envs = make_environments(variant, splits["train"], N_ENVS, draws=True)
    config = named_agent(variant.agent, settings_of(variant))
    spec = policy_spec(variant, envs)
    trainer = Trainer(config, envs, spec=spec, seed=seed, total_steps=steps)
    began = time.process_time()
    returns: list[tuple[int, float]] = []
    while trainer.steps < steps:
        update = trainer.update()
        if update.n_meta_episodes:
            returns.append((update.steps, update.mean_return))
    seconds = time.process_time() - began
    judgements = {
        split: judged(proposals(trainer.policy, variant, tasks, seed), tasks.regrets)
        for split, tasks in splits.items()
        if split != "train"
    }
    curve = [[int(part[-1][0]), round(float(np.mean([value for _, value in part])), 4)] for part in _parts(returns)]
    return {"variant": name, "seed": seed, "steps": steps, "seconds": round(seconds, 1), "curve": curve, **judgements}


def _parts(returns: list[tuple[int, float]]) -> list[list[tuple[int, float]]]:
    """Return what was noted in each of `CURVE_POINTS` equally long parts of the training."""
    borders = np.linspace(0, len(returns), min(CURVE_POINTS, len(returns)) + 1).astype(int)
    return [returns[start:end] for start, end in pairwise(borders)]


def claim(file: Path) -> bool:
    """Return whether this process is to do a run: it is not done, and no living process is at it."""
    lock = file.with_suffix(".claimed")
    if file.exists():
        return False
    try:
        with lock.open("x") as opened:
            opened.write(str(os.getpid()))
    except FileExistsError:
        holder = lock.read_text()
        if holder and Path(f"/proc/{holder}").exists():
            return False
        lock.write_text(str(os.getpid()))
    return True


def main() -> None:
    """Do the runs that are not done."""
    parser = arguments("ablation_runs", __doc__)
    parser.add_argument("source", type=Path, help="the CSV file of NAS-Bench-201, see docs/tables.md")
    parser.add_argument("--runs", type=Path, required=True, help="folder of runs")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(5)))
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--steps", type=int, default=STEPS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    splits = {
        split: hidden_tasks(given.source, given.runs / "tables", split) for split in ("train", "validation", "test")
    }
    for seed in given.seeds:
        for name in given.variants:
            file = given.runs / f"{name}-{seed}.json"
            if claim(file):
                result = run(name, seed, splits, given.steps)
                write_atomically(file, (json.dumps(result) + "\n").encode())
                file.with_suffix(".claimed").unlink()
                last = np.array(result["test"]["proposal"])[:, -1].mean()
                print(f"{name} {seed}: {result['seconds']:.0f} s, regret of the last proposal {last:.3f}", flush=True)


if __name__ == "__main__":
    main()
