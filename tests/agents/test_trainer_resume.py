"""Trainers are saved and resumed as if nothing had happened, in a fresh process, too."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from toys import chains, corridors, table_of_chains

from nasgym.agents import PolicySpec, SpecError, Trainer, load_policy, named_agent
from nasgym.agents.files import read_tensors, write_tensors
from nasgym.core.errors import CheckpointError, ConfigurationError

AGENTS = {
    "whole meta-episodes": ("rl2", {"optimizer": {"learning_rate": {"kind": "cosine", "start": 0.01}}}),
    "longer than a rollout": ("rl2", {"rollout": {"steps": 4}}),
    "paper": ("paper", {}),
    "reinforce": ("reinforce", {}),
    "gru": ("a2c", {"memory": {"kind": "gru"}}),
    "attention": ("rl2", {"memory": {"kind": "attention", "context": 5}, "rollout": {"steps": 4}}),
    "all defects": (
        "rl2",
        {
            "defects": {
                "memory_reset_each_episode": True,
                "return_as_reward": True,
                "shifted_inputs": True,
                "returns_cut_at_episodes": True,
            }
        },
    ),
}

GO_ON = """
import sys
sys.path.insert(0, sys.argv[1])
from toys import chains
from nasgym.agents import Trainer
from nasgym.evaluation.tables import Table
import torch
torch.set_num_threads(1)
trainer = Trainer.resume(sys.argv[2], chains(Table(sys.argv[3])))
for _ in range(3):
    trainer.update()
trainer.save(sys.argv[2])
"""


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return table_of_chains(tmp_path_factory.mktemp("table"))


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def trainer_of(table, name: str) -> Trainer:
    agent, overrides = AGENTS[name]
    config = named_agent(agent, {**overrides, "memory": {"size": 8, **overrides.get("memory", {})}})
    envs = chains(table)
    return Trainer(config, envs, spec=PolicySpec.of(envs, "toys"), seed=4, total_steps=200)


def assert_same_files(one: Path, other: Path) -> None:
    (header, tensors), (other_header, other_tensors) = read_tensors(one), read_tensors(other)
    assert header == other_header
    assert tensors.keys() == other_tensors.keys()
    for name, tensor in tensors.items():
        assert torch.equal(tensor, other_tensors[name]), name


@pytest.mark.parametrize("name", AGENTS)
def test_a_trainer_that_is_saved_and_resumed_ends_as_one_that_was_not(table, name, tmp_path):
    undisturbed, disturbed = trainer_of(table, name), trainer_of(table, name)
    updates = [undisturbed.update() for _ in range(6)]
    undisturbed.save(tmp_path / "undisturbed")
    for number in range(6):
        update = disturbed.update()
        assert repr(replace(update, seconds=None)) == repr(replace(updates[number], seconds=None))
        disturbed.save(tmp_path / "disturbed")
        disturbed = Trainer.resume(tmp_path / "disturbed", chains(table))
    assert_same_files(tmp_path / "undisturbed", tmp_path / "disturbed")


@pytest.mark.parametrize("name", ["whole meta-episodes", "paper"])
def test_it_does_so_in_a_fresh_process(table, name, tmp_path):
    undisturbed = trainer_of(table, name)
    for _ in range(3):
        undisturbed.update()
    undisturbed.save(tmp_path / "disturbed")
    command = [sys.executable, "-c", GO_ON, str(Path(__file__).parent), str(tmp_path / "disturbed"), str(table.path)]
    subprocess.run(command, check=True)
    for _ in range(3):
        undisturbed.update()
    undisturbed.save(tmp_path / "undisturbed")
    assert_same_files(tmp_path / "undisturbed", tmp_path / "disturbed")


def test_saving_changes_nothing(table, tmp_path):
    one, other = trainer_of(table, "paper"), trainer_of(table, "paper")
    for _ in range(3):
        one.update()
        one.save(tmp_path / "one")
        other.update()
    other.save(tmp_path / "other")
    assert_same_files(tmp_path / "one", tmp_path / "other")


def test_a_checkpoint_keeps_provenance_and_is_a_policy_too(table, tmp_path):
    trainer = trainer_of(table, "whole meta-episodes")
    trainer.update()
    trainer.save(tmp_path / "checkpoint", {"run": 7})
    assert Trainer.resume(tmp_path / "checkpoint", chains(table)).provenance == {"run": 7}
    stored = load_policy(tmp_path / "checkpoint", trainer.spec)
    assert all(map(torch.equal, stored.policy.parameters(), trainer.policy.parameters()))


def test_other_environments_are_refused(table, tmp_path):
    trainer = trainer_of(table, "paper")
    trainer.update()
    trainer.save(tmp_path / "checkpoint")
    with pytest.raises(ConfigurationError, match="trained in 4 environments, cannot go on in 5"):
        Trainer.resume(tmp_path / "checkpoint", chains(table, n=5))
    with pytest.raises(SpecError, match="They differ in number of actions: 8 and 2"):
        Trainer.resume(tmp_path / "checkpoint", corridors(n=4))


def test_a_checkpoint_that_lacks_something_is_refused(table, tmp_path):
    path = tmp_path / "checkpoint"
    trainer = trainer_of(table, "paper")
    trainer.update()
    trainer.save(path)
    header, tensors = read_tensors(path)
    for name in ("course.taken", "memory.0", "tally.episodes"):
        write_tensors(path, "nasgym trainer", header, {key: value for key, value in tensors.items() if key != name})
        with pytest.raises(CheckpointError, match=f"checkpoint: damaged: .*{name}"):
            Trainer.resume(path, chains(table))
    write_tensors(path, "nasgym trainer", {**header, "numbers": {}}, tensors)
    with pytest.raises(CheckpointError, match=r"checkpoint: damaged: .*seed"):
        Trainer.resume(path, chains(table))
