"""Random action sequences through every environment, each step checked.

As a test on a few sequences; in full: `python tests/envs/random_walks.py --sequences 100000`.
"""

import argparse
import time
from dataclasses import dataclass

import numpy as np

from nasgym.core.randomness import stream
from nasgym.envs import ENVIRONMENTS, ArchitectureEnv
from nasgym.networks.profiles import DEFAULT, PAPER, NetworkProfile
from nasgym.tasks import Budget, Task
from nasgym.testing.closed_form import ClosedFormEstimator


@dataclass(frozen=True)
class Setting:
    """One way to make an environment."""

    profile: NetworkProfile
    side: int
    reward_timing: str = "every_step"
    parameters: int | None = None


SETTINGS = (
    Setting(DEFAULT, 32),
    Setting(PAPER, 12),
    Setting(DEFAULT, 32, parameters=6_000),
    Setting(PAPER, 20, reward_timing="terminal", parameters=1_500_000),
)
"""Small images for endings by size; budgets that some networks keep and others do not."""


@dataclass
class Tally:
    """What was seen."""

    sequences: int = 0
    steps: int = 0
    masked_actions: int = 0
    zero_endings: int = 0
    networks: int = 0


def walk(name: str, setting: Setting, sequences: int, seed: int) -> Tally:
    """Take `sequences` random action sequences in environment `name`, and check each step.

    Raises:
        AssertionError: a reward outside [0, 1], an observation outside its space, or a mask that is wrong.
    """
    task = Task("random walks", "none", (setting.side, setting.side, 3), 10, Budget(parameters=setting.parameters))
    env = ArchitectureEnv(
        kind=ENVIRONMENTS[name],
        task=task,
        estimator=ClosedFormEstimator(setting.profile),
        reward_timing=setting.reward_timing,
    )
    generator = stream(seed, "random walks", name, SETTINGS.index(setting))
    n_actions = int(env.action_space.n)
    tally = Tally(sequences)
    for number in range(sequences):
        _, info = env.reset()
        careful = number % 2
        ended = False
        while not ended:
            mask = info["action_mask"]
            action = int(generator.integers(n_actions))
            if careful and mask.any() and generator.random() < 0.95:
                action = int(generator.choice(np.flatnonzero(mask)))
            observation, reward, terminated, truncated, info = env.step(action)
            ended = terminated or truncated
            right = (
                0 <= reward <= 1
                and env.observation_space.contains(observation)
                and (mask[action] == 0) == (ended and reward == 0)
                and not (terminated and truncated)
            )
            assert right, f"{name}, {setting}, sequence {number}: action {action} gave {reward}, {info}"
            tally.steps += 1
            tally.masked_actions += int(mask[action] == 0)
            tally.zero_endings += int(ended and reward == 0)
            tally.networks += int("accuracy" in info)
    return tally


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sequences", type=int, default=100_000, help="for each environment")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=ENVIRONMENTS, nargs="+", default=list(ENVIRONMENTS), help="environments")
    arguments = parser.parse_args()
    for name in arguments.only:
        for setting in SETTINGS:
            began = time.perf_counter()
            tally = walk(name, setting, arguments.sequences // len(SETTINGS), arguments.seed)
            print(
                f"{name:22} {setting.profile.name:8} {setting.reward_timing:10} {tally} "
                f"{time.perf_counter() - began:.0f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
