"""Which walk a space has."""

from nasgym.architectures.spaces.chain import ChainSpace
from nasgym.architectures.spaces.edge import HeaderSpace
from nasgym.architectures.spaces.explicit import ExplicitSpace
from nasgym.architectures.spaces.fixed import FixedSpace
from nasgym.architectures.spaces.multi_branch import MultiBranchSpace
from nasgym.architectures.spaces.space import SearchSpace
from nasgym.core.errors import ConfigurationError
from nasgym.envs.vector.graphs import GraphWalk
from nasgym.envs.vector.sequences import SequenceWalk
from nasgym.envs.vector.walk import Walk
from nasgym.networks.profiles import NetworkProfile


def has_walk(space: SearchSpace) -> bool:
    """Return whether `space` has a native vector form."""
    return isinstance(space, MultiBranchSpace | ExplicitSpace | ChainSpace | HeaderSpace | FixedSpace)


def make_walk(n: int, space: SearchSpace, profile: NetworkProfile) -> Walk:
    """Return `n` drafts of `space`.

    Raises:
        ConfigurationError: the space is none of those that have a native vector form.
    """
    if isinstance(space, MultiBranchSpace | ExplicitSpace):
        return GraphWalk(n, space, profile)
    if isinstance(space, ChainSpace | HeaderSpace | FixedSpace):
        return SequenceWalk(n, space, profile)
    raise ConfigurationError(
        f"Space {space.name!r} ({type(space).__name__}) has no native vector form; "
        "make it with gymnasium.make_vec(…, vectorization_mode='sync') or 'async'."
    )
