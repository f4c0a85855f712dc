"""The environments' ids in Gymnasium's registry: strings only, so that registering costs nothing."""

import gymnasium

ENVIRONMENTS = {
    "nasgym/Chain-v1": "chain",
    "nasgym/MultiBranch-v1": "multi-branch",
    "nasgym/Explicit-v1": "explicit",
    "nasgym/Edge-v1": "edge",
    "nasgym/Joint-v1": "joint",
    "nasgym/Cell201-v1": "cell201",
    "nasgym/Macro-v1": "macro",
}
"""Kind of search space by id."""

ENTRY_POINT = "nasgym.envs.architecture_env:ArchitectureEnv"
VECTOR_ENTRY_POINT = "nasgym.envs.vector:make_vector_env"


def register_environments() -> None:
    """Make the ids known to `gymnasium.make`; ids that are known already stay as they are.

    Transitions are deterministic, but `info["from_store"]` tells whether a network was known before, which no seed
    undoes: hence `nondeterministic`.
    """
    for name, kind in ENVIRONMENTS.items():
        if name not in gymnasium.registry:
            gymnasium.register(
                name,
                entry_point=ENTRY_POINT,
                vector_entry_point=VECTOR_ENTRY_POINT,
                nondeterministic=True,
                kwargs={"kind": kind},
            )
