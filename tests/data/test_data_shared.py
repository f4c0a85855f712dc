"""The real data sets read as their README counts them. The same formats are generated in test_data_readers.py."""

import pytest

from nasgym.data import SplitRules, load_dataset, make_split


@pytest.mark.parametrize(
    ("name", "images", "classes", "channels"),
    [
        ("omniglot", 4840, 242, 1),
        ("quickdraw3", 3000, 3, 1),
        ("oracle_mnist", 3000, 10, 1),
        ("sign_digits", 2062, 10, 3),
        ("cmaterdb", 12000, 30, 1),
        ("dtd10", 1200, 10, 3),
        ("flowers5", 3119, 5, 3),
    ],
)
def test_a_real_data_set_has_the_images_and_classes_it_should(shared_data, tmp_path, name, images, classes, channels):
    dataset = load_dataset(shared_data / "images" / name, size=32, cache_dir=tmp_path)
    assert (len(dataset), dataset.n_classes, dataset.shape) == (images, classes, (32, 32, channels))
    assert all(problem.harmless for problem in dataset.problems)
    result = make_split(dataset, SplitRules())
    assert sum(len(side) for side in result.split.sides()) == images


def test_tracks_of_traffic_signs_stay_together(shared_data, tmp_path):
    dataset = load_dataset(shared_data / "images" / "traffic_sign", size=16, cache_dir=tmp_path)
    assert (len(dataset), dataset.n_classes) == (8880, 43)
    result = make_split(dataset, SplitRules(group_pattern="{group}_*"))
    tracks = [{path.rsplit("_", 1)[0] for path in dataset.paths[side]} for side in result.split.sides()]
    assert sum(map(len, tracks)) == len(set.union(*tracks)) == 888
    assert len(result.classes) == 43
    for side, share in zip(result.split.sides(), (0.6, 0.2, 0.2), strict=True):
        assert len(side) / 8880 == pytest.approx(share, abs=0.02)
