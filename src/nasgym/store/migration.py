"""Makes a database a store of the present schema, or says why it is none."""

from pathlib import Path

from sqlalchemy import Connection, func, inspect, select, text

from nasgym.core.errors import StoreError
from nasgym.store.database import Database
from nasgym.store.schema import VERSION, VERSION_TABLE

MIGRATIONS = Path(__file__).parent / "migrations"
UPGRADE_LOCK = 0x6E617367796D
"""Held on a server by the one process that makes or changes the tables: the letters "nasgym" as a number."""


def ensure_schema(database: Database, *, create: bool) -> None:
    """Create the tables of an empty database, or bring an older store up to the present schema.

    A process killed in between leaves the database as it was.

    Args:
        database: any database.
        create: whether an empty database becomes a store.

    Raises:
        StoreError: it belongs to something else, or to a newer version of nasgym; or it is empty and `create` is false.
    """
    version = database.read(lambda connection: _version(connection, database.name))
    if version == VERSION:
        return
    if version is None and not create:
        raise StoreError(f"{database.name} is empty, not a nasgym store; check the name.")
    if database.dialect == "sqlite":
        database.use_write_ahead_log()

    def bring_up(connection: Connection) -> None:
        if database.dialect == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(UPGRADE_LOCK)))
        if _version(connection, database.name) != VERSION:
            upgrade(connection)

    database.write(bring_up, "its tables")


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Run the migrations up to `revision` in the transaction of `connection`."""
    from alembic.config import Config
    from alembic.operations import Operations
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    scripts = ScriptDirectory.from_config(config)
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    missing = list(scripts.iterate_revisions(revision, context.get_current_revision() or "base"))
    with Operations.context(context):
        for script in reversed(missing):
            script.module.upgrade()
            context.stamp(scripts, script.revision)


def _version(connection: Connection, name: str) -> str | None:
    """Return the schema version of a store, or `None` for an empty database."""
    tables = inspect(connection).get_table_names()
    if not tables:
        return None
    if VERSION_TABLE not in tables:
        raise StoreError(
            f"{name} is a database of something else (tables: {', '.join(sorted(tables)[:5])}), not a nasgym store; "
            "name another one."
        )
    found = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()
    if found is not None and (not found.isdecimal() or int(found) > int(VERSION)):
        raise StoreError(
            f"{name} was written by a newer nasgym (schema {found}; this one knows up to {VERSION}): upgrade nasgym."
        )
    return None if found is None else str(found)
