"""Policies and checkpoints of trainers as files: safetensors, with everything that is no tensor as JSON in the header.

Nothing in such a file is executed when it is read.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from torch import Tensor

from nasgym.agents.config import AgentConfig
from nasgym.agents.named import agent_config
from nasgym.agents.policy import Policy
from nasgym.agents.spec import PolicySpec
from nasgym.core.errors import CheckpointError, NasgymError
from nasgym.core.files import write_atomically

POLICY, TRAINER = "nasgym policy", "nasgym trainer"
FORMAT_VERSION = 1
"""Of both kinds of file; raised when an older nasgym could not read them."""

_SPEC = TypeAdapter(PolicySpec)


@dataclass(frozen=True)
class StoredPolicy:
    """A policy that was read from a file.

    Attributes:
        policy: with its weights, on the CPU.
        provenance: what was saved with it.
    """

    policy: Policy
    provenance: Mapping[str, Any]


@dataclass(frozen=True)
class Checkpoint:
    """A file of tensors.

    Attributes:
        config: of the agent.
        spec: what it speaks.
        tensors: by name; the weights of the policy begin with `policy.`.
        numbers: what else there is to know of a trainer, as JSON.
        provenance: what was saved with it, as JSON.
    """

    config: AgentConfig
    spec: PolicySpec
    tensors: dict[str, Tensor] = field(repr=False)
    numbers: dict[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)


def save_policy(policy: Policy, path: Path | str, provenance: Mapping[str, Any] | None = None) -> None:
    """Write a policy to a file, with its configuration and what it speaks.

    Args:
        policy: to be written.
        path: replaced only when the new file is complete.
        provenance: kept with it, as JSON: where the policy comes from.

    Raises:
        CheckpointError: the file cannot be written; names it.
    """
    _write(POLICY, Checkpoint(policy.config, policy.spec, policy_tensors(policy), {}, provenance or {}), Path(path))


def load_policy(path: Path | str, spec: PolicySpec | None = None) -> StoredPolicy:
    """Return the policy that `save_policy` wrote; of a trainer's checkpoint, its policy.

    Args:
        path: of the file.
        spec: what is spoken where it is to act; not checked if `None`.

    Raises:
        CheckpointError: the file cannot be read, is damaged, or is something else.
        SpecError: the policy was made for another space.
    """
    saved = _read((POLICY, TRAINER), Path(path))
    if spec is not None:
        saved.spec.check(spec)
    policy = Policy(saved.spec, saved.config)
    load_weights(policy, saved.tensors, str(path))
    return StoredPolicy(policy.eval(), saved.provenance)


def write_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write the checkpoint of a trainer.

    Raises:
        CheckpointError: the file cannot be written; names it.
    """
    _write(TRAINER, checkpoint, path)


def read_checkpoint(path: Path) -> Checkpoint:
    """Return the checkpoint of a trainer.

    Raises:
        CheckpointError: the file cannot be read, is damaged, or is something else.
    """
    return _read((TRAINER,), path)


def policy_tensors(policy: Policy) -> dict[str, Tensor]:
    """Return the weights of a policy by their names in files."""
    return {f"policy.{name}": value.cpu() for name, value in policy.state_dict().items()}


def load_weights(policy: Policy, tensors: Mapping[str, Tensor], source: str) -> None:
    """Give a policy the weights among `tensors`.

    Args:
        policy: whose weights are replaced.
        tensors: by their names in files.
        source: of the tensors, for the error.

    Raises:
        CheckpointError: they are not those of its network.
    """
    prefix = "policy."
    weights = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    try:
        policy.load_state_dict(
            weights, assign=policy.device.type == "meta"
        )  # one that takes no memory takes shapes only
    except RuntimeError as error:
        raise CheckpointError(f"{source}: the weights are not those of its configuration: {error}") from error


def write_tensors(path: Path, kind: str, header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Write tensors to a file, with everything else in its header.

    Args:
        path: replaced only when the new file is complete.
        kind: of file.
        header: JSON values.
        tensors: by name.

    Raises:
        CheckpointError: the file cannot be written; names it.
    """
    full = {"format": kind, "format_version": FORMAT_VERSION, **header}
    flat = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    content = safetensors.torch.save(flat, {"nasgym": json.dumps(full)})
    try:
        write_atomically(path, content)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be written ({error}). Free some space, or write elsewhere.") from error


def read_tensors(path: Path, *kinds: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return header and tensors of a file of one of these kinds; of any, if none is named.

    Raises:
        CheckpointError: the file cannot be read, is damaged, or is something else.
    """
    header, tensors = _content(path)
    if kinds and header.get("format") not in kinds:
        raise CheckpointError(f"{path}: a {header.get('format')}, where a {' or '.join(kinds)} is wanted.")
    if header.get("format_version") != FORMAT_VERSION:
        raise CheckpointError(
            f"{path}: format {header.get('format_version')!r}; this nasgym reads {FORMAT_VERSION}. Use the nasgym that "
            "wrote it, or a newer one."
        )
    return header, tensors


def _write(kind: str, checkpoint: Checkpoint, path: Path) -> None:
    header = {
        "config": checkpoint.config.to_json(),
        "spec": asdict(checkpoint.spec),
        "numbers": checkpoint.numbers,
        "provenance": dict(checkpoint.provenance),
    }
    write_tensors(path, kind, header, checkpoint.tensors)


def _read(kinds: tuple[str, ...], path: Path) -> Checkpoint:
    header, tensors = read_tensors(path, *kinds)
    try:
        saved = Checkpoint(
            agent_config(header["config"]),
            _SPEC.validate_python(header["spec"]),
            tensors,
            dict(header["numbers"]),
            dict(header["provenance"]),
        )
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise CheckpointError(f"{path}: damaged: spec.{where}: {error.errors()[0]['msg']}.") from error
    except (NasgymError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: damaged: {error}") from error
    _check_sizes(saved, path)
    return saved


def _check_sizes(saved: Checkpoint, path: Path) -> None:
    """Compare the network that the header describes with the tensors, before any memory is taken for it."""
    try:
        with torch.device("meta"):
            described = Policy(saved.spec, saved.config)
    except (RuntimeError, OverflowError) as error:
        raise CheckpointError(f"{path}: damaged: it describes a network that cannot exist: {error}") from error
    load_weights(described, saved.tensors, str(path))


def _content(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return header and tensors of a file."""
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("nasgym", "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no dictionary
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error}).") from error
    except (SafetensorError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"{path}: no policy of nasgym, or a damaged one ({error}). Policies are safetensors files; pickles are not "
            "read."
        ) from error
    if not isinstance(header, dict) or "format" not in header:
        raise CheckpointError(f"{path}: no policy of nasgym, though a safetensors file.")
    return header, tensors
