"""Policies as files: which agent can load them, and how they were trained."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nasgym.agents.bridges.protocol import Agent
from nasgym.agents.files import read_tensors
from nasgym.core.errors import CheckpointError
from nasgym.experiments.config import merged
from nasgym.experiments.meta.agents import agent_named
from nasgym.experiments.meta.config import MetaConfig, make_meta_config


@dataclass(frozen=True)
class StoredAgent:
    """A policy's file, and what it says of itself.

    Attributes:
        path: of the file.
        name: of the agent.
        agent: that can load it.
        settings: of the training that it is from.
        space: name of the search space.
    """

    path: Path
    name: str
    agent: Agent
    settings: dict[str, Any]
    space: str

    @classmethod
    def read(cls, path: Path) -> "StoredAgent":
        """Return what the file of a policy says.

        Raises:
            CheckpointError: it is none, is damaged, or was not written by `nasgym meta-train`.
        """
        header, _ = read_tensors(path)
        provenance = header.get("provenance", {})
        try:
            name, settings, space = str(provenance["agent"]), dict(provenance["settings"]), str(provenance["space"])
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"{path}: does not say how it was trained; `nasgym meta-train` writes policies that do."
            ) from error
        return cls(path, name, agent_named(name), settings, space)

    def config(self, over: Mapping[str, Any]) -> MetaConfig:
        """Return the configuration of its training with other environments and tasks on top."""
        settings = merged(self.settings, {name: over[name] for name in over if name not in ("agent", "run")})
        if not settings["tasks"].get("table") and not settings["environment"].get("space"):
            settings = merged(settings, {"environment": {"space": self.space}})
        return make_meta_config(settings, source=str(self.path))
