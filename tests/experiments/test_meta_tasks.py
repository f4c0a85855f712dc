"""From lists of tasks in a configuration to tasks: names, variations, class subsets, and what is held out."""

from pathlib import Path
from typing import Any

import pytest

from meta_samples import small_table
from nasgym.core.errors import ConfigurationError
from nasgym.experiments.meta.config import make_meta_config
from nasgym.experiments.meta.environments import search_space, space_text
from nasgym.experiments.meta.tasks import TaskLists, make_tasks, open_source
from nasgym.tasks import Budget, ImageTask


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("table") / "small.table"
    small_table(file)
    return file


def made(cache: Path, **tasks: Any) -> TaskLists:
    config = make_meta_config({"tasks": tasks})
    source = open_source(config.tasks, config.environment, cache_dir=cache)
    return make_tasks(source, config.tasks, config.environment.profile)


def test_tasks_of_a_table_are_named_and_budgets_multiply_them(table, tmp_path):
    train = [{"source": "sea", "max_parameters": [1000, 2000]}, "wood"]
    lists = made(tmp_path, table=str(table), train=train, validation=["sky"])
    assert [task.name for task in lists.train] == ["sea, parameters 1000", "sea, parameters 2000", "wood"]
    assert [task.budget for task in lists.train] == [Budget(1000), Budget(2000), Budget()]
    assert lists.train[0].fingerprint == "data-sea"
    assert [task.name for task in lists.validation] == ["sky"]


@pytest.mark.parametrize(
    ("tasks", "words"),
    [
        ({"train": ["seas"]}, r"Table 'small' has no task 'seas' \(tasks: sea, wood, sky\)\. Did you mean 'sea'\?"),
        ({"train": [{"source": "sea", "size": 8}]}, r"Task 'sea' has size, but a table answers"),
        ({"train": ["sea"], "validation": ["sea"]}, r"Task 'sea' is held out in tasks\.validation, but it is 'sea' of"),
        ({"train": ["sea", "sea"]}, r"Two tasks are called 'sea'"),
    ],
)
def test_tasks_that_a_table_cannot_give_are_refused(table, tmp_path, tasks, words):
    with pytest.raises(ConfigurationError, match=words):
        made(tmp_path, table=str(table), **tasks)


def test_images_vary_by_subsets_of_classes_and_by_samples(tmp_path):
    entry = {"source": "digits", "size": 8, "subsets": 2, "n_classes": 3, "samples": [50, 100], "epochs": 1}
    train = made(tmp_path, train=[entry]).train
    assert [task.name for task in train] == [
        f"digits, subset {number}, samples {samples}" for number in (1, 2) for samples in (50, 100)
    ]
    assert [(task.n_classes, task.fidelity.samples, task.fidelity.epochs) for task in train] == [
        (3, 50, 1),
        (3, 100, 1),
    ] * 2
    first, _, second, _ = (task.class_names for task in train if isinstance(task, ImageTask))
    assert first != second
    again = made(tmp_path, train=[entry]).train
    assert again == train


def test_the_same_images_with_other_samples_may_be_held_out_but_not_the_same_task(tmp_path):
    one = {"source": "digits", "size": 8, "samples": 50}
    made(tmp_path, train=[one], validation=[one | {"samples": 60}])
    with pytest.raises(ConfigurationError, match=r"held out in tasks\.test"):
        made(tmp_path, train=[one], test=[one | {"name": "again"}])


def test_too_few_classes_for_a_subset_are_refused(tmp_path):
    with pytest.raises(
        ConfigurationError, match=r"Task 'digits' has 10 classes, too few for subsets of n_classes = 11"
    ):
        made(tmp_path, train=[{"source": "digits", "size": 8, "subsets": 1, "n_classes": 11}])


def test_the_space_is_that_of_the_table_unless_the_settings_name_one(table, tmp_path):
    def text(**environment: Any) -> str:
        config = make_meta_config({"tasks": {"table": str(table), "train": ["sea"]}, "environment": environment})
        return space_text(search_space(config.environment, open_source(config.tasks, config.environment)))

    assert text() == text(space="chain", max_layers=10)
    assert "up to 2 layers" in text(space="chain", max_layers=2)
    assert text(space="multi-branch") != text()
    assert "161 actions" in text(space="explicit")
