"""Folders of searches: which one is taken, and which one is resumed."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nasgym.core.errors import ConfigurationError
from nasgym.experiments.workspace import (
    RunReference,
    Workspace,
    latest_workspace,
    new_workspace,
    read_reference,
    write_reference,
)


@pytest.fixture(autouse=True)
def _working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def begin(name: str, source: str, *, minute: int = 0) -> Workspace:
    workspace = Workspace(Path("runs") / name)
    workspace.folder.mkdir(parents=True)
    write_reference(workspace, RunReference("a-run", "runs/store.sqlite", {"data": {"source": source}}, 1.5))
    os.utime(workspace.run, (minute * 60, minute * 60))
    return workspace


def test_names_are_made_fit_for_folders_and_numbered():
    assert [str(new_workspace(None, name).folder) for name in ("photos", "photos", "a/b: c", "..")] == [
        *("runs/photos", "runs/photos-2", "runs/a-b-c", "runs/search")
    ]


def test_searches_that_start_at_once_get_folders_of_their_own():
    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(lambda _: new_workspace(None, "photos").folder, range(16)))
    assert len(set(folders)) == 16


def test_a_folder_that_holds_a_search_is_refused_and_another_one_is_not(tmp_path):
    used = begin("used", "photos").folder
    with pytest.raises(ConfigurationError, match=r"runs/used holds a search already; go on with it by --resume"):
        new_workspace(used, "photos")
    assert new_workspace(tmp_path / "free" / "folder", "photos").folder.is_dir()


def test_a_folder_that_cannot_be_made_is_named():
    Path("file").touch()
    with pytest.raises(ConfigurationError, match=r"Cannot make the folder file/under: Not a directory; choose another"):
        new_workspace(Path("file/under"), "photos")


def test_a_reference_comes_back_as_written():
    workspace = begin("photos", "photos")
    assert read_reference(workspace) == RunReference("a-run", "runs/store.sqlite", {"data": {"source": "photos"}}, 1.5)


def test_the_latest_unfinished_search_on_the_same_data_is_resumed():
    begin("old", "photos", minute=1)
    begin("new", "photos", minute=2)
    begin("finished", "photos", minute=3).result.touch()
    begin("other", "signs", minute=4)
    assert latest_workspace("photos").folder == Path("runs/new")


def test_a_finished_search_is_found_when_there_is_no_other():
    begin("finished", "photos").result.touch()
    assert latest_workspace("photos").folder == Path("runs/finished")


def test_a_damaged_reference_stops_only_its_own_search():
    begin("broken", "photos", minute=9).run.write_text('{"run": ')
    begin("strange", "photos", minute=9).run.write_text(json.dumps([1]))
    begin("sound", "photos")
    assert latest_workspace("photos").folder == Path("runs/sound")
    with pytest.raises(ConfigurationError, match=r"runs/broken/run\.json is damaged"):
        read_reference(Workspace(Path("runs/broken")))
    with pytest.raises(ConfigurationError, match=r"runs/strange/run\.json is damaged"):
        read_reference(Workspace(Path("runs/strange")))


def test_nothing_to_resume_is_said_with_the_remedy():
    with pytest.raises(ConfigurationError, match=r"No search on 'photos' under runs/ to resume; name its folder with"):
        latest_workspace("photos")
    with pytest.raises(ConfigurationError, match=r"runs/none holds no search to resume \(run\.json is missing\)"):
        read_reference(Workspace(Path("runs/none")))
