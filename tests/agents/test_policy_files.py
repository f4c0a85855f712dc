"""Policies and checkpoints as files: round trips and refusals."""

import json
import pickle
import resource
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch

from nasgym.agents import Policy, PolicySpec, SpecError, load_policy, named_agent, save_policy
from nasgym.agents.files import read_checkpoint, read_tensors
from nasgym.core.errors import CheckpointError

SPEC = PolicySpec("chain d=10", 3, (4, 2), observes_action=True, signals=("reward",), context=1)
CONFIG = named_agent("rl2", {"memory": {"kind": "gru", "size": 8}, "losses": {"auxiliary": 0.1}})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "policy.safetensors"
    save_policy(Policy(SPEC, CONFIG, seed=3), path, {"tasks": ["one", "other"], "seed": 3})
    return path


def test_a_policy_comes_back_with_weights_configuration_spec_and_provenance(path):
    stored = load_policy(path, SPEC)
    assert (stored.policy.config, stored.policy.spec) == (CONFIG, SPEC)
    assert stored.provenance == {"tasks": ["one", "other"], "seed": 3}
    expected = Policy(SPEC, CONFIG, seed=3).state_dict()
    found = stored.policy.state_dict()
    assert list(found) == list(expected)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_a_policy_for_another_space_is_refused(path):
    with pytest.raises(
        SpecError, match=r"made for chain d=10 \(3 actions\); this environment is cell201 \(5 actions\)"
    ):
        load_policy(path, replace(SPEC, space="cell201", n_actions=5))


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.99])
def test_a_file_that_was_cut_short_is_refused(path, share):
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(CheckpointError, match=r"policy\.safetensors: no policy of nasgym, or a damaged one"):
        load_policy(path)


def test_a_pickle_is_refused_and_not_executed(tmp_path, capsys):
    class Loud:
        def __reduce__(self):
            return print, ("executed",)

    path = tmp_path / "policy.pt"
    for content in (pickle.dumps(Loud()), pickle.dumps({"policy": 1}, protocol=0)):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match="pickles are not read"):
            load_policy(path)
    torch.save({"policy": torch.zeros(3)}, path)
    with pytest.raises(CheckpointError, match="pickles are not read"):
        load_policy(path)
    assert capsys.readouterr().out == ""


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"nowhere\.safetensors: cannot be read"):
        load_policy(tmp_path / "nowhere.safetensors")


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"missing/policy\.safetensors: cannot be written"):
        save_policy(Policy(SPEC, CONFIG), tmp_path / "missing" / "policy.safetensors")


def test_tensors_of_others_are_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    safetensors.torch.save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(CheckpointError, match="no policy of nasgym, though a safetensors file"):
        load_policy(path)


def test_a_policy_is_no_checkpoint_of_a_trainer(path):
    with pytest.raises(CheckpointError, match="a nasgym policy, where a nasgym trainer is wanted"):
        read_checkpoint(path)


def changed(path: Path, **header: object) -> None:
    """Write the file again with other values in its header."""
    old, tensors = read_tensors(path)
    safetensors.torch.save_file(tensors, path, {"nasgym": json.dumps({**old, **header})})


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"format_version": 99}, "format 99; this nasgym reads 1"),
        ({"config": {"memory": {"kind": "tape"}}}, "damaged: memory"),
        ({"spec": {"space": "x"}}, "damaged: .*n_actions"),
        ({"spec": {**SPEC.__dict__, "groups": [9], "signals": ["reward"]}}, "the weights are not those of its config"),
        ({"provenance": 3}, "damaged"),
    ],
)
def test_a_header_that_was_changed_is_refused(path, header, message):
    changed(path, **header)
    with pytest.raises(CheckpointError, match=message):
        load_policy(path)


@pytest.mark.parametrize(
    "header",
    [
        {"config": {**CONFIG.to_json(), "memory": {"kind": "gru", "size": 10**6}}},
        {"config": {**CONFIG.to_json(), "memory": {"kind": "attention", "size": 10**8}}},
        {"config": {**CONFIG.to_json(), "memory": {"kind": "lstm", "size": 10**12}}},
        {"spec": {**SPEC.__dict__, "groups": [10**12, 2], "signals": ["reward"]}},
        {"spec": {**SPEC.__dict__, "n_actions": 10**12, "signals": ["reward"]}},
    ],
    ids=["weights of 12 terabytes", "of 120 petabytes", "more than can be numbered", "values", "actions"],
)
def test_a_header_that_asks_for_more_than_the_file_holds_is_refused_before_memory_is_taken(path, header):
    changed(path, **header)
    tracemalloc.start()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(CheckpointError, match=r"policy\.safetensors: (the weights are not those|.*cannot exist)"):
        load_policy(path)
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**15  # KiB
