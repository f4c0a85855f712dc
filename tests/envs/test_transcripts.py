"""What an environment does to a fixed list of actions does not drift."""

import json

import pytest
from transcripts import GOLDEN, transcript

from nasgym.envs import ENVIRONMENTS


@pytest.mark.parametrize("kind", ENVIRONMENTS.values())
def test_the_transcript_is_the_golden_one(kind: str) -> None:
    golden = json.loads(GOLDEN.read_text())[kind]
    found = [step for steps in transcript(kind) for step in steps]
    for number, (expected, step) in enumerate(zip(golden, found, strict=True)):
        assert step == expected, f"line {number} of {kind}"
