"""Neural architecture search as Gymnasium environments. Importing this package makes their ids known to Gymnasium.

Gymnasium 1.0 and later knows no plug-ins: the import of a package registers its environments. Importing
this one does nothing else, and does not import torch.
"""

from nasgym.envs.architecture_env import ArchitectureEnv
from nasgym.envs.config import EnvConfig, Objective, RewardTiming
from nasgym.envs.registration import ENVIRONMENTS, register_environments

__all__ = ["ENVIRONMENTS", "ArchitectureEnv", "EnvConfig", "Objective", "RewardTiming", "register_environments"]

register_environments()
