"""Native vector environments: thousands of architectures, one NumPy step. No torch."""

from nasgym.envs.vector.meta_episodes import MetaEpisodeVectorEnv, make_vector_env
from nasgym.envs.vector.options import Observing
from nasgym.envs.vector.vector_env import ArchitectureVectorEnv

__all__ = ["ArchitectureVectorEnv", "MetaEpisodeVectorEnv", "Observing", "make_vector_env"]
