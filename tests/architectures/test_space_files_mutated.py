"""Search-space files changed at random: each is read or refused by a message that names it."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import yaml
from space_texts import EDGE_FILE, OLDER_FILE

from nasgym.architectures.spaces import space_from_text
from nasgym.core.errors import ConfigurationError


def mutations(generator: np.random.Generator) -> Callable[[Any], Any]:
    """Return a function that changes one random place of a nested value."""
    strange = [None, 0, -1, 3, 10**30, 2.5, float("nan"), True, "", "conv", [], {}, [[]], {"id": 1}]

    def mutate(value: Any) -> Any:
        if isinstance(value, dict) and value and generator.random() < 0.9:
            key = list(value)[generator.integers(len(value))]
            match generator.integers(8):
                case 0:
                    del value[key]
                case 1:
                    value[f"{key}s"] = value.pop(key)
                case _:
                    value[key] = mutate(value[key])
            return value
        if isinstance(value, list) and value and generator.random() < 0.9:
            place = generator.integers(len(value))
            match generator.integers(6):
                case 0:
                    value.append(copy.deepcopy(value[place]))
                case 1:
                    del value[place]
                case _:
                    value[place] = mutate(value[place])
            return value
        return copy.deepcopy(strange[generator.integers(len(strange))])

    return mutate


def read_or_refused(text: str) -> tuple[bool, str]:
    """Return whether the text was read, and the message if it was not; any other error is the test's."""
    try:
        space = space_from_text(text, source="space.yml")
    except ConfigurationError as error:
        return False, str(error)
    assert 1 <= space.max_layers <= 100
    assert space.observe(space.start()).shape == (space.observation_length,)
    return True, ""


def test_mutated_files_are_read_or_refused_by_name() -> None:
    generator = np.random.default_rng(0)
    mutate = mutations(generator)
    starts = [yaml.safe_load(OLDER_FILE), yaml.safe_load(EDGE_FILE)]
    accepted = 0
    for number in range(800):
        content = copy.deepcopy(starts[number % 2])
        for _ in range(generator.integers(1, 3)):
            content = mutate(content)
        read, message = read_or_refused(yaml.safe_dump(content))
        accepted += read
        assert read or ("space.yml" in message and len(message) < 500), message
    assert 20 < accepted < 400


def test_files_with_broken_characters_are_read_or_refused_by_name() -> None:
    generator = np.random.default_rng(1)
    strange = list("[]{}:,-?!&*|>'\"%@\t \n0a\x00é")
    for _ in range(400):
        characters = list(OLDER_FILE)
        for _ in range(generator.integers(1, 4)):
            characters[generator.integers(len(characters))] = str(generator.choice(strange))
        read, message = read_or_refused("".join(characters))
        assert read or message.startswith("space.yml"), message
