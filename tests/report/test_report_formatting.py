import pytest

from nasgym.report.formatting import article, duration, enumeration, integer, percent, plural, quantity, sentence_case


@pytest.mark.parametrize(
    ("number", "unit", "text"),
    [
        (None, "", "–"),
        (0, "B", "–"),
        (1, "", "1"),
        (999, "", "999"),
        (999, "B", "999 B"),
        (999.6, "", "1.00 k"),
        (1000, "B", "1.00 kB"),
        (48_213, "", "48.2 k"),
        (482_130, "", "482 k"),
        (999_499, "", "999 k"),
        (999_600, "", "1.00 M"),
        (75_200_000, "FLOPs", "75.2 MFLOPs"),
    ],
)
def test_quantities_have_three_digits_and_a_prefix(number, unit, text):
    assert quantity(number, unit).replace("\u00a0", " ") == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.84, "0.8 s"),
        (9.97, "10 s"),
        (59.7, "1 min"),
        (843, "14 min 3 s"),
        (3599.8, "1 h"),
        (7500, "2 h 5 min"),
    ],
)
def test_durations_have_their_two_largest_units(seconds, text):
    assert duration(seconds).replace("\u00a0", " ") == text


def test_words_agree_with_their_numbers():
    assert percent(0.8734) == "87.3\u00a0%"
    assert percent(None) == "–"
    assert integer(12400) == "12\u202f400"
    assert plural(1, "network") == "1 network"
    assert plural(2, "class", "classes") == "2 classes"
    assert enumeration(["a"]) == "a"
    assert enumeration(["a", "b", "c"]) == "a, b and c"
    assert article("untrained network") == "an untrained network"
    assert sentence_case("vGG") == "VGG"
