"""PostgreSQL: lost connections, wrong addresses, crowds; nothing finished is lost, and errors say what to do."""

import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, inspect, make_url

from nasgym.core.errors import StoreError
from nasgym.evaluation import Completed, Failed, FailureKind, Metrics
from nasgym.store import Added, Store, StoredEvaluation, Won, open_store
from nasgym.store.exchange import merge_store
from nasgym.store.migration import upgrade
from nasgym.store.schema import METADATA, VERSION_TABLE
from nasgym.store.sql import SqlStore
from nasgym.testing.postgres import Server, temporary_server
from nasgym.testing.stores import request_and_key


@pytest.fixture(scope="module")
def fragile() -> Iterator[Server]:
    """A server that tests may stop; each starts it again."""
    with temporary_server() as server:
        yield server


@pytest.fixture
def store(postgres: Server) -> Iterator[Store]:
    with open_store(postgres.new_database()) as opened:
        yield opened


def put(store: Store, seed: int, accuracy: float = 0.5) -> None:
    request, key = request_and_key(seed=seed)
    store.put(request, key, Completed(accuracy))


def seeds(store: Store) -> list[int]:
    return [row.key.seed for row in store.evaluations()]


def test_the_url_of_a_store_hides_its_password(postgres: Server, store: Store) -> None:
    assert postgres.password not in store.url
    assert store.url.startswith("postgresql+psycopg://nasgym:***@127.0.0.1:")
    url = make_url(postgres.new_database())
    in_query = url.set(password=None).update_query_dict({"password": postgres.password})
    with open_store(in_query.render_as_string()) as opened:
        assert postgres.password not in opened.url
        put(opened, 0)


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_what_is_put_while_the_server_is_away_is_kept_when_it_is_back(
    mode: str, fragile: Server, caplog: pytest.LogCaptureFixture
) -> None:
    with open_store(fragile.new_database()) as store:
        put(store, 0)
        fragile.stop(mode)
        back = threading.Timer(1.0, fragile.start)
        back.start()
        with caplog.at_level(logging.WARNING, "nasgym.store"):
            started = time.monotonic()
            put(store, 1)
        back.join()
        assert time.monotonic() - started > 0.9
        assert "***@127.0.0.1" in caplog.text
        assert "trying again" in caplog.text
        assert seeds(store) == [0, 1]


def test_a_store_in_the_middle_of_everything_survives_the_crash_of_the_server(fragile: Server) -> None:
    url = fragile.new_database()
    with open_store(url) as store, ThreadPoolExecutor(3) as pool:
        puts = [
            pool.submit(lambda first=first: [put(store, seed) for seed in range(first, first + 100)])
            for first in (0, 100, 200)
        ]
        time.sleep(0.2)
        fragile.stop("immediate")
        fragile.start()
        for future in puts:
            future.result(timeout=60)
        assert sorted(seeds(store)) == list(range(300))


def test_a_connection_that_an_administrator_ends_is_made_again(postgres: Server, store: Store) -> None:
    put(store, 0)
    ours = f"datname = '{make_url(store.url).database}'"
    ended = postgres.execute(f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE {ours}")
    assert int(ended) >= 1
    put(store, 1)
    assert seeds(store) == [0, 1]


def test_a_server_that_stays_away_is_an_error_that_names_it_and_what_is_not_written(fragile: Server) -> None:
    store = SqlStore(make_url(fragile.new_database()), patience=0.5)
    put(store, 0)
    fragile.stop()
    try:
        with pytest.raises(StoreError) as raised:
            put(store, 1)
        message = str(raised.value)
        assert f"nasgym:***@127.0.0.1:{fragile.port}/" in message
        assert "the connection was lost and did not come back within 0.5 s" in message
        assert "not written: 1 evaluations, the first of 'conv3 maxpool2' on 'digits'" in message
        assert fragile.password not in message
        with pytest.raises(StoreError, match=r"nothing was to be written\. All that was written before is kept"):
            store.get(request_and_key()[1])
    finally:
        fragile.start()
    put(store, 1)
    assert seeds(store) == [0, 1]


def test_a_server_that_cannot_be_reached_is_an_error_at_once(postgres: Server) -> None:
    started = time.monotonic()
    with pytest.raises(StoreError, match=r"\*\*\*@127.0.0.1:1/nas cannot be reached .*check host, port, user, passw"):
        open_store("postgresql+psycopg://me:secret@127.0.0.1:1/nas")
    with pytest.raises(StoreError, match=r"cannot be reached .*password authentication failed"):
        open_store(postgres.url("postgres").replace(postgres.password, "wrong"))
    with pytest.raises(StoreError, match=r"cannot be reached .*database \"missing\" does not exist"):
        open_store(postgres.url("missing"))
    assert time.monotonic() - started < 5


def test_what_is_not_there_is_not_made_unless_asked_for(postgres: Server) -> None:
    url = postgres.new_database()
    with pytest.raises(StoreError, match="is empty, not a nasgym store"):
        open_store(url, create=False)
    open_store(url).close()
    open_store(url, create=False).close()


def test_a_database_of_something_else_is_refused_and_left_as_it_was(postgres: Server) -> None:
    url = postgres.new_database()
    postgres.execute("CREATE TABLE bookmarks (url TEXT)", str(make_url(url).database))
    with pytest.raises(StoreError, match=r"a database of something else \(tables: bookmarks\), not a nasgym store"):
        open_store(url)
    assert inspect(create_engine(url)).get_table_names() == ["bookmarks"]


def test_a_user_without_rights_is_told_so(postgres: Server) -> None:
    url = postgres.new_database()
    postgres.execute("CREATE ROLE reader LOGIN PASSWORD 'reading'")
    with pytest.raises(StoreError, match=r"the user may not do this: grant it to them"):
        open_store(make_url(url).set(username="reader", password="reading").render_as_string(hide_password=False))
    with open_store(url) as store:
        put(store, 0)
    database = str(make_url(url).database)
    postgres.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader", database)
    reader = make_url(url).set(username="reader", password="reading").render_as_string(hide_password=False)
    with open_store(reader) as store:
        assert seeds(store) == [0]
        with pytest.raises(
            StoreError, match=r"the user may not do this: grant it to them, or name .*permission denied"
        ):
            put(store, 1)


def test_a_value_that_no_database_holds_is_an_error_that_names_it(store: Store) -> None:
    request, key = request_and_key()
    for outcome in (
        Completed(0.5, Metrics(flops=2**63)),
        Failed(FailureKind.DIVERGED, "\udcff"),
        Failed(FailureKind.DIVERGED, "\0"),
    ):
        with pytest.raises(StoreError, match=r"\*\*\*@.*: a value cannot be kept \("):
            store.put(request, key, outcome)
    assert store.get(key) is None


def open_and_put(url: str, number: int) -> None:
    with open_store(url) as store:
        put(store, number)


def test_many_processes_may_make_the_same_store_at_once(postgres: Server) -> None:
    url = postgres.new_database()
    context = get_context("fork")
    processes = [context.Process(target=open_and_put, args=(url, number)) for number in range(8)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 8
    with open_store(url, create=False) as store:
        assert sorted(seeds(store)) == list(range(8))


def test_rows_added_in_opposite_orders_at_once_are_all_kept(store: Store) -> None:
    request, key = request_and_key()
    rows = [StoredEvaluation.of(request, replace(key, seed=seed), Completed(0.5)) for seed in range(400)]
    with ThreadPoolExecutor(4) as pool:
        added = list(pool.map(lambda step: store.add(rows[::step]), (1, -1, 1, -1)))
    assert sum(added, Added()) == Added(new=400, duplicate=1200)
    assert sorted(seeds(store)) == list(range(400))


def test_of_many_threads_that_claim_the_same_keys_each_key_has_one_winner(store: Store) -> None:
    keys = [request_and_key(seed=seed)[1] for seed in range(20)]

    def claim(number: int) -> list[bool]:
        order = keys if number % 2 else keys[::-1]
        claims = store.claim(order, f"owner {number}", 60.0)
        return [isinstance(claims[key], Won) for key in keys]

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(claim, range(8)))
    assert [sum(column) for column in zip(*won, strict=True)] == [1] * 20


def test_the_migrations_make_the_tables_that_the_code_expects(postgres: Server) -> None:
    url = postgres.new_database()
    open_store(url).close()
    with create_engine(url).connect() as connection:
        options = {"version_table": VERSION_TABLE, "compare_type": True, "compare_server_default": True}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, METADATA) == []


def test_a_store_of_the_first_schema_is_brought_up_to_date_with_all_it_held(postgres: Server) -> None:
    url = postgres.new_database()
    with create_engine(url).begin() as connection:
        upgrade(connection, "0001")
    with create_engine(url).begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO runs VALUES ('20251121-190000-abc123', 'search', '{}', 5, '{}', '{}', NULL, 'running', "
            "'2025-11-21T19:00:00.000000+00:00', NULL, NULL)"
        )
    with open_store(url, create=False) as store:
        assert store.run("20251121").seed == 5
        put(store, 0)
        assert seeds(store) == [0]


def test_a_store_moves_between_sqlite_and_postgresql_and_back(store: Store, tmp_path: Path) -> None:
    run = store.start_run("search", {}, seed=0)
    for number in range(3):
        request, key = request_and_key(seed=number)
        store.record_step(run.id, number, request, key, Completed(1 / 3 + number / 10), from_store=False)
    with open_store(tmp_path / "copy.sqlite") as copy:
        assert merge_store(store, copy).evaluations == Added(new=3)
        assert list(copy.steps(run.id)) == list(store.steps(run.id))
        assert merge_store(copy, store).evaluations == Added(duplicate=3)
