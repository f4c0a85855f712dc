"""Neural architecture search as Gymnasium environments. Importing this package makes their ids known to Gymnasium.

Gymnasium 1.0 and later knows no plug-ins: the import of a package registers its environments. Importing
this one does nothing else, and does not import torch.
"""

from nasgym.envs.architecture_env import ArchitectureEnv
from nasgym.envs.config import EnvConfig, Objective, RewardTiming
from nasgym.envs.meta_episode import MetaEpisode
from nasgym.envs.registration import ENVIRONMENTS, register_environments
from nasgym.envs.signals import MetaEpisodes, Signal

__all__ = [
    "ENVIRONMENTS",
    "ArchitectureEnv",
    "EnvConfig",
    "MetaEpisode",
    "MetaEpisodes",
    "Objective",
    "RewardTiming",
    "Signal",
    "register_environments",
]

register_environments()
