"""Connections of a copy: a read-only snapshot of the source, and a transaction on the destination."""

import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path

import psycopg
from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.exc import SQLAlchemyError

from opportune.db.drivers.sqlite import configure_sqlite
from opportune.db.drivers.sqlite_file import discard, make_private
from opportune.db.drivers.sync_engines import create_postgresql_engine, create_sqlite_engine
from opportune.db.errors import explain
from opportune.db.migrations.connection import MIGRATION_LOCK_TIMEOUT_SECONDS, TABLE_LOCK_TIMEOUT_SECONDS
from opportune.db.url.database_url import DatabaseUrl
from opportune.errors import OperatorError
from opportune.project.atomic_files import replace_file

LONG_TRANSACTION_SETTINGS = (
    "SET LOCAL statement_timeout = 0",  # some hosts set a minute or two by default
    "SET LOCAL idle_in_transaction_session_timeout = 0",  # one connection waits while the other works
    f"SET LOCAL lock_timeout = '{TABLE_LOCK_TIMEOUT_SECONDS}s'",  # other transactions queue behind this one
)
TEXT_FORMAT_SETTINGS = (  # exact values, independent of the defaults of user and database
    "SET LOCAL TIME ZONE 'UTC'",
    "SET LOCAL datestyle = 'ISO'",
    "SET LOCAL intervalstyle = 'postgres'",
    "SET LOCAL extra_float_digits = 3",
    "SET LOCAL bytea_output = 'hex'",
)


@contextmanager
def explained_errors(url: DatabaseUrl) -> Iterator[None]:
    """Turn a driver's error into one line about this database."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, psycopg.Error) as error:
        raise OperatorError(explain(error, url)) from error


@contextmanager
def open_snapshot(url: DatabaseUrl) -> Iterator[Connection]:
    """Open a read-only connection that sees one consistent state.

    Raises:
        OperatorError: The database is unavailable.
    """
    if url.kind == "postgresql":
        engine = create_postgresql_engine(
            url, isolation_level="REPEATABLE READ", execution_options={"postgresql_readonly": True}
        )
    elif url.path.is_file():
        engine = _create_sqlite_engine(url.path, "BEGIN", query_only="ON")
    else:
        raise OperatorError(f"There is no database at {url.path}.")
    with _transaction(engine, url) as connection:
        yield connection


@contextmanager
def open_destination(url: DatabaseUrl) -> Iterator[Connection]:
    """Open a transaction that is committed at the end of the block, and rolled back if the process is killed.

    Raises:
        OperatorError: The database is unavailable or not writable.
    """
    if url.kind == "postgresql":
        with _transaction(create_postgresql_engine(url), url) as connection:
            yield connection
            with explained_errors(url):
                connection.commit()
        return
    # A new file must be a single file when it is renamed, so it begins without WAL.
    journal_mode = "WAL" if url.path.exists() else "DELETE"
    with _file_to_write(url.path) as path, _transaction(_writable_sqlite_engine(path, journal_mode), url) as connection:
        yield connection
        with explained_errors(url):
            connection.commit()


@contextmanager
def _transaction(engine: Engine, url: DatabaseUrl) -> Iterator[Connection]:
    with explained_errors(url):
        connection = engine.connect()
    try:
        with explained_errors(url):
            connection.begin()
            for setting in (*LONG_TRANSACTION_SETTINGS, *TEXT_FORMAT_SETTINGS) if url.kind == "postgresql" else ():
                connection.execute(text(setting))
        yield connection
    finally:
        connection.close()


def _writable_sqlite_engine(path: Path, journal_mode: str) -> Engine:
    timeout_ms = f"{MIGRATION_LOCK_TIMEOUT_SECONDS * 1000:.0f}"
    engine = _create_sqlite_engine(
        path, "BEGIN IMMEDIATE", foreign_keys="OFF", busy_timeout=timeout_ms, journal_mode=journal_mode
    )
    event.listen(engine, "connect", configure_sqlite, insert=True)
    return engine


def _create_sqlite_engine(path: Path, begin_statement: str, **pragmas: str) -> Engine:
    """Open an existing SQLite file. Also readers open it for writing, because otherwise a -wal file would remain."""
    uri = f"{path.as_uri()}?mode=rw"
    engine = create_sqlite_engine(
        "sqlite+pysqlite://", begin_statement, creator=lambda: sqlite3.connect(uri, uri=True, isolation_level=None)
    )

    @event.listens_for(engine, "connect")
    def set_pragmas(connection: sqlite3.Connection, _record: object) -> None:
        for name, value in pragmas.items():
            connection.execute(f"PRAGMA {name} = {value}")

    return engine


@contextmanager
def _file_to_write(path: Path) -> Iterator[Path]:
    """Yield the file to write. A new file is written under another name and renamed when it is complete.

    An existing file is not replaced, because other processes may have it open.
    """
    if path.exists():
        yield path
        return
    _remove_leftovers(path)
    temporary_path = path.with_name(f".{path.name}.{secrets.token_hex(4)}.copying")
    make_private(temporary_path, "Copy to another folder, or make it writable for this user.")
    try:
        yield temporary_path
        if path.exists():
            raise OperatorError(f"Another process created {path} during the copy. It was not changed.")
        replace_file(temporary_path, path)
    finally:
        discard(temporary_path)


def _remove_leftovers(path: Path) -> None:
    """Remove the files of killed copies to the same path."""
    for leftover in path.parent.glob(f".{escape(path.name)}.*.copying"):
        try:
            with sqlite3.connect(leftover, timeout=0, isolation_level=None) as connection:
                connection.execute("BEGIN IMMEDIATE")
            connection.close()
        except sqlite3.OperationalError:
            raise OperatorError(f"Another process is copying to {path}: wait for it.") from None
        discard(leftover)
