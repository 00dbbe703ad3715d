"""Synchronous connection for migrations.

It is synchronous, so that migrations run in commands and inside a running event loop.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import URL, Connection, Engine
from sqlalchemy.exc import DBAPIError, OperationalError

from opportune.config.settings import Settings
from opportune.db.drivers.sqlite import SETTINGS
from opportune.db.drivers.sqlite_file import discard_unused, make_private
from opportune.db.drivers.sync_engines import create_postgresql_engine, create_sqlite_engine
from opportune.db.errors import explain
from opportune.db.migrations import locks
from opportune.db.migrations.reflection import DRIVER
from opportune.db.models.native_type import recognize_all_types
from opportune.db.url.database_url import DatabaseUrl
from opportune.db.url.direct import direct_url
from opportune.errors import OperatorError, ReadOnlyError


@contextmanager
def connect(settings: Settings) -> Iterator[Connection]:
    """Connect to the configured database. After an error, a new empty SQLite file is removed."""
    url = direct_url(settings)
    if url.readonly_notice:
        raise ReadOnlyError(url.readonly_notice)
    engine = create_postgresql_engine(url) if url.kind == "postgresql" else _create_sqlite_engine(url.sync_url)
    is_new = url.kind != "postgresql" and not url.path.exists()
    try:
        with _open(engine, url) as connection, _explain_errors(url):
            recognize_all_types(connection)
            yield connection
    except OperatorError:
        if is_new:
            discard_unused(url.path)
        raise


@contextmanager
def _explain_errors(url: DatabaseUrl) -> Iterator[None]:
    try:
        yield
    except OperationalError as error:  # errors of a migration itself are handled by the runner
        raise OperatorError(explain(error, url)) from error


def _open(engine: Engine, url: DatabaseUrl) -> Connection:
    try:
        if url.kind != "postgresql":
            make_private(url.path)
        return engine.connect()
    except (DBAPIError, sqlite3.Error) as error:
        raise OperatorError(explain(error, url)) from error


@contextmanager
def in_memory_connection() -> Iterator[Connection]:
    """Connect to a new SQLite database in memory."""
    with _create_sqlite_engine(URL.create("sqlite")).connect() as connection:
        yield connection


def _create_sqlite_engine(url: URL) -> Engine:
    """Create an engine without foreign keys: Alembic copies a table to change it, and drops the old one."""
    return create_sqlite_engine(url.set(drivername=f"sqlite+{DRIVER}"), settings=unchecked_settings())


def unchecked_settings() -> str:
    """Return settings of a SQLite connection that enforces no foreign keys, and waits for other migrations."""
    timeout_ms = f"{locks.MIGRATION_LOCK_TIMEOUT_SECONDS * 1000:.0f}"
    return f"{SETTINGS} PRAGMA foreign_keys = OFF; PRAGMA busy_timeout = {timeout_ms};"
