"""What was wrong in NASGym and nas-dmrl, and is not here: docs/originals.md names these tests row by row."""

import ast
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import gymnasium
import numpy as np
import PIL.Image
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

import nasgym.envs
from nasgym.architectures import parse_architecture
from nasgym.data import Part
from nasgym.evaluation import Completed, EvaluationRequest, Failed, FailureKind, Outcome
from nasgym.evaluation.evaluator import MemoryCache
from nasgym.evaluation.fitting import fit
from nasgym.evaluation.recipes import PROFILES, Recipe, Sgd, StepDecay
from nasgym.evaluation.training import TrainingEstimator, TrainingImages, course_of, initial_network
from nasgym.networks.plan import plan
from nasgym.networks.profiles import DEFAULT, PAPER, NetworkProfile
from nasgym.store import StoredEvaluation, open_store
from nasgym.tasks import Budget, Fidelity, ImageTask, Task, make_task
from nasgym.testing.stores import request_and_key

ROOT = Path(__file__).parents[1]
TASK = Task("signs", "signs-1", (32, 32, 3), 10)
CPU = torch.device("cpu")
CONV3, TERMINAL = 1, 7


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> ImageTask:
    """120 training images of 12 px."""
    folder = tmp_path_factory.mktemp("cache")
    return make_task("digits", size=12, max_images=200, cache_dir=folder, fidelity=Fidelity(epochs=1, resolution=12))


@dataclass
class Asked:
    """Answers 0.5 and remembers what it was asked."""

    answer: Callable[[EvaluationRequest], Outcome] = lambda _: Completed(0.5)
    fingerprint: str = "asked"
    profile: NetworkProfile = DEFAULT
    texts: list[str] = field(default_factory=list)

    def evaluate(self, request: EvaluationRequest) -> Outcome:
        self.texts.append(str(request.architecture))
        return self.answer(request)


# --- evaluating networks


class Sealed(ImageTask):
    def images(self, part: Part | str) -> NDArray[np.uint8]:
        assert part != Part.TEST, "a test image was looked at"
        return super().images(part)

    def labels(self, part: Part | str) -> NDArray[np.int64]:
        assert part != Part.TEST, "a test label was looked at"
        return super().labels(part)


def test_no_test_image_is_looked_at_while_networks_are_built_and_rewarded(digits: ImageTask) -> None:
    sealed = Sealed(**{name: getattr(digits, name) for name in digits.__dataclass_fields__})
    with pytest.raises(AssertionError, match="a test image was looked at"):
        sealed.images("test")
    env = gymnasium.make("nasgym/Chain-v1", task=sealed, describe_task=True)
    env.reset(seed=0)
    *_, info = env.step(CONV3)
    assert info["accuracy"] > 0


def test_the_terminal_action_trains_nothing() -> None:
    estimator = Asked()
    env = gymnasium.make("nasgym/Chain-v1", task=TASK, estimator=estimator)
    env.reset(seed=0)
    *_, after_layer = env.step(CONV3)
    _, reward, terminated, _, after_terminal = env.step(TERMINAL)
    assert estimator.texts == ["conv3"]
    assert (reward, terminated, after_terminal["from_store"]) == (0.5, True, True)
    assert after_terminal["architecture_id"] == after_layer["architecture_id"]


def test_whatever_decides_an_outcome_is_a_part_of_its_key() -> None:
    estimator = TrainingEstimator(PROFILES["default"], device="cpu")
    request = EvaluationRequest.of(parse_architecture("conv3 maxpool2"), TASK)
    other_rate = replace(PROFILES["default"], search=replace(PROFILES["default"].search, learning_rate=1e-3))
    keys = {
        "as it is": request.key(estimator),
        "architecture": replace(request, architecture=parse_architecture("conv3")).key(estimator),
        "data": replace(request, task=replace(TASK, fingerprint="signs-2")).key(estimator),
        "epochs": replace(request, fidelity=Fidelity(epochs=9)).key(estimator),
        "resolution": replace(request, fidelity=Fidelity(epochs=8, resolution=84)).key(estimator),
        "samples": replace(request, fidelity=Fidelity(epochs=8, samples=100)).key(estimator),
        "seed": replace(request, seed=1).key(estimator),
        "profile": request.key(TrainingEstimator(PROFILES["paper"], device="cpu")),
        "learning rate": request.key(TrainingEstimator(other_rate, device="cpu")),
        "time limit": request.key(TrainingEstimator(PROFILES["default"], device="cpu", time_limit=60.0)),
    }
    assert len(set(keys.values())) == len(keys)


def test_a_budget_is_no_part_of_the_key() -> None:
    free = EvaluationRequest.of(parse_architecture("conv3"), TASK)
    bounded = EvaluationRequest.of(parse_architecture("conv3"), TASK.with_budget(Budget(parameters=10**6)))
    assert free.key(Asked()) == bounded.key(Asked())


def bug(request: EvaluationRequest) -> Outcome:
    raise ZeroDivisionError(f"a bug at {request.architecture}")


def test_a_bug_raises_and_leaves_no_outcome() -> None:
    cache = MemoryCache()
    env = gymnasium.make("nasgym/Chain-v1", task=TASK, estimator=Asked(bug), store=cache)
    env.reset(seed=0)
    with pytest.raises(ZeroDivisionError, match="a bug at conv3"):
        env.step(CONV3)
    assert len(cache) == 0


def test_a_failure_of_the_network_earns_nothing_and_is_kept_as_a_failure() -> None:
    cache, failed = MemoryCache(), Failed(FailureKind.DIVERGED, "Loss is NaN.")
    estimator = Asked(lambda _: failed)
    env = gymnasium.make("nasgym/Chain-v1", task=TASK, estimator=estimator, store=cache)
    env.reset(seed=0)
    _, reward, terminated, _, info = env.step(CONV3)
    assert (reward, terminated, info["failure"]) == (0.0, False, "diverged")
    assert cache.get(EvaluationRequest.of(parse_architecture("conv3"), TASK).key(estimator)) == failed


def trained(
    task: ImageTask, recipe: Recipe, epochs: int, profile: NetworkProfile = PAPER
) -> tuple[nn.Module, nn.Module]:
    """Return a network before and after a training."""
    architecture = parse_architecture("conv3 maxpool2")
    planned = plan(architecture, task.input_shape, task.n_classes, profile)
    images = TrainingImages.of(task, task.fidelity, recipe, CPU)
    network = initial_network(planned, 0, CPU)
    course = course_of(architecture, recipe, images.scaling, 0)
    for _ in fit(network, images.train, images.validation, course, planned=lambda _: epochs):
        pass
    return initial_network(planned, 0, CPU), network


def test_batch_norm_normalises_while_training_and_remembers_for_validation(digits: ImageTask) -> None:
    recipe = PROFILES["paper"].search
    before, after = trained(digits, replace(recipe, batch_size=30), epochs=5)
    fresh, norm = (network.get_submodule("layers.1.norm") for network in (before, after))
    assert isinstance(norm, nn.BatchNorm2d)
    assert isinstance(fresh, nn.BatchNorm2d)
    assert norm.num_batches_tracked == 5 * 4
    for name in ("running_mean", "running_var"):
        assert not torch.allclose(norm.get_buffer(name), fresh.get_buffer(name), atol=0.01), name
    norm.train()
    features = norm(torch.randn(64, 32, 8, 8, generator=torch.Generator().manual_seed(0)) * 3 + 2)
    centred = (features - norm.bias[:, None, None]) / norm.weight[:, None, None]
    assert torch.allclose(centred.mean(dim=(0, 2, 3)), torch.zeros(32), atol=1e-4)
    assert torch.allclose(centred.var(dim=(0, 2, 3)), torch.ones(32), atol=1e-2)


def weights(network: nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


def test_the_learning_rate_of_the_recipe_is_obeyed_and_its_decay_takes_place(digits: ImageTask) -> None:
    plain = replace(PROFILES["paper"].search, optimizer=Sgd(momentum=0.0), schedule=StepDecay(1.0, epochs=1))
    light = replace(PAPER, head=replace(DEFAULT.head))

    def change(recipe: Recipe, epochs: int) -> torch.Tensor:
        before, after = trained(digits, recipe, epochs, light)
        return weights(after) - weights(before)

    one = change(replace(plain, learning_rate=0.1), 1)
    assert one.norm() > 0.01
    assert change(replace(plain, learning_rate=0.0), 1).norm() == 0
    stopped = replace(plain, learning_rate=0.1, schedule=StepDecay(0.0, epochs=1))
    assert torch.equal(change(stopped, 3), one), "a rate that falls to 0 after the first epoch ends the training there"
    assert not torch.allclose(change(replace(plain, learning_rate=0.1), 3), one, atol=0.01)


def test_a_training_decodes_nothing_and_writes_nothing(
    digits: ImageTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(PIL.Image, "open", lambda *_: pytest.fail("an image was decoded"))
    written: list[str] = []
    watching = [True]

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if watching and event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wxa+"):
            written.append(str(arguments[0]))

    sys.addaudithook(watch)
    estimator = TrainingEstimator(PROFILES["default"], device="cpu")
    try:
        for text in ("conv3", "conv3 maxpool2"):
            outcome = estimator.evaluate(EvaluationRequest.of(parse_architecture(text), digits))
            assert isinstance(outcome, Completed)
    finally:
        watching.clear()  # an audit hook stays for the life of the process
    assert [path for path in written if not path.startswith("/proc/")] == []  # where peak memory is measured
    assert list(tmp_path.iterdir()) == []


def test_the_paper_head_holds_most_parameters_and_is_capped_and_the_default_head_is_light() -> None:
    architecture = parse_architecture("conv3 conv3 maxpool2 conv5")
    paper, default = (plan(architecture, (84, 84, 3), 47, profile) for profile in (PAPER, DEFAULT))
    head = sum(layer.parameters for layer in paper.head.layers) / paper.parameters
    assert head > 0.99
    assert sum(layer.parameters for layer in default.head.layers) / default.parameters < 0.25
    large = Task("large", "large", (512, 512, 3), 10)
    outcome = TrainingEstimator(PROFILES["paper"], device="cpu").evaluate(
        EvaluationRequest.of(architecture, ImageTask(**vars(large), dataset=None, split=None, classes=()))  # type: ignore[arg-type]  # no image is needed to see that it is too large
    )
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.OUT_OF_MEMORY
    assert re.search(r"[\d,]+ parameters; profile 'paper' builds at most 400,000,000", outcome.message)


# --- keeping results


def test_an_insert_takes_as_long_in_a_large_store_as_in_a_small_one(tmp_path: Path) -> None:
    request, key = request_and_key()
    row = StoredEvaluation.of(request, key, Completed(0.5))

    def seconds_per_put(first: int) -> float:
        taken = []
        for seed in range(first, first + 60):
            started = time.perf_counter()
            store.put(request, replace(key, seed=seed), Completed(0.5))
            taken.append(time.perf_counter() - started)
        return statistics.median(taken)

    with open_store(tmp_path / "store.sqlite") as store:
        small = seconds_per_put(0)
        added = store.add(replace(row, key=replace(key, seed=seed)) for seed in range(100, 10_100))
        large = seconds_per_put(20_000)
    assert added.new == 10_000
    assert large < 10 * small, (
        f"{small:.6f} s among 60 rows, {large:.6f} s among 10,000: rewriting takes 170 times as long"
    )


SPLIT = """
import os, sys
if sys.argv[2] == "one":
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    os.cpu_count = lambda: 64
from nasgym.data import SplitRules, load_dataset, make_split
split = make_split(load_dataset("digits", size=8, cache_dir=sys.argv[1]), SplitRules()).split
print(split.fingerprint)
"""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system cannot hide its cores")
def test_the_split_does_not_depend_on_the_machine(tmp_path: Path) -> None:
    printed = []
    for cores, seed in (("all", "1"), ("one", "2")):
        command = [sys.executable, "-c", SPLIT, str(tmp_path / cores), cores]
        environment = os.environ | {"PYTHONHASHSEED": seed}
        printed.append(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)
    assert printed[0] == printed[1] != ""


# --- environments and configuration


def test_the_explicit_environment_starts_and_builds_a_graph() -> None:
    env = gymnasium.make("nasgym/Explicit-v1", task=TASK, estimator=Asked()).unwrapped
    assert isinstance(env, nasgym.envs.ArchitectureEnv)
    env.reset(seed=0)
    labels = [env.search_space.describe(action) for action in range(161)]
    assert env.action_space == gymnasium.spaces.Discrete(161)
    for label in ("conv3(0)", "conv5(0)", "add(2,1)"):
        *_, info = env.step(np.int64(labels.index(label)))
    assert info["architecture"] == "conv3(0) conv5(0) add(2,1)"


IMPORT_ALL = """
import importlib, os, pkgutil, sys
places = [os.path.realpath(os.getcwd()), os.path.realpath(os.environ["HOME"])]
opened = []
def watch(event, arguments):
    if event in ("open", "os.listdir", "os.scandir") and isinstance(arguments[0], str):
        path = os.path.realpath(arguments[0])
        if any(path == place or path.startswith(place + os.sep) for place in places):
            opened.append((event, path))
sys.path = [entry for entry in sys.path if entry]
sys.addaudithook(watch)
import nasgym
for module in pkgutil.walk_packages(nasgym.__path__, "nasgym."):
    importlib.import_module(module.name)
print([entry for entry in opened if "fonts" not in entry[1]])  # which matplotlib looks for
"""


def test_importing_reads_nothing_from_the_working_directory_or_the_home(tmp_path: Path) -> None:
    for name in ("resources/config.ini", "resources/nasenv.yml", "nasgym.toml", "config.ini"):
        file = tmp_path / "work" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("nonsense")
    (tmp_path / "home").mkdir()
    ended = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL],
        cwd=tmp_path / "work",
        env=os.environ | {"HOME": str(tmp_path / "home"), "MPLCONFIGDIR": str(tmp_path / "matplotlib")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stdout.strip() == "[]", ended.stderr
    assert list((tmp_path / "home").iterdir()) == []


# --- the page


def names_of_tests(file: Path) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.FunctionDef)}


def test_every_test_that_the_page_names_exists_and_every_test_here_is_named() -> None:
    page = (ROOT / "docs" / "originals.md").read_text(encoding="utf-8")
    own = names_of_tests(Path(__file__))
    named = re.findall(r"`(?:(tests/[\w/]+\.py)::)?(test_\w+)`", page)
    assert len(named) > 25
    for file, name in named:
        assert name in (names_of_tests(ROOT / file) if file else own), f"docs/originals.md names {file}::{name}"
    here = {name for file, name in named if not file}
    assert {name for name in own if name.startswith("test_")} == here | {
        "test_every_test_that_the_page_names_exists_and_every_test_here_is_named",
        "test_every_row_of_the_page_says_what_guards_it",
    }


def test_every_row_of_the_page_says_what_guards_it() -> None:
    page = (ROOT / "docs" / "originals.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| ") and not line.startswith("| there")]
    assert len(rows) == 17
    for row in rows:
        assert re.search(r"`(tests/|test_)", row.split("|")[4]), row
