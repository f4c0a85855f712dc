"""Final training, weights on disk, predictions: `nasgym.evaluation.final` and `.checkpoints`."""

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nasgym.architectures import parse_architecture
from nasgym.core.errors import CheckpointError, ConfigurationError, DataError, PlanError
from nasgym.core.randomness import stream
from nasgym.evaluation import FailureKind
from nasgym.evaluation.checkpoints import Classifier, save_checkpoint
from nasgym.evaluation.final import FinalTraining, TrainedNetwork, score_on_test_images, train_final
from nasgym.evaluation.fitting import Epoch, TrainingFailedError
from nasgym.evaluation.recipes import Sgd, Weights, training_profile
from nasgym.tasks import ImageTask

DEFAULT = training_profile("default")
CPU = FinalTraining(epochs=6, device="cpu", threads=1)


def trained_on(task: ImageTask, text: str = "conv3 maxpool2 conv3", *, how: FinalTraining = CPU) -> TrainedNetwork:
    return train_final(task, parse_architecture(text), DEFAULT, 3, how=how)


@pytest.fixture(scope="session")
def trained(stripes_task: ImageTask) -> TrainedNetwork:
    return trained_on(stripes_task)


@pytest.fixture
def checkpoint(trained: TrainedNetwork, tmp_path: Path) -> Path:
    save_checkpoint(trained, tmp_path / "best.pt")
    return tmp_path / "best.pt"


def test_a_final_training_learns_what_holds_on_test_images(trained: TrainedNetwork, stripes_task: ImageTask) -> None:
    tested = score_on_test_images(trained, stripes_task)
    assert tested is not None
    assert tested.accuracy > 0.8
    assert trained.validation.accuracy > 0.8
    assert len(trained.epochs) == 6
    assert trained.class_names == ("0", "1", "2")
    assert trained.seconds > 0


def test_the_best_epoch_by_validation_is_kept_and_of_equals_the_latest(stripes_task: ImageTask) -> None:
    best = replace(DEFAULT, final=replace(DEFAULT.final, weights=Weights.BEST))
    trained = train_final(stripes_task, parse_architecture("conv3 maxpool2"), best, how=CPU)
    accuracies = [epoch.validation.accuracy for epoch in trained.epochs]
    assert accuracies[trained.kept_epoch - 1] == max(accuracies)
    assert max(accuracies) not in accuracies[trained.kept_epoch :]


def test_the_last_epoch_is_kept_where_the_recipe_says_so(stripes_task: ImageTask) -> None:
    last = replace(DEFAULT, final=replace(DEFAULT.final, weights=Weights.LAST))
    assert train_final(stripes_task, parse_architecture("conv3"), last, how=CPU).kept_epoch == 6


def test_a_final_training_is_reproducible(stripes_task: ImageTask, trained: TrainedNetwork) -> None:
    again = trained_on(stripes_task)
    assert again.epochs == trained.epochs
    assert all(torch.equal(again.weights[name], weight) for name, weight in trained.weights.items())


def test_progress_is_told_after_every_epoch(stripes_task: ImageTask) -> None:
    told: list[tuple[int, int]] = []

    def after_epoch(behind: int, planned: int, epoch: Epoch) -> None:
        told.append((behind, planned))

    how = FinalTraining(epochs=3, device="cpu", threads=1)
    train_final(stripes_task, parse_architecture("maxpool2"), DEFAULT, how=how, after_epoch=after_epoch)
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_a_time_limit_shortens_the_training_to_at_least_one_epoch(stripes_task: ImageTask) -> None:
    hurried = trained_on(stripes_task, how=FinalTraining(epochs=500, time_limit=1e-6, device="cpu", threads=1))
    assert len(hurried.epochs) == 1
    brief = trained_on(stripes_task, how=FinalTraining(epochs=100_000, time_limit=1.0, device="cpu", threads=1))
    assert 1 < len(brief.epochs) < 100_000
    assert brief.seconds < 10


def test_a_final_training_that_diverges_raises(stripes_task: ImageTask) -> None:
    wild = replace(DEFAULT, final=replace(DEFAULT.final, learning_rate=1e30, optimizer=Sgd(momentum=0.0)))
    with pytest.raises(TrainingFailedError, match=r"The loss is .* after epoch") as caught:
        train_final(stripes_task, parse_architecture("conv3"), wild, how=CPU)
    assert caught.value.kind is FailureKind.DIVERGED


def test_a_network_that_cannot_exist_cannot_be_trained(stripes_task: ImageTask) -> None:
    with pytest.raises(PlanError, match="Layer 3"):
        trained_on(stripes_task, "maxpool3 maxpool3 maxpool3")


@pytest.mark.parametrize("settings", [{"epochs": 0}, {"time_limit": -1.0}])
def test_wrong_lengths_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match=r"at least one epoch|time_limit must be above 0"):
        FinalTraining(**settings)  # type: ignore[arg-type] # wrong on purpose


def test_a_checkpoint_gives_back_the_network_and_its_accuracies(
    trained: TrainedNetwork, checkpoint: Path, stripes_task: ImageTask
) -> None:
    classifier = Classifier.load(checkpoint)
    assert classifier.metadata.architecture == "conv3 maxpool2 conv3"
    assert classifier.metadata.plan() == trained.plan
    assert all(torch.equal(classifier.network.state_dict()[name], trained.weights[name]) for name in trained.weights)
    answers = classifier.probabilities(torch.from_numpy(stripes_task.images("test"))).argmax(1).numpy()
    tested = score_on_test_images(trained, stripes_task)
    assert tested is not None
    assert np.mean(answers == stripes_task.labels("test")) == pytest.approx(tested.accuracy)


@pytest.mark.parametrize("profile", ["paper", "default"])
def test_profiles_of_every_kind_of_head_survive_the_file(profile: str, stripes_task: ImageTask, tmp_path: Path) -> None:
    how = FinalTraining(epochs=1, device="cpu", threads=1)
    trained = train_final(stripes_task, parse_architecture("maxpool2"), training_profile(profile), how=how)
    save_checkpoint(trained, tmp_path / "best.pt")
    assert Classifier.load(tmp_path / "best.pt").metadata.profile == training_profile(profile).network


def test_a_checkpoint_holds_tensors_and_plain_values_only(checkpoint: Path) -> None:
    content = torch.load(checkpoint, weights_only=True)
    assert set(content) == {"format", "format_version", "metadata", "weights"}
    assert content["metadata"]["class_names"] == ["0", "1", "2"]
    assert content["metadata"]["input_shape"] == [12, 12, 3]


def test_saving_leaves_nothing_but_the_file(checkpoint: Path) -> None:
    assert [file.name for file in checkpoint.parent.iterdir()] == ["best.pt"]


def test_weights_that_cannot_be_written_are_an_error_that_names_the_file(
    trained: TrainedNetwork, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match=r"missing/best\.pt: the weights cannot be written"):
        save_checkpoint(trained, tmp_path / "missing" / "best.pt")


def test_files_are_read_as_training_images_were(checkpoint: Path, stripes_task: ImageTask, tmp_path: Path) -> None:
    pixels = stripes_task.images("test")[:4]
    files = []
    for number, image in enumerate(pixels):
        files.append(tmp_path / f"{number}.png")
        Image.fromarray(image).save(files[-1])
    classifier = Classifier.load(checkpoint)
    predictions = classifier.predict(files)
    expected = classifier.probabilities(torch.from_numpy(pixels))
    assert [prediction.path for prediction in predictions] == files
    for prediction, row in zip(predictions, expected, strict=True):
        assert prediction.probabilities == pytest.approx(row.tolist(), abs=1e-6)
        assert sum(prediction.probabilities) == pytest.approx(1, abs=1e-5)
        assert prediction.class_name == stripes_task.class_names[int(row.argmax())]
        assert prediction.probability == max(prediction.probabilities)


def test_grey_and_colour_files_are_taken_by_either_network(
    checkpoint: Path, digits_task: ImageTask, tmp_path: Path
) -> None:
    Image.fromarray(np.full((20, 30), 90, dtype=np.uint8)).save(tmp_path / "grey.png")
    Image.fromarray(np.full((20, 30, 3), (250, 10, 10), dtype=np.uint8)).save(tmp_path / "red.jpg")
    grey = train_final(
        digits_task, parse_architecture("maxpool2"), DEFAULT, how=FinalTraining(epochs=1, device="cpu", threads=1)
    )
    save_checkpoint(grey, tmp_path / "grey.pt")
    for file in (checkpoint, tmp_path / "grey.pt"):
        assert len(Classifier.load(file).predict([tmp_path / "grey.png", tmp_path / "red.jpg"])) == 2


def test_no_files_give_no_predictions(checkpoint: Path) -> None:
    assert Classifier.load(checkpoint).predict([]) == []


def test_a_file_that_is_no_image_is_named(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image")
    classifier = Classifier.load(checkpoint)
    with pytest.raises(DataError, match=r"text\.png: not an image"):
        classifier.predict([tmp_path / "text.png"])
    with pytest.raises(DataError, match=r"missing\.png: cannot be read: No such file"):
        classifier.predict([tmp_path / "missing.png"])


class Malicious:
    """Creates a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.file,)


def write_text(path: Path) -> None:
    path.write_text("hello")


def write_nothing(path: Path) -> None:
    path.write_bytes(b"")


def write_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:2000])


def write_other_tensors(path: Path) -> None:
    torch.save({"weights": torch.zeros(2)}, path)


def write_list(path: Path) -> None:
    torch.save([1, 2], path)


def write_code(path: Path) -> None:
    path.write_bytes(pickle.dumps(Malicious(path.with_suffix(".owned")), protocol=2))


@pytest.mark.parametrize("write", [write_text, write_nothing, write_half, write_other_tensors, write_list, write_code])
def test_what_is_no_checkpoint_is_refused_and_never_executed(write: object, checkpoint: Path) -> None:
    assert callable(write)
    write(checkpoint)
    with pytest.raises(CheckpointError, match=r"best\.pt: not a checkpoint of nasgym"):
        Classifier.load(checkpoint)
    assert not checkpoint.with_suffix(".owned").exists()


def test_a_missing_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"none\.pt: cannot be read: No such file"):
        Classifier.load(tmp_path / "none.pt")


def edited(path: Path, **changes: object) -> None:
    content = torch.load(path, weights_only=True)
    for key, value in changes.items():
        (content["metadata"] if key in content["metadata"] else content)[key] = value
    torch.save(content, path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format_version": 2}, r"format 2 is of another nasgym; this one \(.*\) reads 1. Update nasgym"),
        ({"input_shape": [12, "wide", 3]}, r"damaged: input_shape\.1: Input should be a valid integer"),
        ({"architecture": "conv3 conv9"}, "damaged: The weights do not fit"),
        ({"architecture": "cnv3"}, "damaged: Word 1 of the architecture"),
        ({"weights": {}}, "damaged: The weights do not fit"),
        ({"weights": 3}, "damaged: "),
    ],
)
def test_a_damaged_checkpoint_is_refused_with_the_reason(
    checkpoint: Path, changes: dict[str, object], message: str
) -> None:
    edited(checkpoint, **changes)
    with pytest.raises(CheckpointError, match=message):
        Classifier.load(checkpoint)


@pytest.mark.parametrize("content", [b"", b"root:x:0:0:root:/root:/bin/bash\n", b"PK", b"\x80\x02}q\x00."])
def test_a_file_that_is_no_checkpoint_is_refused_by_name(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "passwd").write_bytes(content)
    with pytest.raises(CheckpointError, match="passwd: not a checkpoint of nasgym"):
        Classifier.load(tmp_path / "passwd")


def test_a_mutated_checkpoint_is_read_or_refused(checkpoint: Path) -> None:
    whole = checkpoint.read_bytes()
    generator = stream(0, "mutations")
    refused = 0
    for _ in range(300):
        damaged = bytearray(whole)
        for place in generator.integers(len(whole), size=int(generator.integers(1, 20))):
            damaged[place] = int(generator.integers(256))
        checkpoint.write_bytes(bytes(damaged[: int(generator.integers(len(whole) // 2, len(whole) + 1))]))
        try:
            Classifier.load(checkpoint)
        except CheckpointError:
            refused += 1
    assert refused > 100
