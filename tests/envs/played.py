"""Playing environments by action numbers. Chain: 0-2 conv 1/3/5, 3-4 maxpool 2/3, 5-6 avgpool 2/3, 7 terminal.

Multi-branch: the same, then 8 add, 9 concat, 10 p1 up, 11 p1 down, 12 p2 up, 13 p2 down.
"""

from typing import Any

from known import TASK, Known

from nasgym.envs import ArchitectureEnv

CONV1, CONV3, CONV5, MAX2, MAX3, AVG2, AVG3, TERMINAL = range(8)
ADD, CONCAT, P1_UP, P1_DOWN, P2_UP, P2_DOWN = range(8, 14)


def make(kind: str = "chain", **settings: Any) -> ArchitectureEnv:
    """An environment that has been reset, on 32-pixel pictures unless told otherwise."""
    env = ArchitectureEnv(**{"kind": kind, "task": TASK, "estimator": Known(), **settings})
    env.reset()
    return env


def rewards(env: ArchitectureEnv, *actions: int) -> list[float]:
    return [env.step(action)[1] for action in actions]


def last(env: ArchitectureEnv, *actions: int) -> tuple[float, bool, bool, dict[str, Any]]:
    """Reward, terminated, truncated and info of the last of some actions."""
    for action in actions:
        _, reward, terminated, truncated, info = env.step(action)
    return reward, terminated, truncated, info


def layers(info: dict[str, Any]) -> list[list[int]]:
    """The rows of the NSC that are not empty."""
    return [row for row in info["nsc"].tolist() if any(row)]
