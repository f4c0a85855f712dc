"""Golden transcripts: fixed actions through every environment. `python tests/envs/transcripts.py` writes them anew."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from nasgym.core.randomness import stream
from nasgym.envs import ENVIRONMENTS, ArchitectureEnv
from nasgym.tasks import Task
from nasgym.testing.closed_form import ClosedFormEstimator

GOLDEN = Path(__file__).parent / "golden" / "transcripts.json"
EPISODES = 4


def transcript(kind: str) -> list[list[dict[str, Any]]]:
    """What happens in four episodes of actions that are mostly allowed, the same ones every time."""
    env = ArchitectureEnv(kind=kind, task=Task("golden", "golden", (24, 24, 3), 7), estimator=ClosedFormEstimator())
    generator = stream(0, "golden", kind)
    episodes = []
    for _ in range(EPISODES):
        observation, info = env.reset()
        steps = [_entry(observation, info)]
        while "stop" not in info:
            allowed = np.flatnonzero(info["action_mask"])
            action = int(generator.integers(env.action_space.n))
            if generator.random() < 0.9:
                action = int(generator.choice(allowed))
            observation, reward, terminated, truncated, info = env.step(action)
            ends = {"terminated": terminated, "truncated": truncated}
            steps.append({"action": action, "reward": round(reward, 12), **ends, **_entry(observation, info)})
        episodes.append(steps)
    return episodes


def _entry(observation: np.ndarray, info: dict[str, Any]) -> dict[str, Any]:
    """An observation as the positions of its ones, an info as JSON values."""
    entry = {"ones": np.flatnonzero(observation).tolist()}
    for key, value in info.items():
        entry[key] = value.tolist() if isinstance(value, np.ndarray) else value
    entry["nsc"] = [row for row in entry["nsc"] if any(row)]
    entry["action_mask"] = "".join(map(str, entry["action_mask"]))
    return entry


if __name__ == "__main__":
    transcripts = {kind: transcript(kind) for kind in ENVIRONMENTS.values()}
    lines = ",\n".join(
        f'"{kind}": [\n' + ",\n".join(f"  {json.dumps(step)}" for steps in episodes for step in steps) + "\n]"
        for kind, episodes in transcripts.items()
    )
    GOLDEN.write_text(f"{{\n{lines}\n}}\n")
