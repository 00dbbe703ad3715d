"""Connections of a copy: a read-only snapshot of the source, and a transaction on the destination."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psycopg
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from opportune.db.drivers.sqlite import QUERY_ONLY
from opportune.db.drivers.sqlite_file import discard, make_private
from opportune.db.drivers.sync_engines import create_postgresql_engine, create_sqlite_engine
from opportune.db.errors import explain
from opportune.db.migrations.connection import unchecked_settings
from opportune.db.migrations.locks import TABLE_LOCK_TIMEOUT_SECONDS
from opportune.db.url.database_url import DatabaseUrl
from opportune.errors import OperatorError
from opportune.project.atomic_files import private_file, replace_file, temporary_path

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
    """Open a read-only connection that sees one consistent state."""
    if url.kind == "postgresql":
        engine = create_postgresql_engine(
            url, isolation_level="REPEATABLE READ", execution_options={"postgresql_readonly": True}
        )
    elif url.path.is_file():
        engine = _create_sqlite_engine(url.path, "BEGIN", QUERY_ONLY)
    else:
        raise OperatorError(f"There is no database at {url.path}.")
    with _transaction(engine, url) as connection:
        yield connection


@contextmanager
def open_destination(url: DatabaseUrl) -> Iterator[Connection]:
    """Open a transaction that is committed at the end of the block, and rolled back if the process is killed."""
    if url.kind == "postgresql":
        with _transaction(create_postgresql_engine(url), url, commits=True) as connection:
            yield connection
        return
    # A new file must be a single file when it is renamed, so it begins without WAL.
    journal_mode = "WAL" if url.path.exists() else "DELETE"
    settings = f"{unchecked_settings()} PRAGMA journal_mode = {journal_mode};"
    with (
        _file_to_write(url.path) as path,
        _transaction(_create_sqlite_engine(path, "BEGIN IMMEDIATE", settings), url, commits=True) as connection,
    ):
        yield connection


@contextmanager
def _transaction(engine: Engine, url: DatabaseUrl, *, commits: bool = False) -> Iterator[Connection]:
    """Open a connection with a transaction. Unless it `commits`, the end of the block rolls back."""
    with explained_errors(url):
        connection = engine.connect()
    try:
        with explained_errors(url):
            connection.begin()
            if url.kind == "postgresql":
                for setting in (*LONG_TRANSACTION_SETTINGS, *TEXT_FORMAT_SETTINGS):
                    connection.execute(text(setting))
        yield connection
        if commits:
            with explained_errors(url):
                connection.commit()
    finally:
        connection.close()


def _create_sqlite_engine(path: Path, begin_statement: str, settings: str) -> Engine:
    """Open an existing SQLite file. Also readers open it for writing, because otherwise a -wal file would remain."""
    connect = partial(sqlite3.connect, f"{path.as_uri()}?mode=rw", uri=True, isolation_level=None)
    return create_sqlite_engine("sqlite+pysqlite://", begin_statement, settings, creator=connect)


@contextmanager
def _file_to_write(path: Path) -> Iterator[Path]:
    """Yield the file to write. A new file is written under another name and renamed when it is complete.

    An existing file is not replaced, because other processes may have it open.
    """
    if path.exists():
        yield path
        return
    lock_path = temporary_path(path)
    new_path = temporary_path(path, "copied")
    make_private(lock_path, "Copy to another folder, or make it writable for this user.")
    with private_file(lock_path):
        discard(new_path)  # of a killed copy
        make_private(new_path)
        try:
            yield new_path
            if path.exists():
                raise OperatorError(f"Another process created {path} during the copy. It was not changed.")
            replace_file(new_path, path)
        finally:
            discard(new_path)
