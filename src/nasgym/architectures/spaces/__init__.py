"""Search spaces: what can be built, and the actions that build it."""

from nasgym.architectures.spaces.chain import ChainSpace
from nasgym.architectures.spaces.edge import EdgeSpace
from nasgym.architectures.spaces.edge_mini import EdgeMiniSpace
from nasgym.architectures.spaces.explicit import ExplicitSpace
from nasgym.architectures.spaces.fixed import FixedSpace
from nasgym.architectures.spaces.loading import BUILT_IN, load_space, space_from_text
from nasgym.architectures.spaces.multi_branch import MultiBranchSpace
from nasgym.architectures.spaces.space import Draft, Ending, SearchSpace

__all__ = [
    "BUILT_IN",
    "ChainSpace",
    "Draft",
    "EdgeMiniSpace",
    "EdgeSpace",
    "Ending",
    "ExplicitSpace",
    "FixedSpace",
    "MultiBranchSpace",
    "SearchSpace",
    "load_space",
    "space_from_text",
]
