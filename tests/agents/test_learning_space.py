"""A tiny search space whose best network differs by task in a way that no observation shows."""

from itertools import product
from typing import Any

import pytest
import torch

from nasgym.agents import PolicySpec, Trainer, named_agent, play
from nasgym.architectures import Architecture, Layer
from nasgym.architectures.spaces import load_space
from nasgym.envs import MetaEpisodes
from nasgym.envs.vector import make_vector_env
from nasgym.evaluation import Completed, Metrics
from nasgym.evaluation.tables import Table, TableBuilder, TableDescription, TableTask, TabularBenchmark
from nasgym.tasks import Fidelity

TELLING = ("conv1 conv1", "conv5 conv5")
"""The first is the best network of the first task and earns nothing on the second; the other the other way round."""
BEST, OTHERS = 1.0, 0.1
ENVS, EPISODES, STEPS = 64, 3, 60_000
SETTINGS = {
    "memory": {"size": 32},
    "algorithm": {"epochs": 4, "minibatches": 2},
    "optimizer": {"learning_rate": 0.01},
    "losses": {"entropy": {"kind": "linear", "start": 0.1, "end": 0.0}},
}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    """All chains of up to two layers on two tasks."""
    tasks = tuple(TableTask(f"task {n}", f"data {n}", (32, 32, 3), 10, Fidelity(1)) for n in range(2))
    builder = TableBuilder(TableDescription("tiny", tasks, "default", "made up", space="chain"))
    words = [action for action in load_space("chain").actions if hasattr(action, "kernel")]
    networks = [
        Architecture(tuple(Layer(word.operation, word.kernel, (place,)) for place, word in enumerate(chosen)))
        for depth in (0, 1, 2)
        for chosen in product(words, repeat=depth)
    ]
    for network, (number, task) in product(networks, enumerate(tasks)):
        reward = BEST * (TELLING.index(str(network)) == number) if str(network) in TELLING else OTHERS
        builder.add(network, task.fingerprint, 0, Completed(reward, Metrics(parameters=1, flops=1)))
    return builder.write(tmp_path_factory.mktemp("tiny") / "tiny.table")


def environments(table: Table) -> Any:
    tasks = tuple(task.task for task in table.tasks)
    return make_vector_env(
        ENVS,
        space="chain",
        max_layers=2,
        task=tasks[0],
        estimator=TabularBenchmark(table),
        reward_timing="terminal",
        observation="compact",
        autoreset_mode="SameStep",
        meta=MetaEpisodes(EPISODES, tasks),
    )


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_the_best_network_is_found_by_the_second_episode(table: Table, seed: int) -> None:
    """A telling network is right on half of the tasks, and its reward says which network is right on the others."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    envs = environments(table)
    config = named_agent("rl2", SETTINGS)
    trainer = Trainer(config, envs, spec=PolicySpec.of(envs, space="chain d=2"), seed=seed, total_steps=STEPS)
    while trainer.steps < trainer.total_steps:
        trainer.update()
    by_episode = play(trainer.policy, envs, 512, seed=seed, greedy=True).table("reward").mean(axis=0)
    torch.set_num_threads(threads)
    first, second, third = by_episode.tolist()
    assert first == pytest.approx(0.5 * BEST, abs=0.1)  # 512 meta-episodes, a standard error of 0.02
    assert min(second, third) > 0.95 * BEST
