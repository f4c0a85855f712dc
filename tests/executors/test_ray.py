"""Ray: where it is, what there is room for, and images that a node does not have."""

import os
from dataclasses import replace
from pathlib import Path

import called
import numpy as np
import pytest

from nasgym.data import Part
from nasgym.data.cache import is_intact
from nasgym.evaluation.resident import Resident
from nasgym.executors.ray_cluster import RayError, RaySettings, ray_executor
from nasgym.executors.ray_desk import install
from nasgym.tasks import make_task


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (RaySettings(gpus=0.25), r"No node of Ray has room for a worker of 1 CPU\(s\) and 0.25 GPU\(s\); they have: "),
        (RaySettings(cpus=4096), r"room for a worker of 4096 CPU\(s\) and 0 GPU\(s\).*Ask for less per worker"),
    ],
)
def test_a_worker_that_no_node_has_room_for_is_refused(ray, settings, message):
    with pytest.raises(RayError, match=message):
        ray_executor(1, settings)


def test_as_many_workers_as_there_is_room_for(ray):
    with ray_executor(None, RaySettings(cpus=0.5)) as executor:
        assert executor.workers == 2 * (os.cpu_count() or 1) or executor.workers >= 4


def test_more_workers_than_there_is_room_for_leave_the_work_to_the_others(ray):
    with ray_executor(6) as executor:
        futures = [executor.submit(called.divide, number, 1) for number in range(20)]
        assert [future.result(timeout=100) for future in futures] == list(range(20))


@pytest.fixture
def out_of_reach(tmp_path):
    """A path that leads to a folder in this process, and nowhere in any other."""
    folder = tmp_path / "cache"
    folder.mkdir()
    descriptor = os.open(folder, os.O_RDONLY)
    yield Path(f"/proc/self/fd/{descriptor}")
    os.close(descriptor)


def test_a_node_without_the_images_gets_them_once_and_keeps_them_in_its_cache(ray, out_of_reach):
    task = make_task("digits", size=8, cache_dir=out_of_reach)
    with ray_executor(2) as executor:
        futures = [executor.submit(checksum, Resident(replace(task, evaluation_seed=seed))) for seed in range(6)]
        found = [future.result(timeout=100) for future in futures]
    folders = {folder for folder, _ in found}
    assert {total for _, total in found} == {int(task.images(Part.TRAIN).sum(dtype=np.int64))}
    assert len(folders) == 1
    (folder,) = folders
    assert folder.name == task.dataset.folder.name
    assert folder != task.dataset.folder
    assert is_intact(folder)
    assert [place.name for place in folder.parent.iterdir() if place.name.startswith("writing-")] == []


def checksum(task: Resident) -> tuple[Path, int]:
    return task.value.dataset.folder, int(task.value.images(Part.TRAIN).sum(dtype=np.int64))


def test_of_two_that_install_the_same_images_at_once_one_is_enough(tmp_path, monkeypatch):
    task = make_task("digits", size=8, cache_dir=tmp_path / "here")
    files = {file.name: file.read_bytes() for file in task.dataset.folder.iterdir()}
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "there"))
    for _ in range(2):
        install(task.dataset.folder.name, files)
    (kept,) = (tmp_path / "there" / "nasgym").iterdir()
    assert is_intact(kept)
