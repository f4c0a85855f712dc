"""Opening: what becomes a store, what is refused, and what it costs."""

import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine
from sqlalchemy.schema import CreateTable

from nasgym.core.errors import NasgymError, PluginError, StoreError
from nasgym.evaluation import Completed
from nasgym.store import Store, Trace, open_store
from nasgym.store.exchange import export_store
from nasgym.store.migration import MIGRATIONS
from nasgym.store.schema import METADATA, VERSION, VERSION_TABLE
from nasgym.testing.stores import request_and_key

GOLDEN = Path(__file__).parent / "golden"


def change(file: Path, *statements: str) -> None:
    connection = sqlite3.connect(file)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def run_python(code: str) -> str:
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return finished.stdout.strip()


def test_a_path_becomes_a_sqlite_file_with_its_folder(tmp_path: Path) -> None:
    file = tmp_path / "new" / "folder" / "store with spaces & ünïcode?.sqlite"
    with open_store(str(file)) as store:
        assert store.url == str(file)
    assert file.is_file()


def test_a_path_is_meant_from_where_it_was_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with open_store("store.sqlite") as store:
        monkeypatch.chdir("/")
        request, key = request_and_key()
        store.close()
        store.put(request, key, Completed(0.5))
    assert (tmp_path / "store.sqlite").is_file()


def test_a_url_and_a_path_name_the_same_store(store: Store, store_file: Path) -> None:
    request, key = request_and_key()
    store.put(request, key, Completed(0.5))
    with open_store(f"sqlite:///{store_file}", create=False) as same:
        assert same.get(key) == Completed(0.5)


def test_a_store_keeps_a_write_ahead_log(store: Store, store_file: Path) -> None:
    connection = sqlite3.connect(store_file)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def random_bytes(file: Path) -> None:
    file.write_bytes(bytes(range(256)) * 64)


def text_file(file: Path) -> None:
    file.write_text("id,accuracy\n1,0.5\n")


def other_database(file: Path) -> None:
    change(file, "CREATE TABLE bookmarks (id INTEGER, url TEXT)", "INSERT INTO bookmarks VALUES (1, 'x')")


def newer_store(file: Path) -> None:
    open_store(file).close()
    change(file, f"UPDATE {VERSION_TABLE} SET version_num = '0099'")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (random_bytes, "is not a database: name another file"),
        (text_file, "is not a database: name another file"),
        (other_database, r"a database of something else \(tables: bookmarks\), not a nasgym store; name another"),
        (newer_store, rf"written by a newer nasgym \(schema 0099; this one knows up to {VERSION}\): upgrade nasgym"),
    ],
)
def test_a_file_that_is_no_store_is_refused_by_name_and_left_as_it_was(
    make: Callable[[Path], None], message: str, store_file: Path
) -> None:
    make(store_file)
    before = hashlib.sha256(store_file.read_bytes()).digest()
    with pytest.raises(StoreError, match=f"{store_file.name}.*{message}"):
        open_store(store_file)
    assert hashlib.sha256(store_file.read_bytes()).digest() == before


def test_what_is_not_there_is_not_made_unless_asked_for(store_file: Path) -> None:
    with pytest.raises(
        StoreError, match=r"No store at .*store.sqlite; `nasgym search` makes one, --store names anothe"
    ):
        open_store(store_file, create=False)
    assert not store_file.exists()
    store_file.touch()
    with pytest.raises(StoreError, match=r"store.sqlite is empty, not a nasgym store"):
        open_store(store_file, create=False)
    open_store(store_file).close()
    open_store(store_file, create=False).close()


@pytest.mark.parametrize(
    ("location", "message"),
    [
        (":memory:", "in memory would be lost with the process; name a file"),
        ("sqlite://", "in memory would be lost with the process; name a file"),
        ("redis://host/0", r"No store for URLs that start with redis:// \(known: sqlite, postgresql.*install its plug"),
        ("postgresql+nodriver://host/db", "No database driver for 'postgresql\\+nodriver'"),
        ("postgresql://host:port/db", "neither a file name nor a database URL"),
    ],
)
def test_a_location_that_cannot_be_a_store_is_refused(location: str, message: str) -> None:
    with pytest.raises(StoreError, match=message):
        open_store(location)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is a folder; a store is a file in it"):
        open_store(tmp_path)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"folder of store .* cannot be made: .*; name another one"):
        open_store(tmp_path / "file" / "store.sqlite")


def test_a_scheme_of_a_plug_in_opens_its_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site" / "elsewhere-1.0.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Name: elsewhere\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text(
        "[nasgym.stores]\nelsewhere = elsewhere:opened\nbroken = elsewhere:nothing\n"
    )
    (tmp_path / "site" / "elsewhere.py").write_text(
        "from nasgym.store import open_store\n"
        "def opened(url):\n    return open_store(url.removeprefix('elsewhere://'))\n"
        "def nothing(url):\n    return {}\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    with open_store(f"elsewhere://{tmp_path}/store.sqlite") as store:
        assert store.url == f"{tmp_path}/store.sqlite"
    with pytest.raises(PluginError, match=r"'broken' of 'nasgym.stores' made a dict, not a nasgym.store.Store"):
        open_store("broken://")


def test_the_migrations_make_the_tables_that_the_code_expects(store: Store, store_file: Path) -> None:
    engine = create_engine(f"sqlite:///{store_file}")
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": VERSION_TABLE, "compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, METADATA) == []
    made = sqlite3.connect(store_file).execute("SELECT sql FROM sqlite_master WHERE type = 'table'").fetchall()
    expected = sqlite3.connect(":memory:")
    for table in METADATA.sorted_tables:
        expected.execute(str(CreateTable(table).compile(engine)))
    wanted = expected.execute("SELECT sql FROM sqlite_master WHERE type = 'table'").fetchall()
    assert {clauses(sql) for (sql,) in wanted} <= {clauses(sql) for (sql,) in made}


def clauses(create_table: str) -> tuple[str, ...]:
    """Return the parts of a table in an order that does not depend on when a column was added."""
    head, _, parts = " ".join(create_table.split()).removesuffix(")").partition("(")
    return (head, *sorted(part.strip() for part in parts.split(",")))


def test_the_newest_migration_is_the_version_the_code_writes() -> None:
    assert ScriptDirectory(str(MIGRATIONS)).get_heads() == [VERSION]


def test_what_agents_did_before_their_steps_were_kept_is_still_told(tmp_path: Path) -> None:
    shutil.copy(GOLDEN / "v3.sqlite", tmp_path / "old.sqlite")
    with open_store(tmp_path / "old.sqlite", create=False) as store:
        (run,) = store.runs()
        (update,) = store.training_log().updates(run.id)
        (played,) = store.training_log().meta_episodes(run.id)
        assert (update.actions, update.rewards, update.metrics) == ((3, 5), (0.5, 0.75), {"kl": 0.25})
        assert (played.lengths, played.accuracies) == ((3, 4), (0.5, None))
        assert (update.trace, played.actions, played.step_rewards) == (None, None, None)
        store.training_log().save_updates([replace(update, number=2, trace=Trace(((1,),), ((0.5,),), ((2,),), (0,)))])
        assert [row.trace is None for row in store.training_log().updates(run.id)] == [True, False]


def test_a_store_of_the_first_release_opens_with_all_it_held(tmp_path: Path) -> None:
    shutil.copy(GOLDEN / "v1.sqlite", tmp_path / "old.sqlite")
    with open_store(tmp_path / "old.sqlite", create=False) as store:
        export_store(store, tmp_path / "old.json", form="json")
    assert (tmp_path / "old.json").read_text(encoding="utf-8") == (GOLDEN / "v1.json").read_text(encoding="utf-8")


def test_a_migration_that_breaks_off_leaves_the_database_as_it_was(
    store_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class BreaksOffError(Exception):
        pass

    def break_off(*_: object, **__: object) -> None:
        raise BreaksOffError

    with monkeypatch.context() as patched:
        patched.setattr(Operations, "create_index", break_off)
        with pytest.raises(BreaksOffError):
            open_store(store_file)
    assert sqlite3.connect(store_file).execute("SELECT name FROM sqlite_master").fetchall() == []
    with open_store(store_file) as store:
        assert list(store.evaluations()) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_many_processes_may_make_the_same_store_at_once(store_file: Path) -> None:
    start, go = os.pipe()
    children = []
    for number in range(6):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                os.close(go)
                os.read(start, 1)
                with open_store(store_file) as store:
                    request, key = request_and_key(seed=number)
                    store.put(request, key, Completed(0.5))
                status = 0
            except NasgymError as error:
                os.write(2, f"{error}\n".encode())
            finally:
                os._exit(status)
        children.append(child)
    os.close(start)
    os.close(go)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 6
    with open_store(store_file, create=False) as store:
        assert sorted(row.key.seed for row in store.evaluations()) == list(range(6))


def test_importing_the_store_imports_neither_sqlalchemy_nor_torch() -> None:
    code = (
        "import sys, nasgym.store; print([name for name in ('sqlalchemy', 'alembic', 'torch') if name in sys.modules])"
    )
    assert run_python(code) == "[]"


def test_opening_a_present_store_does_not_import_alembic(store: Store, store_file: Path) -> None:
    code = (
        "import sys; from nasgym.store import open_store\n"
        f"open_store({str(store_file)!r}).close()\n"
        "print([name for name in ('alembic', 'torch') if name in sys.modules])"
    )
    assert run_python(code) == "[]"
