"""Native vector environments: thousands of architectures, one NumPy step. No torch."""

from nasgym.envs.vector.options import Observing
from nasgym.envs.vector.vector_env import ArchitectureVectorEnv

__all__ = ["ArchitectureVectorEnv", "Observing"]
