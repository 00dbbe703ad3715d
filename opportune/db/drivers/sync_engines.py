"""Synchronous engines without a pool, for commands with a single connection."""

from typing import Any

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event

from opportune.db.drivers.pool import read_password_on_connect
from opportune.db.drivers.sqlite import SETTINGS, run_script
from opportune.db.url.database_url import DatabaseUrl


def create_sqlite_engine(url: URL | str, begin: str = "BEGIN", settings: str = SETTINGS, **options: Any) -> Engine:
    """Create an engine for SQLite.

    Args:
        url: URL of the database.
        begin: Statement that begins transactions. The execution option `sqlite_begin` overrides it.
        settings: Script of PRAGMA statements that each new connection runs.
        options: Further arguments of `create_engine`.
    """
    engine = create_engine(
        url,
        poolclass=NullPool,
        # Otherwise the driver begins transactions itself, and commits them before DDL.
        connect_args={"isolation_level": None},
        execution_options={"sqlite_begin": begin},
        hide_parameters=True,
        **options,
    )
    event.listen(engine, "connect", lambda connection, _record: run_script(connection, settings))
    event.listen(engine, "begin", _begin)
    return engine


def create_postgresql_engine(url: DatabaseUrl, **options: Any) -> Engine:
    engine = create_engine(
        url.sync_url, poolclass=NullPool, connect_args=url.arguments, hide_parameters=True, **options
    )
    read_password_on_connect(engine, url)
    return engine


def create_writing_engine(url: DatabaseUrl) -> Engine:
    """Create an engine for short write transactions in a thread."""
    if url.kind == "postgresql":
        return create_postgresql_engine(url)
    return create_sqlite_engine(url.sync_url, "BEGIN IMMEDIATE")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options()["sqlite_begin"])
