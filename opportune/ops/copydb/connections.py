"""The two sides of a copy: a snapshot that is only read, and a transaction that brings everything or nothing."""

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
from opportune.db.drivers.sync_engines import postgresql_engine, sqlite_engine
from opportune.db.errors import explain
from opportune.db.migrations.connection import MIGRATION_LOCK_TIMEOUT_SECONDS, TABLE_LOCK_TIMEOUT_SECONDS
from opportune.db.url.database_url import DatabaseURL
from opportune.errors import OperatorError
from opportune.runtime.atomic_files import put

LONG_TRANSACTION_SETTINGS = (
    "SET LOCAL statement_timeout = 0",  # some hosts set it to a minute or two for everybody
    "SET LOCAL idle_in_transaction_session_timeout = 0",  # one side waits while the other works
    f"SET LOCAL lock_timeout = '{TABLE_LOCK_TIMEOUT_SECONDS}s'",  # everybody else queues behind us
)
TEXT_FORMAT_SETTINGS = (  # of each value, and all of its digits, whatever the user or the database is set to
    "SET LOCAL TIME ZONE 'UTC'",
    "SET LOCAL datestyle = 'ISO'",
    "SET LOCAL intervalstyle = 'postgres'",
    "SET LOCAL extra_float_digits = 3",
    "SET LOCAL bytea_output = 'hex'",
)


@contextmanager
def explained_errors(url: DatabaseURL) -> Iterator[None]:
    """Turn a driver's complaint into one line about this database."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, psycopg.Error) as error:
        raise OperatorError(explain(error, url)) from error


@contextmanager
def snapshot(url: DatabaseURL) -> Iterator[Connection]:
    """One state of the database, whatever others write meanwhile. Nothing can be written through it.

    Raises:
        OperatorError: the database cannot be reached.
    """
    if url.kind == "postgresql":
        engine = postgresql_engine(
            url, isolation_level="REPEATABLE READ", execution_options={"postgresql_readonly": True}
        )
    elif url.path.is_file():
        engine = _sqlite(url.path, "BEGIN", query_only="ON")
    else:
        raise OperatorError(f"There is no database at {url.path}.")
    with _transaction(engine, url) as connection:
        yield connection


@contextmanager
def destination(url: DatabaseURL) -> Iterator[Connection]:
    """A transaction that is committed when the block ends well. Until then the database is as it was, kill -9 or not.

    Raises:
        OperatorError: the database cannot be reached or written.
    """
    if url.kind == "postgresql":
        with _transaction(postgresql_engine(url), url) as connection:
            yield connection
            with explained_errors(url):
                connection.commit()
        return
    # A new file must not be in two parts when it gets its name, so it begins without WAL.
    journal = "WAL" if url.path.exists() else "DELETE"
    with _whole(url.path) as path, _transaction(_writing_sqlite(path, journal), url) as connection:
        yield connection
        with explained_errors(url):
            connection.commit()


@contextmanager
def _transaction(engine: Engine, url: DatabaseURL) -> Iterator[Connection]:
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


def _writing_sqlite(path: Path, journal: str) -> Engine:
    wait = f"{MIGRATION_LOCK_TIMEOUT_SECONDS * 1000:.0f}"
    engine = _sqlite(path, "BEGIN IMMEDIATE", foreign_keys="OFF", busy_timeout=wait, journal_mode=journal)
    event.listen(engine, "connect", configure_sqlite, insert=True)
    return engine


def _sqlite(path: Path, begin: str, **pragmas: str) -> Engine:
    """SQLite on a file that is there. What only looks opens it for writing too, or it would leave a -wal behind."""
    address = f"{path.as_uri()}?mode=rw"
    engine = sqlite_engine(
        "sqlite+pysqlite://", begin, creator=lambda: sqlite3.connect(address, uri=True, isolation_level=None)
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        for name, value in pragmas.items():
            connection.execute(f"PRAGMA {name} = {value}")

    return engine


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """The file to write. A file that is there stays in its place: others may have it open, and SQLite's own
    transaction keeps it whole. One that is not there comes with everything in it.
    """
    if path.exists():
        yield path
        return
    _remove_leftovers(path)
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}.copying")
    make_private(new, "Copy to another folder, or make that one writable for this user.")
    try:
        yield new
        if path.exists():
            raise OperatorError(f"{path} was made by somebody else meanwhile: it was left as it is.")
        put(new, path)
    finally:
        discard(new)


def _remove_leftovers(path: Path) -> None:
    """What a killed copy to the same place has left."""
    for leftover in path.parent.glob(f".{escape(path.name)}.*.copying"):
        try:
            with sqlite3.connect(leftover, timeout=0, isolation_level=None) as connection:
                connection.execute("BEGIN IMMEDIATE")
            connection.close()
        except sqlite3.OperationalError:
            raise OperatorError(f"Another process is copying to {path}: wait for it.") from None
        discard(leftover)
