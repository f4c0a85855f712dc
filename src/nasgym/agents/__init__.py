"""Agents whose memory lasts: A2C, PPO and REINFORCE with LSTM, GRU, attention or no memory, in any vector environment.

They know Gymnasium's spaces and numbers, and nothing of architectures. Importing this package imports torch.
"""

from nasgym.agents.acting import Episode, Played, ShownRewards, Steps, TwinRewards, play
from nasgym.agents.config import AgentConfig, Defects
from nasgym.agents.files import StoredPolicy, load_policy, save_policy
from nasgym.agents.named import agent_config, named_agent
from nasgym.agents.policy import Policy
from nasgym.agents.spec import PolicySpec, SpecError
from nasgym.agents.trainer import Trainer
from nasgym.agents.update import Learned, Seconds, Update

__all__ = [
    "AgentConfig",
    "Defects",
    "Episode",
    "Learned",
    "Played",
    "Policy",
    "PolicySpec",
    "Seconds",
    "ShownRewards",
    "SpecError",
    "Steps",
    "StoredPolicy",
    "Trainer",
    "TwinRewards",
    "Update",
    "agent_config",
    "load_policy",
    "named_agent",
    "play",
    "save_policy",
]
