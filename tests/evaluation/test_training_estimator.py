"""An outcome by training: `nasgym.evaluation.training`."""

import math
import re
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nasgym.architectures import Architecture, Augmentation, parse_architecture
from nasgym.core.errors import ConfigurationError
from nasgym.data import Split
from nasgym.evaluation import Completed, EvaluationRequest, Failed, FailureKind, Outcome
from nasgym.evaluation import training as training_module
from nasgym.evaluation.fitting import fit
from nasgym.evaluation.images import Scaling
from nasgym.evaluation.recipes import Precision, Profile, Recipe, Sgd, training_profile
from nasgym.evaluation.training import TrainingEstimator, TrainingImages, course_of, initial_network
from nasgym.networks.plan import plan
from nasgym.networks.profiles import NetworkProfile
from nasgym.tasks import Budget, Fidelity, ImageTask, Task
from nasgym.testing.estimators import check_estimator

CPU = torch.device("cpu")
DEFAULT = training_profile("default")


def estimator(profile: Profile = DEFAULT, time_limit: float | None = None) -> TrainingEstimator:
    return TrainingEstimator(profile, device="cpu", threads=1, time_limit=time_limit)


def outcome(
    task: ImageTask, text: str = "conv3 maxpool2 conv3", *, by: TrainingEstimator | None = None, repeat: int = 0
) -> Outcome:
    return (by or estimator()).evaluate(EvaluationRequest.of(parse_architecture(text), task, repeat=repeat))


def numbers(answer: Outcome) -> tuple[object, ...]:
    """Return what must be the same when the same request is answered again."""
    result = answer.accuracy if isinstance(answer, Completed) else answer.message
    return result, answer.metrics.train_losses, answer.metrics.validation_losses


def test_the_training_estimator_keeps_the_contract_of_estimators(stripes_task: ImageTask) -> None:
    check_estimator(estimator, stripes_task)


def test_the_paper_profile_keeps_it_too(stripes_task: ImageTask) -> None:
    check_estimator(lambda: estimator(training_profile("paper")), stripes_task)


@dataclass
class Drifting:
    """A broken estimator: every evaluation is a little better than the one before."""

    profile: NetworkProfile = DEFAULT.network
    fingerprint: str = "drifting"
    asked: int = 0

    def evaluate(self, request: EvaluationRequest) -> Outcome:
        self.asked += 1
        return Completed(self.asked / 100)


@dataclass
class Percent(Drifting):
    """A broken estimator: accuracies in percent."""

    def evaluate(self, request: EvaluationRequest) -> Outcome:
        return Completed(83.0)


@dataclass
class Spelling(Drifting):
    """A broken estimator: its answer depends on how the network is written."""

    def evaluate(self, request: EvaluationRequest) -> Outcome:
        return Completed(int.from_bytes(str(request.architecture).encode()) % 97 / 97)


@dataclass
class Undying(Drifting):
    """A broken estimator: it has an accuracy for networks that cannot exist."""

    def evaluate(self, request: EvaluationRequest) -> Outcome:
        return Completed(0.5)


@dataclass
class Nameless(Drifting):
    """A broken estimator: no fingerprint."""

    fingerprint: str = ""


@dataclass
class Unseeded(Drifting):
    """A broken estimator: it draws from the global random state."""

    def evaluate(self, request: EvaluationRequest) -> Outcome:
        np.random.rand()  # noqa: NPY002 - this is what is broken
        return estimator().evaluate(request)


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (Drifting, "'conv3 maxpool2 conv3' after another network: .* but they must agree"),
        (Percent, r"the accuracy of 'empty' must lie in \[0, 1\], is 83.0"),
        (Spelling, "which are one network: .* but they must agree"),
        (Undying, "poolings of 12 pixels leave none, yet gave Completed"),
        (Nameless, "fingerprint is empty"),
        (Unseeded, "moved NumPy's global random state"),
    ],
)
def test_the_contract_tells_what_is_wrong_with_a_broken_estimator(
    broken: type[Drifting], why: str, stripes_task: ImageTask
) -> None:
    with pytest.raises(AssertionError, match=why):
        check_estimator(broken, stripes_task)


def test_a_small_network_learns_to_read_digits(digits_task: ImageTask) -> None:
    answer = outcome(digits_task, "conv3 maxpool2 conv3 maxpool2 conv3")
    assert isinstance(answer, Completed)
    assert answer.accuracy > 0.9
    assert answer.metrics.validation_accuracies[-1] == answer.accuracy
    assert len(answer.metrics.train_losses) == len(answer.metrics.validation_losses) == 4
    assert answer.metrics.train_losses[-1] < answer.metrics.train_losses[0] / 2


def test_metrics_are_those_of_the_plan(stripes_task: ImageTask) -> None:
    metrics = outcome(stripes_task).metrics
    planned = plan(parse_architecture("conv3 maxpool2 conv3"), (12, 12, 3), 3, DEFAULT.network)
    assert (metrics.parameters, metrics.flops, metrics.density) == (planned.parameters, planned.flops, planned.density)
    assert metrics.seconds > 0
    assert metrics.peak_memory == 0 or metrics.peak_memory > 10_000_000


def test_the_same_request_gives_the_same_numbers_whatever_ran_before(stripes_task: ImageTask) -> None:
    first = outcome(stripes_task)
    used = estimator()
    outcome(stripes_task, "conv5 conv5", by=used)
    torch.manual_seed(123)
    assert numbers(outcome(stripes_task, by=used)) == numbers(first)


def test_another_seed_gives_another_training(stripes_task: ImageTask) -> None:
    assert numbers(outcome(stripes_task, repeat=1)) != numbers(outcome(stripes_task))


def test_dropout_draws_from_the_evaluation_seed_and_leaves_torch_s_state_alone(stripes_task: ImageTask) -> None:
    paper = estimator(training_profile("paper"))
    before = torch.get_rng_state()
    first = outcome(stripes_task, by=paper)
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(5)
    assert numbers(outcome(stripes_task, by=paper)) == numbers(first)


def test_the_number_of_threads_is_put_back(stripes_task: ImageTask) -> None:
    before = torch.get_num_threads()
    outcome(stripes_task, by=TrainingEstimator(DEFAULT, device="cpu", threads=before + 1))
    assert torch.get_num_threads() == before


def with_test_labels_scrambled(task: ImageTask) -> ImageTask:
    """Return the task with its test images taken from the training side, so that their labels are others."""
    split = task.split
    return replace(task, split=Split(split.train, split.validation, split.train[::-1].copy()))


def test_a_search_never_looks_at_test_images(stripes_task: ImageTask) -> None:
    scrambled = with_test_labels_scrambled(stripes_task)
    assert not np.array_equal(scrambled.labels("test"), stripes_task.labels("test"))
    assert numbers(outcome(scrambled)) == numbers(outcome(stripes_task))


def test_a_fidelity_of_fewer_samples_trains_on_fewer_images(stripes_task: ImageTask) -> None:
    images = TrainingImages.of(stripes_task, Fidelity(1, 12, samples=9), DEFAULT.search, CPU)
    assert torch.bincount(images.train.labels).tolist() == [3, 3, 3]
    assert len(images.validation) == 18


def test_a_fidelity_of_another_resolution_trains_on_resized_images(stripes_task: ImageTask) -> None:
    small = replace(stripes_task, fidelity=Fidelity(epochs=1, resolution=6))
    answer = outcome(small, "conv3")
    assert isinstance(answer, Completed)
    assert answer.metrics.flops < outcome(stripes_task, "conv3").metrics.flops / 3
    assert isinstance(outcome(small, "maxpool2 maxpool2 maxpool2"), Failed)


def batches(monkeypatch: pytest.MonkeyPatch, task: ImageTask, text: str, profile: Profile) -> list[int]:
    """Return the sizes of the training batches of one evaluation."""
    sizes = []
    build = training_module.build

    def spied(*arguments: object) -> nn.Module:
        network: nn.Module = build(*arguments)
        network.register_forward_pre_hook(
            lambda module, inputs: sizes.append(len(inputs[0])) if module.training else None
        )
        return network

    monkeypatch.setattr(training_module, "build", spied)
    outcome(replace(task, fidelity=Fidelity(1, 12)), text, by=estimator(profile))
    return sizes


def of_batch(size: int, branch: int | None = None) -> Profile:
    """Return the default profile in fp32, which torch trains, with other batches."""
    recipe = replace(DEFAULT.search, precision=Precision.FLOAT32, batch_size=size, branch_batch_size=branch or size)
    return replace(DEFAULT, search=recipe)


def test_an_epoch_is_cut_into_nearly_equal_batches(monkeypatch: pytest.MonkeyPatch, stripes_task: ImageTask) -> None:
    assert batches(monkeypatch, stripes_task, "conv3", of_batch(53)) == [27, 27]  # and not 53 + 1


def test_a_multi_branch_network_takes_the_smaller_batch(
    monkeypatch: pytest.MonkeyPatch, stripes_task: ImageTask
) -> None:
    assert batches(monkeypatch, stripes_task, "conv3(0) conv3(0) add(1,2)", of_batch(54, 18)) == [18, 18, 18]


def train_one_epoch(task: ImageTask, text: str, recipe: Recipe) -> tuple[nn.Module, TrainingImages]:
    images = TrainingImages.of(task, Fidelity(1, 12), recipe, CPU)
    architecture = parse_architecture(text)
    network = initial_network(plan(architecture, task.input_shape, 3, DEFAULT.network), 0, CPU)
    course = course_of(architecture, recipe, images.scaling, 0)
    list(fit(network, images.train, images.validation, course, planned=lambda _: 1))
    return network, images


def test_batch_normalisation_learns_the_statistics_of_its_input(stripes_task: ImageTask) -> None:
    recipe = replace(DEFAULT.search, learning_rate=0.0, optimizer=Sgd(), batch_size=54)
    network, images = train_one_epoch(stripes_task, "conv3", recipe)
    norm = network.get_submodule("layers.1.norm")
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.num_batches_tracked == 1
    features = network.get_submodule("layers.1.conv")(images.scaling.on(CPU).apply(images.train.pixels))
    assert norm.running_mean is not None
    assert torch.allclose(norm.running_mean, 0.1 * features.mean(dim=(0, 2, 3)), atol=0.01)
    assert norm.running_mean.abs().max() > 0.001


def test_biases_and_normalisation_do_not_decay(stripes_task: ImageTask) -> None:
    recipe = replace(DEFAULT.search, learning_rate=0.1, optimizer=Sgd(momentum=0.0, weight_decay=0.5), batch_size=54)
    decayed, _ = train_one_epoch(stripes_task, "conv3", recipe)
    plain, _ = train_one_epoch(stripes_task, "conv3", replace(recipe, optimizer=Sgd(momentum=0.0)))
    before = initial_network(plan(parse_architecture("conv3"), (12, 12, 3), 3, DEFAULT.network), 0, CPU)
    for name, start in before.named_parameters():
        share = 0.1 * 0.5 if start.ndim > 1 else 0.0  # one step at the peak of the schedule
        expected = plain.get_parameter(name) - share * start
        assert torch.allclose(decayed.get_parameter(name), expected, atol=1e-4), name


def test_a_header_chooses_the_augmentation() -> None:
    scaling = Scaling((0.0,), (255.0,))
    turned = parse_architecture("stem=1 width=8 augment=quarter-turns conv3")
    assert course_of(turned, DEFAULT.final, scaling, 0).augmentation is Augmentation.QUARTER_TURNS
    assert course_of(Architecture(), DEFAULT.final, scaling, 0).augmentation is DEFAULT.final.augmentation


def test_the_augmentation_of_a_header_changes_the_training(stripes_task: ImageTask) -> None:
    plain, turned = (
        outcome(stripes_task, f"stem=1 width=8 {augment} conv3") for augment in ("", "augment=quarter-turns")
    )
    assert numbers(plain) != numbers(turned)


def test_a_network_that_shrinks_below_a_pixel_is_invalid(stripes_task: ImageTask) -> None:
    answer = outcome(stripes_task, "maxpool3 maxpool3 maxpool3")
    assert isinstance(answer, Failed)
    assert answer.kind is FailureKind.INVALID
    assert "Layer 3 (maxpool3)" in answer.message


def test_a_network_over_the_budget_is_not_trained(stripes_task: ImageTask) -> None:
    answer = outcome(stripes_task.with_budget(Budget(parameters=100)))
    assert isinstance(answer, Failed)
    assert answer.kind is FailureKind.OVER_BUDGET
    assert answer.metrics.train_losses == ()
    assert "the budget is 100" in answer.message


def test_a_network_beyond_the_safety_cap_is_out_of_memory(stripes_task: ImageTask) -> None:
    capped = replace(DEFAULT, network=replace(DEFAULT.network, max_parameters=1000))
    answer = outcome(stripes_task, by=estimator(capped))
    assert isinstance(answer, Failed)
    assert answer.kind is FailureKind.OUT_OF_MEMORY
    assert "profile 'default' builds at most 1,000" in answer.message


def test_a_loss_that_is_no_number_is_a_failure_with_what_came_before(stripes_task: ImageTask) -> None:
    wild = replace(DEFAULT, search=replace(DEFAULT.search, learning_rate=1e30, optimizer=Sgd(momentum=0.0)))
    answer = outcome(stripes_task, by=estimator(wild))
    assert isinstance(answer, Failed)
    assert answer.kind is FailureKind.DIVERGED
    assert "after epoch" in answer.message
    assert all(math.isfinite(loss) for loss in answer.metrics.train_losses)


def test_a_network_that_takes_too_long_is_timed_out(digits_task: ImageTask) -> None:
    answer = outcome(digits_task, "conv5 conv5 conv5", by=estimator(time_limit=0.2))
    assert isinstance(answer, Failed)
    assert answer.kind is FailureKind.TIMED_OUT
    assert re.search(r"in epoch \d of 4; allow more time, or ask for fewer epochs", answer.message)
    assert 0.2 <= answer.metrics.seconds < 5


MEMORY_ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
    MemoryError("no room"),
]


def raising(error: Exception) -> type[nn.Module]:
    class Raising(nn.Module):
        def __init__(self, *arguments: object) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1))

        def forward(self, images: Tensor) -> Tensor:
            raise error

    return Raising


@pytest.mark.parametrize("error", MEMORY_ERRORS, ids=["torch", "allocator", "python"])
def test_memory_that_runs_out_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, stripes_task: ImageTask, error: Exception
) -> None:
    monkeypatch.setattr(training_module, "build", raising(error))
    answer = outcome(stripes_task)
    assert isinstance(answer, Failed)
    assert answer.kind is FailureKind.OUT_OF_MEMORY
    assert str(error) in answer.message


def test_a_real_allocation_that_is_too_large_counts_as_memory_running_out() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert training_module.is_out_of_memory(caught.value)


def test_a_bug_raises(monkeypatch: pytest.MonkeyPatch, stripes_task: ImageTask) -> None:
    monkeypatch.setattr(training_module, "build", raising(RuntimeError("shapes cannot be multiplied")))
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        outcome(stripes_task)


def test_a_task_without_images_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="Task 'table' has no images to train on"):
        estimator().evaluate(EvaluationRequest.of(Architecture(), Task("table", "x", (8, 8, 1), 2)))


def test_a_fidelity_without_epochs_is_refused(stripes_task: ImageTask) -> None:
    with pytest.raises(ConfigurationError, match="at least one epoch; the fidelity is 0 epochs, 12 px, all samples"):
        outcome(replace(stripes_task, fidelity=Fidelity(0, 12)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"device": "gpu"}, "Device 'gpu' is unknown; choose auto, cpu, cuda or cuda:N"),
        ({"device": "mps"}, "Device 'mps' is not supported"),
        ({"device": "cuda:99"}, "Device 'cuda:99' is not here: torch sees"),
        ({"threads": 0}, "threads must be at least 1, got 0"),
        ({"time_limit": 0}, "time_limit must be above 0 seconds, got 0"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        TrainingEstimator(DEFAULT, **settings)  # type: ignore[arg-type] # wrong on purpose


def test_the_fingerprint_tells_profile_and_time_limit_but_not_threads() -> None:
    assert estimator().fingerprint == TrainingEstimator(DEFAULT, device="auto", threads=2).fingerprint
    fingerprints = {
        estimator().fingerprint,
        estimator(time_limit=5).fingerprint,
        estimator(training_profile("paper")).fingerprint,
    }
    assert len(fingerprints) == 3
