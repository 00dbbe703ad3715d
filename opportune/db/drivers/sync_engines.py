"""Synchronous engines without a pool, for commands with a single connection."""

from typing import Any

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event

from opportune.db.drivers.pool import read_password_on_connect
from opportune.db.drivers.sqlite import configure_sqlite
from opportune.db.url.database_url import DatabaseUrl


def create_sqlite_engine(url: URL | str, begin: str = "BEGIN", **options: Any) -> Engine:
    """Create an engine that begins transactions with a given statement.

    Connect with `isolation_level=None`, so that the driver does not begin transactions itself.

    Args:
        url: URL of the database.
        begin: Statement that begins a transaction. The execution option `sqlite_begin` overrides it.
        options: Options of `create_engine`.
    """
    execution = {"sqlite_begin": begin}
    engine = create_engine(url, poolclass=NullPool, execution_options=execution, hide_parameters=True, **options)
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
    engine = create_sqlite_engine(url.sync_url, "BEGIN IMMEDIATE", connect_args={"isolation_level": None})
    event.listen(engine, "connect", configure_sqlite)
    return engine


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options()["sqlite_begin"])
