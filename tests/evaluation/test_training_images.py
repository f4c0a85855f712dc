"""Pixels on their way into a network: `nasgym.evaluation.images`."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nasgym.architectures import Augmentation
from nasgym.core.errors import ConfigurationError
from nasgym.evaluation.images import Changes, Scaling, resident, subset
from nasgym.evaluation.recipes import Inputs

CPU = torch.device("cpu")


def changes(*, shift: tuple[int, int] = (0, 0), flip: bool = False, turns: int = 0) -> Changes:
    return Changes(torch.tensor([shift]), torch.tensor([flip]), torch.tensor([turns]))


def changed(image: list[list[int]], change: Changes) -> list[list[int]]:
    pixels = torch.tensor(image, dtype=torch.uint8)[None, :, :, None]
    return change.apply(pixels, torch.tensor([0]))[0, :, :, 0].tolist()


def test_standardised_training_images_have_mean_0_and_deviation_1_in_every_channel() -> None:
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (50, 6, 6, 3)).astype(np.uint8))
    pixels[..., 1] //= 3
    images = Scaling.of(pixels, Inputs.STANDARDISED).on(CPU).apply(pixels)
    assert images.shape == (50, 3, 6, 6)
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert torch.allclose(images.mean(dim=(0, 2, 3)), torch.zeros(3), atol=1e-5)
    assert torch.allclose(images.std(dim=(0, 2, 3), correction=0), torch.ones(3), atol=1e-5)


def test_unit_inputs_run_from_0_to_1() -> None:
    pixels = torch.tensor([0, 51, 255], dtype=torch.uint8).reshape(1, 1, 3, 1)
    assert Scaling.of(pixels, Inputs.UNIT).on(CPU).apply(pixels).flatten().tolist() == pytest.approx([0, 0.2, 1])


def test_a_constant_channel_becomes_0_and_not_infinite() -> None:
    pixels = torch.full((2, 3, 3, 1), 7, dtype=torch.uint8)
    assert Scaling.of(pixels, Inputs.STANDARDISED).on(CPU).apply(pixels).abs().max() == 0


def test_images_of_another_size_are_averaged_down() -> None:
    images = np.zeros((1, 4, 4, 1), dtype=np.uint8)
    images[0, :, :2] = 200
    small = resident(images, np.array([0]), 2, CPU).pixels
    assert small.shape == (1, 2, 2, 1)
    assert small[0, 0, 0, 0] > 150 > 50 > small[0, 0, 1, 0]


def test_images_of_the_right_size_are_untouched() -> None:
    images = np.arange(16, dtype=np.uint8).reshape(1, 4, 4, 1)
    assert resident(images, np.array([0]), 4, CPU).pixels.flatten().tolist() == list(range(16))


def test_a_shift_moves_the_image_and_repeats_its_border() -> None:
    image = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    assert changed(image, changes(shift=(1, 0))) == [[1, 2, 3], [1, 2, 3], [4, 5, 6]]
    assert changed(image, changes(shift=(0, -1))) == [[2, 3, 3], [5, 6, 6], [8, 9, 9]]


def test_a_flip_exchanges_left_and_right() -> None:
    assert changed([[1, 2], [3, 4]], changes(flip=True)) == [[2, 1], [4, 3]]


@pytest.mark.parametrize("turns", range(4))
def test_quarter_turns_are_those_of_numpy_the_other_way_round(turns: int) -> None:
    image = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    assert changed(image, changes(turns=turns)) in (
        np.rot90(np.array(image), turns).tolist(),
        np.rot90(np.array(image), -turns).tolist(),
    )


def test_the_four_quarter_turns_differ() -> None:
    image = [[1, 2], [3, 4]]
    assert len({str(changed(image, changes(turns=turns))) for turns in range(4)}) == 4


@pytest.mark.parametrize("augmentation", [Augmentation.SHIFT, Augmentation.SHIFT_FLIP, Augmentation.QUARTER_TURNS])
def test_changes_do_what_their_augmentation_says_and_nothing_else(augmentation: Augmentation) -> None:
    drawn = Changes.draw(augmentation, 500, 20, torch.Generator().manual_seed(0), CPU)
    assert drawn is not None
    shifts = augmentation in (Augmentation.SHIFT, Augmentation.SHIFT_FLIP)
    assert set(drawn.shifts.flatten().tolist()) == (set(range(-2, 3)) if shifts else {0})
    assert set(drawn.flips.tolist()) == ({False, True} if augmentation is Augmentation.SHIFT_FLIP else {False})
    assert set(drawn.turns.tolist()) == (set(range(4)) if augmentation is Augmentation.QUARTER_TURNS else {0})


def test_without_augmentation_nothing_is_drawn() -> None:
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    assert Changes.draw(Augmentation.NONE, 5, 8, generator, CPU) is None
    assert torch.equal(before, generator.get_state())


@given(st.lists(st.integers(0, 4), min_size=5, max_size=80), st.data())
def test_a_subset_is_fixed_stratified_and_lies_within_larger_ones(labels: list[int], data: st.DataObject) -> None:
    array = np.array(labels)
    n_classes = len(set(labels))
    small = data.draw(st.integers(n_classes, len(labels)))
    large = data.draw(st.integers(small, len(labels)))
    chosen = subset(array, small)
    assert len(chosen) == small == len(set(chosen.tolist()))
    assert set(array[chosen].tolist()) == set(labels)
    assert np.array_equal(chosen, subset(array, small))
    assert set(chosen.tolist()) <= set(subset(array, large).tolist())


def test_a_subset_keeps_the_proportions_of_the_classes() -> None:
    labels = np.repeat([0, 1, 2], [60, 30, 10])
    assert np.bincount(labels[subset(labels, 50)]).tolist() == [30, 15, 5]


def test_no_number_of_samples_means_all() -> None:
    assert subset(np.array([0, 1, 1]), None).tolist() == [0, 1, 2]


def test_fewer_samples_than_classes_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="2 samples cannot hold all 3 classes; ask for at least that many"):
        subset(np.array([0, 1, 2, 2]), 2)
