"""Every kind of pixel becomes the 8-bit value it stands for."""

import io

import numpy as np
import pytest
from data_samples import encoded, pixels, png
from PIL import Image

from nasgym.core.errors import DataError
from nasgym.data import Record
from nasgym.data.pixels import UnreadableImageError, decode, decode_sized, resize_aligned_corners, to_uint8


def saved(image: Image.Image, form: str = "PNG", **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def decoded(content: bytes, size: int = 2) -> np.ndarray:
    return decode(Record("a", content), size)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.new("L", (2, 2), 77), [77]),
        (Image.new("1", (2, 2), 1), [255]),
        (Image.new("RGB", (2, 2), (1, 2, 3)), [1, 2, 3]),
        (Image.new("RGB", (2, 2), (9, 9, 9)), [9]),
        (Image.new("RGBA", (2, 2), (10, 20, 30, 255)), [10, 20, 30]),
        (Image.new("RGBA", (2, 2), (10, 20, 30, 0)), [255]),
        (Image.new("LA", (2, 2), (0, 51)), [204]),
        (Image.new("P", (2, 2), 0), [0]),
        (Image.fromarray(np.full((2, 2), 65535, np.uint16)), [255]),
        (Image.fromarray(np.full((2, 2), 257 * 40, np.uint16)), [40]),
    ],
    ids=[
        "grey",
        "1 bit",
        "colour",
        "grey in colours",
        "opaque",
        "transparent is white",
        "half grey",
        "palette",
        "16 bit",
        "16 bit mid",
    ],
)
def test_a_uniform_image_of_every_mode_has_the_value_it_stands_for(image, expected):
    result = decoded(saved(image))
    assert result.shape == (2, 2, len(expected))
    assert (result == np.array(expected)).all()


def test_float_images_are_fractions_of_white_or_8_bit_values():
    for values, expected in ((np.full((2, 2), 0.5), 128), (np.full((2, 2), 200.0), 200)):
        content = saved(Image.fromarray(values.astype(np.float32)), "TIFF")
        assert (decoded(content) == expected).all()


def test_a_palette_with_colours_is_read_in_colour():
    image = Image.new("P", (2, 2), 1)
    image.putpalette([0, 0, 0, 200, 100, 50])
    assert (decoded(saved(image)) == [200, 100, 50]).all()


def test_a_photograph_is_turned_upright():
    image = Image.fromarray(np.repeat(np.array([[0, 255], [0, 255]], np.uint8), 8, axis=0).repeat(8, axis=1))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: the left column belongs on top
    upright = decoded(saved(image, "JPEG", exif=exif, quality=100))[..., 0]
    assert (upright[0] < 40).all()
    assert (upright[1] > 215).all()


def test_images_of_any_shape_become_a_square_and_their_size_is_told():
    result, original = decode_sized(Record("a", saved(Image.new("L", (30, 10), 5))), 8)
    assert result.shape == (8, 8, 1)
    assert original == (10, 30)


def test_resizing_is_bilinear_with_anti_aliasing():
    stripes = np.tile(np.array([[0, 255]], np.uint8), (8, 4))[..., None]
    inner = decoded(encoded(stripes), 2)
    assert (abs(inner.astype(int) - 128) < 20).all()


def test_aligned_corners_map_corners_onto_corners():
    ramp = np.array([[0, 30], [60, 90]], np.uint8)[..., None]
    assert resize_aligned_corners(ramp, 3)[..., 0].tolist() == [[0, 15, 30], [30, 45, 60], [60, 75, 90]]
    assert resize_aligned_corners(np.arange(25, dtype=np.uint8).reshape(5, 5, 1), 3)[..., 0].tolist() == [
        [0, 2, 4],
        [10, 12, 14],
        [20, 22, 24],
    ]


def test_pixels_that_have_the_right_size_are_not_changed():
    assert (decode(Record("a", pixels(3, channels=3)), 8) == pixels(3, channels=3)).all()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "the file is empty"),
        (b"this is a text, not a picture", "not an image"),
        (png(0, 32)[:200], "corrupt image"),
        (saved(Image.fromarray(pixels(0, 64)[..., 0]), "JPEG")[:300], "corrupt image"),
    ],
    ids=["empty", "text", "cut-off PNG", "cut-off JPEG"],
)
def test_a_file_that_cannot_be_decoded_says_why(content, why):
    with pytest.raises(UnreadableImageError, match=why):
        decoded(content)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_an_image_that_unpacks_to_too_many_pixels_is_refused():
    bomb = saved(Image.new("1", (10_001, 10_000)))
    assert len(bomb) < 100_000
    with pytest.raises(DataError, match=r"sun\.png: a decompression bomb .*Remove the file, or scale it down"):
        decode(Record("sun.png", bomb), 8)


@pytest.mark.parametrize(
    ("array", "first"),
    [
        (np.array([[[0.0, 1.0], [0.5, 0.2]]]), [0, 255, 128, 51]),
        (np.array([[[0.0, 200.0], [3.0, 1.0]]]), [0, 200, 3, 1]),
        (np.array([[[0, 65535], [257, 514]]]), [0, 255, 1, 2]),
        (np.array([[[True, False], [False, True]]]), [255, 0, 0, 255]),
        (np.array([[0, 1, 2, 3]], np.int64), [0, 1, 2, 3]),
    ],
    ids=["fractions", "8-bit floats", "16 bits", "booleans", "rows"],
)
def test_arrays_become_8_bit_by_their_range(array, first):
    result = to_uint8(array, "a.npz")
    assert result.shape == (1, 2, 2, 1)
    assert result.ravel().tolist() == first


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 5)), r"a\.npz: rows of 5 values are not square images"),
        (np.zeros((2, 4, 4, 2)), r"an array of shape \(2, 4, 4, 2\) does not hold images"),
        (np.zeros(7), r"an array of shape \(7,\)"),
        (np.array([[[-1.0]]]), r"pixel values from -1 to -1.*Rescale them"),
        (np.array([[[np.nan]]]), r"pixel values from nan"),
        (np.array([[["a"]]]), r"pixels of type <U1 are not numbers"),
    ],
)
def test_arrays_that_are_no_images_are_refused_with_what_they_are(array, message):
    with pytest.raises(DataError, match=message):
        to_uint8(array, "a.npz")
