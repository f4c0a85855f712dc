"""Episodes as text and as pictures."""

import numpy as np
import pytest
from known import TASK, Known

from nasgym.envs import ArchitectureEnv
from nasgym.envs.rendering import IMAGE_SIDE
from nasgym.networks.profiles import PAPER
from nasgym.tasks import Task


def test_text_shows_rows_architecture_pointers_and_the_last_reward() -> None:
    env = ArchitectureEnv(
        kind="multi-branch", task=TASK, estimator=Known({"conv3": 0.625}), max_layers=3, render_mode="ansi"
    )
    env.reset()
    env.step(1)
    env.step(11)
    assert env.render() == (
        " index   type kernel  pred1  pred2  operation\n"
        "     0      0      0      0      0\n"
        "     0      0      0      0      0\n"
        "     1      1      3      0      0  conv\n"
        "architecture: conv3\n"
        "pointers: -1 0\n"
        "step 2: reward 0.3125"
    )
    env.step(7)
    assert str(env.render()).endswith("step 3: reward 0.6250, ended: terminal")


def test_text_says_so_while_the_header_is_not_complete() -> None:
    env = ArchitectureEnv(kind="edge", task=TASK, estimator=Known(), render_mode="ansi")
    env.reset()
    env.step(0)
    text = str(env.render())
    assert "     0     10      1      0      0  stem" in text
    assert "architecture: its header is not complete" in text


def test_a_picture_has_the_same_size_at_every_step_and_shows_the_network() -> None:
    env = ArchitectureEnv(kind="edge", task=TASK, estimator=Known(), render_mode="rgb_array")
    env.reset()
    pictures = [env.render()]
    _, info = env.reset()
    for _ in range(5):
        *_, info = env.step(int(np.flatnonzero(info["action_mask"])[0]))
        pictures.append(env.render())
    for picture in pictures:
        assert isinstance(picture, np.ndarray)
        assert (picture.shape, picture.dtype) == ((IMAGE_SIDE, IMAGE_SIDE, 3), np.uint8)
    assert (np.asarray(pictures[0]) == 255).all(), "white while there is no network"
    assert not np.array_equal(pictures[-1], pictures[-2])


def test_an_impossible_network_is_drawn_too() -> None:
    env = ArchitectureEnv(
        task=Task("small", "small", (4, 4, 1), 2), estimator=Known(profile=PAPER), render_mode="rgb_array"
    )
    env.reset()
    *_, info = env.step(2)
    assert info["stop"] == "invalid"
    assert not (np.asarray(env.render()) == 255).all()


@pytest.mark.parametrize("mode", [None, "ansi", "rgb_array"])
def test_only_the_chosen_mode_is_rendered(mode: str | None) -> None:
    env = ArchitectureEnv(task=TASK, estimator=Known(), render_mode=mode)
    env.reset()
    assert {None: type(None), "ansi": str, "rgb_array": np.ndarray}[mode] is type(env.render())
