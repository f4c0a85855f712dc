"""Making environments by id: what `gymnasium.make` takes, and what it costs."""

import subprocess
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from known import TASK, Known

from nasgym.architectures.actions import AddLayer, Terminate
from nasgym.architectures.operations import Operation
from nasgym.architectures.spaces.chain import ChainSpace
from nasgym.architectures.spaces.definition import OperationChoice, SpaceDefinition, SpaceKind
from nasgym.architectures.spaces.loading import load_space
from nasgym.core.errors import ConfigurationError, DataError, PluginError
from nasgym.envs import ENVIRONMENTS, ArchitectureEnv, register_environments
from nasgym.evaluation.recipes import training_profile
from nasgym.tasks import Budget, Task, make_task
from nasgym.testing.closed_form import ClosedFormEstimator

SPACE_FILE = """
nasenv:
    name: Two convolutions and a merge
    version: 1.0
    max_nlayers: 4
    encoding: NSC
    layers:
        - convolution: {id: 1, kernel_size: [3, 5], pred1: True, pred2: False}
        - add:         {id: 5, kernel_size: Null, pred1: True, pred2: True}
        - terminal:    {id: 7, kernel_size: Null, pred1: False, pred2: False}
"""


@pytest.mark.parametrize(("name", "kind"), ENVIRONMENTS.items())
def test_every_id_makes_the_environment_of_its_space(name: str, kind: str) -> None:
    env = gymnasium.make(name, task=TASK, estimator=ClosedFormEstimator()).unwrapped
    assert isinstance(env, ArchitectureEnv)
    assert env.search_space.actions == load_space(kind).actions


def test_registering_twice_changes_nothing() -> None:
    before = dict(gymnasium.registry)
    register_environments()
    assert dict(gymnasium.registry) == before


@pytest.mark.parametrize(
    "lines",
    [
        "import gymnasium, nasgym.envs; env = gymnasium.make('nasgym/MultiBranch-v1', task=task, estimator=estimator)",
        "import gymnasium; env = gymnasium.make('nasgym.envs:nasgym/MultiBranch-v1', task=task, estimator=estimator)",
    ],
)
def test_an_environment_on_an_estimator_of_ones_own_needs_no_torch(lines: str) -> None:
    program = (
        "import sys\n"
        "from nasgym.tasks import Task\n"
        "from nasgym.testing.closed_form import ClosedFormEstimator\n"
        "task, estimator = Task('t', 'f', (32, 32, 3), 10), ClosedFormEstimator()\n"
        f"{lines}\n"
        "env.reset(); env.step(1)\n"
        "print('torch' in sys.modules, 'matplotlib' in sys.modules, 'sqlalchemy' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert run.stdout.split() == ["False", "False", "False"], run.stderr


def test_an_id_with_a_space_file_of_ones_own_makes_the_kind_of_the_id(tmp_path: Path) -> None:
    file = tmp_path / "space.yml"
    file.write_text(SPACE_FILE)
    settings = {"space": file, "task": TASK, "estimator": Known()}
    # chain: conv3, conv5, terminal; multi-branch: and add, four shifts; explicit: 2·4 + 1 + 4·3/2
    for name, actions in (("nasgym/Chain-v1", 3), ("nasgym/MultiBranch-v1", 8), ("nasgym/Explicit-v1", 15)):
        assert gymnasium.make(name, **settings).action_space.n == actions
    # rows of type 8, kernel 5 + 1 and pred1 d + 1
    assert gymnasium.make("nasgym/Chain-v1", **settings).observation_space.shape == (4 * (8 + 6 + 5),)
    assert gymnasium.make("nasgym/Chain-v1", max_layers=6, **settings).observation_space.shape == (6 * (8 + 6 + 7),)


def test_a_space_and_an_estimator_of_ones_own_are_given_as_objects() -> None:
    space = ChainSpace(
        SpaceDefinition(
            "tiny",
            SpaceKind.CHAIN,
            2,
            (OperationChoice(Operation.CONVOLUTION, (7,)), OperationChoice(Operation.TERMINAL)),
        )
    )
    assert space.actions == (AddLayer(Operation.CONVOLUTION, 7), Terminate())
    env = gymnasium.make("nasgym/Chain-v1", space=space, task=TASK, estimator=Known({"conv7": 0.9}))
    env.reset()
    assert env.step(np.int64(0))[1] == 0.9
    with pytest.raises(ConfigurationError, match="max_layers=3, but the space given has max_layers=2"):
        gymnasium.make("nasgym/Chain-v1", space=space, max_layers=3, task=TASK, estimator=Known())


def test_an_unknown_estimator_is_refused_with_what_there_is() -> None:
    with pytest.raises(PluginError, match=r"No estimator 'trainin' .known: training.*Did you mean 'training'"):
        ArchitectureEnv(task=TASK, estimator="trainin")


def test_a_task_that_names_nothing_is_refused() -> None:
    with pytest.raises(DataError):
        ArchitectureEnv(task="no/such/folder", estimator=Known())


def test_an_unknown_profile_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"Unknown training profile 'papre'.*Did you mean 'paper'"):
        ArchitectureEnv(task=TASK, profile="papre")


def test_without_a_task_it_is_the_embedded_digits_at_32_pixels() -> None:
    env = ArchitectureEnv(estimator=Known())
    assert (env.task.name, env.task.input_shape, env.task.n_classes) == ("digits", (32, 32, 1), 10)


def test_a_task_by_name_gets_the_epochs_of_the_profile() -> None:
    env = ArchitectureEnv(profile="paper")
    assert env.task.fidelity.epochs == training_profile("paper").search.epochs == 12
    assert ArchitectureEnv().task.fidelity.epochs == training_profile("default").search.epochs


def test_a_task_by_reset_may_be_a_path(tmp_path: Path) -> None:
    images = np.zeros((40, 8, 8), dtype=np.uint8)
    images[::2, 2:6, 2:6] = np.arange(20, dtype=np.uint8)[:, None, None] + 100
    images[1::2] = np.arange(20, dtype=np.uint8)[:, None, None]
    np.savez(tmp_path / "squares.npz", images=images, labels=np.arange(40) % 2)
    env = ArchitectureEnv(task=TASK, estimator=Known(), budget=Budget(parameters=10))
    env.reset(options={"task": tmp_path / "squares.npz"})
    assert env.task.n_classes == 2
    assert env.task.budget == Budget(parameters=10), "the environment's budget holds on every task"


def test_a_store_by_path_outlives_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "store.sqlite"
    for known in (False, True):
        env = gymnasium.make("nasgym/Chain-v1", task=TASK, estimator=ClosedFormEstimator(), store=file)
        env.reset()
        *_, info = env.step(np.int64(1))
        assert info["from_store"] is known
        env.close()


def test_a_description_of_the_task_follows_the_rows() -> None:
    digits = make_task("digits", size=16, max_images=300)
    plain = ArchitectureEnv(task=digits, estimator=Known())
    described = ArchitectureEnv(task=digits, estimator=Known(), describe_task=True)
    length = plain.observation_space.shape[0]
    assert described.observation_space.shape == (length + 7,)
    observation, _ = described.reset()
    assert np.array_equal(observation[:length], plain.reset()[0])
    assert observation[length] == pytest.approx(np.log2(10) / 12)
    assert observation in described.observation_space
    larger, _ = described.reset(options={"task": make_task("digits", size=32, max_images=300)})
    assert larger[length + 2] == pytest.approx(np.log2(32) / 10)


def test_a_task_without_images_cannot_be_described() -> None:
    with pytest.raises(ConfigurationError, match="Task 'pictures' has no images to describe; leave out describe_task"):
        ArchitectureEnv(task=Task("pictures", "f", (32, 32, 3), 10), estimator=Known(), describe_task=True)


@pytest.mark.slow
def test_a_network_trained_for_real_on_digits_beats_the_head_alone() -> None:
    task = make_task("digits", size=16, max_images=600)
    env = gymnasium.make("nasgym/Chain-v1", task=task, reward_timing="terminal", max_steps=3)
    env.reset()
    assert env.step(np.int64(1))[1] == 0.0
    assert env.step(np.int64(3))[1] == 0.0
    _, trained, _, truncated, info = env.step(np.int64(1))
    assert truncated
    assert info["architecture"] == "conv3 maxpool2 conv3"
    env.reset()
    _, alone, terminated, _, _ = env.step(np.int64(7))
    assert terminated
    assert trained > alone + 0.2
    env.reset()
    env.step(np.int64(1))
    env.step(np.int64(3))
    *_, info = env.step(np.int64(1))
    assert info["from_store"]
    assert info["accuracy"] == trained
