"""Finding an agent by name: one of this package, one that learns by Stable-Baselines3, or a plug-in."""

from importlib.util import find_spec

from nasgym.agents.bridges.protocol import Agent
from nasgym.core import plugins
from nasgym.core.errors import ConfigurationError, PluginError, nearest

NATIVE = ("rl2", "paper", "a2c", "ppo", "reinforce")
SB3 = ("dqn", "masked-ppo")
_PLUGINS = "nasgym.agents"
_NEEDED = ("check", "start", "resume", "load", "observation", "environments")


def agent_named(name: str) -> Agent:
    """Return the agent that is registered under `name`. Libraries are imported with their agents, not before.

    Raises:
        ConfigurationError: there is none, or its library is not installed.
        PluginError: a plug-in cannot be imported, or is no agent.
    """
    if name in NATIVE:
        from nasgym.agents.bridges.native import NativeAgent

        return NativeAgent(name, environments=1 if name == "paper" else None)
    if name in SB3:
        missing = [package for package in ("stable_baselines3", "sb3_contrib") if find_spec(package) is None]
        if missing:
            raise ConfigurationError(
                f"Agent {name!r} learns by Stable-Baselines3, which is not installed; pip install 'nasgym[sb3]'."
            )
        from nasgym.agents.bridges.sb3 import Sb3Agent

        return Sb3Agent(name)
    known = (*NATIVE, *SB3, *plugins.available(_PLUGINS))
    if name not in known:
        raise ConfigurationError(f"Unknown agent {name!r} (known: {', '.join(known)}).{nearest(name, known)}")
    agent: Agent = plugins.load(_PLUGINS, name)()
    lacking = [part for part in _NEEDED if not hasattr(agent, part)]
    if lacking:
        raise PluginError(
            f"Plug-in {name!r} of {_PLUGINS!r} gave {agent!r}, which has no {', no '.join(lacking)}; an agent has all "
            "of nasgym.agents.bridges.protocol.Agent."
        )
    return agent
